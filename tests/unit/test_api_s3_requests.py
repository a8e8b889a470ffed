"""What clients of S3 send beyond the plain: conditions, checksums, streams, expectations, pages, permissions."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import Cloud, running_cloud

MIB = 1 << 20
ACROSS = 16


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        found.client("s3").create_bucket(Bucket="bucket")
        yield found


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def presign(cloud: Cloud) -> Callable[..., str]:
    s3 = cloud.client("s3", signature="s3v4")
    return lambda operation, **arguments: str(
        s3.generate_presigned_url(operation, Params={"Bucket": "bucket"} | arguments)
    )


def _code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(Bucket="bucket", **arguments)
    return str(error.value.response["Error"]["Code"])


def _at_once(call: Callable[[int], Any]) -> list[str]:
    """What ``call`` raised in each of many threads, "" for nothing."""
    barrier = threading.Barrier(ACROSS)

    def one(number: int) -> str:
        barrier.wait(30)
        try:
            call(number)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    with ThreadPoolExecutor(ACROSS) as pool:
        return sorted(pool.map(one, range(ACROSS)))


ONE_WINS = ["", *["PreconditionFailed"] * (ACROSS - 1)]


def test_of_many_writers_that_claim_a_key_exactly_one_wins(s3: Any) -> None:
    assert _at_once(lambda n: s3.put_object(Bucket="bucket", Key="claim", Body=b"%d" % n, IfNoneMatch="*")) == ONE_WINS


def test_of_many_writers_on_one_etag_exactly_one_wins(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="pointer", Body=b"0")["ETag"]
    assert _at_once(lambda n: s3.put_object(Bucket="bucket", Key="pointer", Body=b"n%d" % n, IfMatch=etag)) == ONE_WINS


def test_of_many_uploads_in_parts_that_claim_a_key_exactly_one_is_completed(s3: Any) -> None:
    place = {"Bucket": "bucket", "Key": "claimed-in-parts"}

    def upload(number: int) -> dict[str, Any]:
        identity = s3.create_multipart_upload(**place)["UploadId"]
        etag = s3.upload_part(**place, UploadId=identity, PartNumber=1, Body=b"%d" % number)["ETag"]
        return {"UploadId": identity, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}

    uploads = [upload(number) for number in range(ACROSS)]
    found = _at_once(lambda n: s3.complete_multipart_upload(**place, **uploads[n], IfNoneMatch="*"))
    assert found == ONE_WINS


def test_of_many_copies_that_claim_a_key_exactly_one_wins(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="original", Body=b"1")
    source = {"Bucket": "bucket", "Key": "original"}
    call = lambda _: s3.copy_object(Bucket="bucket", Key="copied-once", CopySource=source, IfNoneMatch="*")  # noqa: E731
    assert _at_once(call) == ONE_WINS


def test_readers_are_not_disturbed_by_writers(s3: Any) -> None:
    bodies = [bytes([65 + number]) * 300_000 for number in range(4)]
    s3.put_object(Bucket="bucket", Key="busy", Body=bodies[0])

    def work(number: int) -> None:
        for turn in range(6):
            if number % 2:
                s3.put_object(Bucket="bucket", Key="busy", Body=bodies[(number + turn) % 4])
            else:
                found = s3.get_object(Bucket="bucket", Key="busy")
                body = found["Body"].read()
                assert body in bodies
                assert found["ETag"].strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()

    assert set(_at_once(work)) == {""}


def test_a_slow_sender_holds_nobody_up(cloud: Cloud, s3: Any, presign: Callable[..., str]) -> None:
    url = urlsplit(presign("put_object", Key="slow"))
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"12345")
    s3.put_object(Bucket="bucket", Key="slow", Body=b"quick")
    s3.delete_object(Bucket="bucket", Key="slow")
    connection.send(b"67890")
    assert connection.getresponse().status == 200
    connection.close()
    assert s3.get_object(Bucket="bucket", Key="slow")["Body"].read() == b"1234567890"


def _expecting(url: str, length: int, headers: str = "") -> tuple[socket.socket, bytes]:
    parts = urlsplit(url)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)), 10)
    connection.sendall(
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
        f"Expect: 100-continue\r\n{headers}\r\n".encode()
    )
    return connection, connection.recv(4096)


def test_a_sender_that_asks_first_sends_no_body_that_would_be_refused(s3: Any, presign: Callable[..., str]) -> None:
    s3.put_object(Bucket="bucket", Key="taken", Body=b"")
    connection, answer = _expecting(presign("put_object", Key="taken"), 5, "If-None-Match: *\r\n")
    with connection:
        assert answer.startswith(b"HTTP/1.1 412 ")
        assert b"Connection: close" in answer
    connection, answer = _expecting(presign("put_object", Key="free"), 5)
    with connection:
        assert answer == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert s3.get_object(Bucket="bucket", Key="free")["Body"].read() == b"hello"


def _request(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.putrequest(method, f"{parts.path}?{parts.query}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_body_without_a_length_is_refused(presign: Callable[..., str]) -> None:
    status, body = _request("PUT", presign("put_object", Key="k"))
    assert status == 411
    assert b"<Code>MissingContentLength</Code>" in body


def test_a_wrong_digest_changes_nothing(s3: Any, presign: Callable[..., str]) -> None:
    s3.put_object(Bucket="bucket", Key="kept", Body=b"old")
    wrong = base64.b64encode(bytes(16)).decode()
    status, body = _request(
        "PUT", presign("put_object", Key="kept"), b"new", {"Content-Length": "3", "Content-MD5": wrong}
    )
    assert (status, b"<Code>BadDigest</Code>" in body) == (400, True)
    checksum = {"Content-Length": "3", "x-amz-checksum-crc32": "AAAAAA=="}
    status, body = _request("PUT", presign("put_object", Key="kept", ChecksumCRC32="AAAAAA=="), b"new", checksum)
    assert (status, b"<Code>BadDigest</Code>" in body) == (400, True)
    assert s3.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"old"


@pytest.mark.parametrize(
    ("name", "value"), [("x-amz-copy-source", "/bucket/private"), ("x-amz-meta-owner", "me"), ("X-Amz-Tagging", "a=b")]
)
def test_a_presigned_url_is_good_for_the_request_that_was_signed_only(
    s3: Any, presign: Callable[..., str], name: str, value: str
) -> None:
    s3.put_object(Bucket="bucket", Key="private", Body=b"secret")
    status, body = _request("PUT", presign("put_object", Key="mine"), headers={"Content-Length": "0", name: value})
    assert (status, f"not signed: {name.lower()}" in body.decode()) == (403, True)
    assert _code(s3.head_object, Key="mine") == "404"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_is_kept_with_the_object(s3: Any, algorithm: str) -> None:
    made = s3.put_object(Bucket="bucket", Key="summed", Body=b"hello", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="bucket", Key="summed", ChecksumMode="ENABLED")
    assert made[f"Checksum{algorithm}"] == head[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    wanted = ["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"]
    found = s3.get_object_attributes(Bucket="bucket", Key="summed", ObjectAttributes=wanted)
    assert found["Checksum"][f"Checksum{algorithm}"] == made[f"Checksum{algorithm}"]
    assert (found["ObjectSize"], found["StorageClass"]) == (5, "STANDARD")
    copy = s3.copy_object(Bucket="bucket", Key="summed2", CopySource={"Bucket": "bucket", "Key": "summed"})
    assert copy["CopyObjectResult"][f"Checksum{algorithm}"] == made[f"Checksum{algorithm}"]


def test_the_checksum_of_an_upload_in_parts_is_of_its_parts_or_of_the_whole(s3: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    bodies = (b"a" * 5 * MIB, b"b")
    sums = [zlib.crc32(body).to_bytes(4, "big") for body in bodies]
    whole = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    composite = base64.b64encode(zlib.crc32(b"".join(sums)).to_bytes(4, "big")).decode() + "-2"
    for kind, expected in (("FULL_OBJECT", whole), ("COMPOSITE", composite)):
        place = {"Bucket": "bucket", "Key": kind}
        upload = s3.create_multipart_upload(**place, ChecksumAlgorithm="CRC32", ChecksumType=kind)["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            made = s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
            parts.append({"PartNumber": number, "ETag": made["ETag"], "ChecksumCRC32": made["ChecksumCRC32"]})
        done = s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
        assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, kind)
        assert s3.head_object(**place, ChecksumMode="ENABLED")["ChecksumCRC32"] == expected
        assert s3.head_object(**place, PartNumber=1)["PartsCount"] == 2
        assert s3.get_object(**place, PartNumber=2)["Body"].read() == b"b"


def test_parts_that_do_not_fit_are_refused(s3: Any) -> None:
    place = {"Key": "misfit"}
    upload = s3.create_multipart_upload(Bucket="bucket", **place)["UploadId"]
    etags = [
        s3.upload_part(Bucket="bucket", **place, UploadId=upload, PartNumber=number, Body=b"small")["ETag"]
        for number in (1, 2)
    ]

    def refused(*parts: tuple[int, str]) -> str:
        listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return _code(s3.complete_multipart_upload, **place, UploadId=upload, MultipartUpload={"Parts": listed})

    assert refused((1, etags[0]), (2, etags[1])) == "EntityTooSmall"
    assert refused((2, etags[1]), (1, etags[0])) == "InvalidPartOrder"
    assert refused((1, '"' + "0" * 32 + '"')) == "InvalidPart"
    assert refused((3, etags[0])) == "InvalidPart"
    assert refused() == "MalformedXML"
    assert _code(s3.upload_part, **place, UploadId=upload, PartNumber=10_001, Body=b"") == "InvalidArgument"
    assert _code(s3.upload_part, **place, UploadId="x" * 40, PartNumber=1, Body=b"") == "NoSuchUpload"
    listed = s3.list_parts(Bucket="bucket", **place, UploadId=upload, MaxParts=1)
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 1)


def test_reads_have_conditions_too(s3: Any) -> None:
    made = s3.put_object(Bucket="bucket", Key="read", Body=b"body")
    place = {"Key": "read"}
    assert _code(s3.get_object, **place, IfMatch='"0"') == "PreconditionFailed"
    assert _code(s3.get_object, **place, IfNoneMatch=made["ETag"]) == "304"
    when = s3.head_object(Bucket="bucket", **place)["LastModified"]
    assert _code(s3.get_object, **place, IfModifiedSince=when) == "304"
    assert (
        s3.get_object(Bucket="bucket", **place, IfMatch=made["ETag"], IfUnmodifiedSince=when)["Body"].read() == b"body"
    )


def test_metadata_comes_back_and_is_copied_or_replaced(s3: Any) -> None:
    given = {
        "ContentType": "text/plain",
        "CacheControl": "no-cache",
        "ContentDisposition": "inline",
        "Metadata": {"a": "1"},
    }
    s3.put_object(Bucket="bucket", Key="meta", Body=b"x", **given)
    source = {"Bucket": "bucket", "Key": "meta"}
    assert _code(s3.copy_object, Key="meta", CopySource=source) == "InvalidRequest"
    s3.copy_object(Bucket="bucket", Key="meta2", CopySource=source)
    found = s3.head_object(Bucket="bucket", Key="meta2")
    assert {name: found[name] for name in given} == given
    s3.copy_object(Bucket="bucket", Key="meta", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    found = s3.head_object(Bucket="bucket", Key="meta")
    assert (found["Metadata"], found["ContentType"]) == ({"b": "2"}, "binary/octet-stream")
    assert _code(s3.put_object, Key="meta", Body=b"", Metadata={"big": "x" * 2048}) == "MetadataTooLarge"
    assert _code(s3.put_object, Key="k" * 1025, Body=b"") == "KeyTooLongError"


def test_many_keys_are_deleted_at_once_each_with_its_own_answer(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="bulk/1", Body=b"")["ETag"]
    s3.put_object(Bucket="bucket", Key="bulk/2", Body=b"")
    wanted = [{"Key": "bulk/1", "ETag": etag}, {"Key": "bulk/2", "ETag": '"0"'}, {"Key": "bulk/<&>"}]
    found = s3.delete_objects(Bucket="bucket", Delete={"Objects": wanted})
    assert [one["Key"] for one in found["Deleted"]] == ["bulk/1", "bulk/<&>"]
    assert [(one["Key"], one["Code"]) for one in found["Errors"]] == [("bulk/2", "PreconditionFailed")]
    many = [{"Key": str(number)} for number in range(1001)]
    assert _code(s3.delete_objects, Delete={"Objects": many}) == "MalformedXML"


def test_listings_go_on_where_they_ended_through_keys_and_folders(s3: Any) -> None:
    keys = ["l/a", "l/b/1", "l/b/2", "l/c", "l/d/1", "l/é", "l/\U0001f600"]
    for key in keys:
        s3.put_object(Bucket="bucket", Key=key, Body=b"")
    for size in (1, 2, 3, 7):
        found: list[str] = []
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix="l/", Delimiter="/", PaginationConfig={"PageSize": size}
        )
        for page in pages:
            found += [one["Key"] for one in page.get("Contents", [])]
            found += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        assert sorted(found, key=str.encode) == ["l/a", "l/b/", "l/c", "l/d/", "l/é", "l/\U0001f600"]
        plain = s3.get_paginator("list_objects").paginate(
            Bucket="bucket", Prefix="l/", PaginationConfig={"PageSize": size}
        )
        assert [one["Key"] for page in plain for one in page["Contents"]] == keys
    after = s3.list_objects_v2(Bucket="bucket", Prefix="l/", StartAfter="l/b/1", FetchOwner=True)["Contents"]
    assert after[0]["Key"] == "l/b/2"
    assert after[0]["Owner"]["ID"]
    assert s3.list_objects_v2(Bucket="bucket", Prefix="l/", MaxKeys=0)["KeyCount"] == 0
    assert _code(s3.list_objects_v2, ContinuationToken="?") == "InvalidArgument"


def test_whoever_may_not_list_is_not_told_what_is_missing(cloud: Cloud, s3: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    iam = cloud.client("iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(
        UserName="reader",
        PolicyName="p",
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject",'
        ' "s3:DeleteObject"], "Resource": "arn:aws:s3:::bucket/open/*"}]}',
    )
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = cloud.client("s3", (key["AccessKeyId"], key["SecretAccessKey"]))
    s3.put_object(Bucket="bucket", Key="open/k", Body=b"1")
    assert reader.get_object(Bucket="bucket", Key="open/k")["Body"].read() == b"1"
    assert _code(reader.get_object, Key="open/missing") == "AccessDenied"
    assert _code(s3.get_object, Key="open/missing") == "NoSuchKey"
    assert _code(reader.put_object, Key="open/k", Body=b"") == "AccessDenied"
    found = reader.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "open/k"}, {"Key": "closed"}]})
    assert [one["Key"] for one in found["Deleted"]] == ["open/k"]
    assert [(one["Key"], one["Code"]) for one in found["Errors"]] == [("closed", "AccessDenied")]


def test_awscli_copies_syncs_and_removes(cloud: Cloud, tmp_path: Path) -> None:
    aws = Path(sys.executable).with_name("aws")
    if not aws.exists():
        pytest.skip("awscli is not installed")
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "one").write_bytes(b"1")
    (tree / "deep/two").write_bytes(b"2" * 9 * MIB)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": cloud.keys[0],
        "AWS_SECRET_ACCESS_KEY": cloud.keys[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": cloud.url,
    }

    def run(*arguments: str) -> str:
        done = subprocess.run([aws, "s3", *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("sync", str(tree), "s3://bucket/tree")
    assert "deep/two" in run("ls", "--recursive", "s3://bucket/tree/")
    run("sync", "s3://bucket/tree", str(tmp_path / "back"))
    assert (tmp_path / "back/deep/two").read_bytes() == b"2" * 9 * MIB
    run("mv", "s3://bucket/tree/one", "s3://bucket/tree/uno")
    run("rm", "--recursive", "s3://bucket/tree/")
    assert "tree" not in run("ls", "--recursive", "s3://bucket/")


def test_an_empty_stream_of_unknown_parts_is_uploaded_by_the_sdk(s3: Any) -> None:
    s3.upload_fileobj(io.BytesIO(b""), "bucket", "nothing")
    assert s3.head_object(Bucket="bucket", Key="nothing")["ContentLength"] == 0
