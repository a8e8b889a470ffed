"""S3 in a process of its own: what is acknowledged outlives a kill and a full disk; bodies do not fill its memory."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import itertools
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.s3.service import ObjectService

pytestmark = pytest.mark.slow
MIB = 1 << 20
REPOSITORY = Path(__file__).parents[2]


class Process:
    """One API on a folder of records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = (folder / "api.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.api_process", str(folder)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (folder / "api.log").read_text()
        said = json.loads(line)
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{said['port']}",
            region_name="us-east-1",
            aws_access_key_id=said["keys"][0],
            aws_secret_access_key=said["keys"][1],
            config=Config(
                signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=60
            ),
        )

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """The end of stdin ends it; repeatable."""
        self.s3.close()
        self.process.communicate(timeout=30)
        self._log.close()

    def files(self) -> set[str]:
        """Names of the objects' files."""
        return {path.name for path in (self.folder / "records/objects").glob("??/*")}

    def memory(self, field: str) -> int:
        """Bytes of resident memory: VmRSS now, VmHWM at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) * 1024

    @contextlib.contextmanager
    def files_no_longer_than(self, size: int) -> Iterator[None]:
        """As a disk that is full: no file of the process may grow beyond."""
        before = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Process]:
    made = Process(folder)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.close()


class Pattern:
    """A body of any size that nobody has in memory."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = bytes(range(256)) * 4096

    def read(self, size: int = -1) -> bytes:
        taken = min(self._left, len(self._block) if size < 0 else size)
        self._left -= taken
        return self._block[:taken]


def _send(method: str, url: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_bodies_of_any_size_pass_through_little_memory(tmp_path: Path) -> None:
    size = 192 * MIB
    with running(tmp_path) as api:
        api.s3.create_bucket(Bucket="big")
        api.s3.put_object(Bucket="big", Key="warm", Body=b"x" * MIB)
        before = api.memory("VmRSS")
        Path(f"/proc/{api.process.pid}/clear_refs").write_text("5")  # the peak is from now on
        url = api.s3.generate_presigned_url("put_object", Params={"Bucket": "big", "Key": "k"})
        assert _send("PUT", url, Pattern(size), {"Content-Length": str(size)})[0] == 200
        found = api.s3.get_object(Bucket="big", Key="k")["Body"]
        assert sum(len(chunk) for chunk in found.iter_chunks(MIB)) == size
        assert api.memory("VmHWM") - before < 50 * MIB


class _Writer(threading.Thread):
    """Changes a few keys again and again; knows what was acknowledged last, and what was under way."""

    def __init__(self, s3: Any, number: int) -> None:
        super().__init__()
        self.s3, self.number = s3, number
        self.acknowledged: dict[str, bytes | None] = {}
        self.under_way: tuple[str, bytes | None] = ("", None)

    def run(self) -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            for turn in itertools.count():
                key = f"{self.number}/{turn % 5}"
                body = None if turn % 7 == 6 else f"{self.number} {turn} ".encode() * (1 + turn % 900)
                self.under_way = (key, body)
                if body is None:
                    self.s3.delete_object(Bucket="bucket", Key=key)
                elif turn % 3 == 2:
                    self._in_parts(key, body)
                else:
                    self.s3.put_object(Bucket="bucket", Key=key, Body=body)
                self.acknowledged[key] = body

    def _in_parts(self, key: str, body: bytes) -> None:
        place = {"Bucket": "bucket", "Key": key}
        upload = self.s3.create_multipart_upload(**place)["UploadId"]
        etag = self.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=body)["ETag"]
        self.s3.complete_multipart_upload(
            **place, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
        )


def _get(s3: Any, key: str) -> bytes | None:
    try:
        return bytes(s3.get_object(Bucket="bucket", Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def test_a_kill_loses_nothing_that_was_acknowledged_and_leaves_nothing_behind(tmp_path: Path) -> None:
    api = Process(tmp_path)
    api.s3.create_bucket(Bucket="bucket")
    api.s3.put_bucket_policy(
        Bucket="bucket",
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:PutObject",
                        "Resource": "arn:aws:s3:::bucket/never/*",
                    }
                ],
            }
        ),
    )
    writers = [_Writer(api.s3, number) for number in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(1.5)
    api.kill()
    for writer in writers:
        writer.join(60)
    assert sum(len(writer.acknowledged) for writer in writers) > 10
    with running(tmp_path) as api:
        for writer in writers:
            for key, body in writer.acknowledged.items():
                found = _get(api.s3, key)
                allowed = [body, writer.under_way[1]] if writer.under_way[0] == key else [body]
                assert found in allowed, key
        assert "never" in api.s3.get_bucket_policy(Bucket="bucket")["Policy"]
        used = len(api.s3.list_objects_v2(Bucket="bucket").get("Contents", []))
        for upload in api.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []):
            place = {"Bucket": "bucket", "Key": upload["Key"], "UploadId": upload["UploadId"]}
            used += len(api.s3.list_parts(**place).get("Parts", []))
        assert len(api.files()) == used


def test_a_put_that_fills_the_disk_is_an_error_and_the_old_object_stays(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        api.s3.create_bucket(Bucket="bucket")
        api.s3.put_object(Bucket="bucket", Key="k", Body=b"old")
        before = api.files()
        with api.files_no_longer_than(8 * MIB):
            with pytest.raises(ClientError, match="no space is left") as error:
                api.s3.put_object(Bucket="bucket", Key="k", Body=b"n" * 20 * MIB)
            assert error.value.response["Error"]["Code"] == "InternalError"
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
            assert _get(api.s3, "k") == b"old"
            api.s3.put_object(Bucket="bucket", Key="small", Body=b"fits")
        assert len(api.files()) == len(before) + 1
        api.s3.put_object(Bucket="bucket", Key="k", Body=b"n" * 20 * MIB)
        assert api.s3.head_object(Bucket="bucket", Key="k")["ContentLength"] == 20 * MIB


def test_a_record_that_cannot_be_written_is_an_error_and_tears_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        api.s3.create_bucket(Bucket="bucket")
        api.s3.put_object(Bucket="bucket", Key="k", Body=b"old")
        before = api.files()
        with api.files_no_longer_than(1024):
            with pytest.raises(ClientError, match="InternalError"):
                api.s3.put_object(Bucket="bucket", Key="k", Body=b"new")
            with pytest.raises(ClientError, match="InternalError"):
                api.s3.delete_object(Bucket="bucket", Key="k")
            with pytest.raises(ClientError, match="InternalError"):
                api.s3.create_bucket(Bucket="another")
            assert _get(api.s3, "k") == b"old"
        assert api.files() == before
        api.s3.put_object(Bucket="bucket", Key="k", Body=b"new")
        assert _get(api.s3, "k") == b"new"
    with running(tmp_path) as api:
        assert _get(api.s3, "k") == b"new"


def _fill(filler: Path) -> None:
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))


def test_a_disk_that_is_full_to_the_last_byte_still_lets_objects_be_deleted(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=4k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        with running(disk) as api:
            api.s3.create_bucket(Bucket="bucket")
            api.s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 4 * MIB)
            filler = disk / "filler"
            _fill(filler)
            with pytest.raises(ClientError, match="InternalError"):
                api.s3.put_object(Bucket="bucket", Key="new", Body=b"y" * MIB)
            assert hashlib.sha256(_get(api.s3, "k") or b"").digest() == hashlib.sha256(b"x" * 4 * MIB).digest()
            api.s3.delete_object(Bucket="bucket", Key="k")
            api.s3.put_object(Bucket="bucket", Key="new", Body=b"y" * MIB)
            assert _get(api.s3, "new") == b"y" * MIB
            filler.unlink()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_sender_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        api.s3.create_bucket(Bucket="bucket")
        url = urlsplit(api.s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "k"}))
        connection = http.client.HTTPConnection(url.netloc, timeout=10)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Length", str(10 * MIB))
        connection.endheaders(b"x" * MIB)
        connection.close()
        deadline = time.monotonic() + 20
        while api.files():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert _get(api.s3, "k") is None


def _service(folder: Path) -> ObjectService:
    return ObjectService(folder / "records", "123456789012", "us-east-1", _Everybody())


class _Everybody:
    """Everything is allowed."""

    def s3(self, *_: Any, **__: Any) -> None:
        pass

    def s3_allows(self, *_: Any, **__: Any) -> bool:
        return True


def _do(service: ObjectService, method: str, path: str, body: bytes = b"") -> Any:
    headers = {"content-length": str(len(body))}
    return service.answer(method, path, "", headers, io.BytesIO(body), None, {}, "request")


def test_what_a_power_cut_tore_is_dropped_at_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    service = _service(tmp_path)
    service.open()
    assert _do(service, "PUT", "/bucket").status == 200
    for key, body in (("torn", b"torn"), ("whole", b"whole!")):
        assert _do(service, "PUT", f"/bucket/{key}", body).status == 200
    service.close()
    (torn,) = (path for path in (tmp_path / "records/objects").glob("??/*") if path.stat().st_size == 4)
    torn.write_bytes(b"")
    service = _service(tmp_path)
    service.open()
    assert _do(service, "GET", "/bucket/torn").status == 404
    with contextlib.closing(_do(service, "GET", "/bucket/whole").body) as body:
        assert b"".join(body) == b"whole!"
    service.close()
    assert not torn.exists()


def test_records_of_an_older_version_and_unreadable_ones_name_the_cure(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    old = tmp_path / "records/objects.pickle"
    old.write_bytes(b"moto's")
    with pytest.raises(LocalCloudError, match="older version") as error:
        _service(tmp_path).open()
    assert "reset" in error.value.hint
    old.unlink()
    (tmp_path / "records/objects.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(LocalCloudError, match="cannot be read") as error:
        _service(tmp_path).open()
    assert "reset" in error.value.hint
