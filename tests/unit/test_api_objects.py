"""S3: objects as files, conditional writes, uploads in parts."""

from __future__ import annotations

import hashlib
import http.client
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import Cloud, running_cloud

MIB = 1 << 20


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        found.client("s3").create_bucket(Bucket="bucket")
        yield found


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


def _files(cloud: Cloud) -> list[Path]:
    return [path for path in (cloud.settings.folder / "records/objects").glob("*/*") if path.is_file()]


def _parts(s3: Any, key: str, *bodies: bytes) -> tuple[str, list[dict[str, Any]]]:
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        etag = s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    return upload, parts


@pytest.mark.parametrize("key", ["plain", "a b/ü+c=d&e", "tags/hcluster:cluster=x/~y", "a//b", "%41"])
def test_any_key_comes_back(s3: Any, key: str) -> None:
    etag = s3.put_object(Bucket="bucket", Key=key, Body=b"body of " + key.encode())["ETag"]
    found = s3.get_object(Bucket="bucket", Key=key)
    assert found["Body"].read() == b"body of " + key.encode()
    assert (
        found["ETag"] == etag == '"' + hashlib.md5(b"body of " + key.encode(), usedforsecurity=False).hexdigest() + '"'
    )
    assert key in [o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    s3.delete_object(Bucket="bucket", Key=key)
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="bucket", Key=key)


def test_ranges_heads_and_empty_objects(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="ten", Body=b"0123456789", Metadata={"my_key": "v"})
    for wanted, body in (
        ("bytes=2-4", b"234"),
        ("bytes=7-", b"789"),
        ("bytes=-2", b"89"),
        ("bytes=0-99", b"0123456789"),
    ):
        assert s3.get_object(Bucket="bucket", Key="ten", Range=wanted)["Body"].read() == body
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket="bucket", Key="ten", Range="bytes=20-")
    head = s3.head_object(Bucket="bucket", Key="ten")
    assert head["ContentLength"] == 10
    assert head["Metadata"] == {"my_key": "v"}
    s3.put_object(Bucket="bucket", Key="empty", Body=b"")
    assert s3.get_object(Bucket="bucket", Key="empty")["Body"].read() == b""
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="bucket", Key="missing")


def test_bytes_are_in_a_file_and_go_with_the_object(cloud: Cloud, s3: Any) -> None:
    before = set(_files(cloud))
    s3.put_object(Bucket="bucket", Key="file", Body=b"first")
    (made,) = set(_files(cloud)) - before
    assert made.read_bytes() == b"first"
    s3.put_object(Bucket="bucket", Key="file", Body=b"second")
    (replaced,) = set(_files(cloud)) - before
    assert not made.exists()
    assert replaced.read_bytes() == b"second"
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "file"}]})
    assert set(_files(cloud)) == before


def test_an_upload_in_parts_becomes_one_object_of_its_parts_files(cloud: Cloud, s3: Any) -> None:
    before = set(_files(cloud))
    bodies = (b"a" * 5 * MIB, b"b" * 5 * MIB, b"c" * 1000)
    upload, parts = _parts(s3, "parts", *bodies)
    assert [p["Size"] for p in s3.list_parts(Bucket="bucket", Key="parts", UploadId=upload)["Parts"]] == [
        len(b) for b in bodies
    ]
    done = s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-3"')
    assert sorted(path.stat().st_size for path in set(_files(cloud)) - before) == [1000, 5 * MIB, 5 * MIB]
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == b"".join(bodies)
    body = s3.get_object(Bucket="bucket", Key="parts", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")["Body"].read()
    assert body == b"aabb"
    again = s3.complete_multipart_upload(
        Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert again["ETag"] == done["ETag"], "completing twice is no error"
    s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "parts"})
    s3.delete_object(Bucket="bucket", Key="parts")
    assert len(s3.get_object(Bucket="bucket", Key="copy")["Body"].read()) == 10 * MIB + 1000
    s3.delete_object(Bucket="bucket", Key="copy")
    assert set(_files(cloud)) == before


def test_big_files_go_through_the_sdks_own_transfer(cloud: Cloud, s3: Any) -> None:
    content = bytes(range(256)) * (20 * MIB // 256)
    s3.upload_fileobj(io.BytesIO(content), "bucket", "big")
    found = io.BytesIO()
    s3.download_fileobj("bucket", "big", found)
    assert found.getvalue() == content
    part = s3.create_multipart_upload(Bucket="bucket", Key="rejoined")["UploadId"]
    source = {"Bucket": "bucket", "Key": "big"}
    copied = s3.upload_part_copy(
        Bucket="bucket", Key="rejoined", UploadId=part, PartNumber=1, CopySource=source, CopySourceRange="bytes=256-511"
    )
    parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(Bucket="bucket", Key="rejoined", UploadId=part, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="bucket", Key="rejoined")["Body"].read() == content[256:512]


def test_an_aborted_upload_leaves_no_file(cloud: Cloud, s3: Any) -> None:
    before = set(_files(cloud))
    upload, _ = _parts(s3, "pending/x", b"1" * 100)
    found = s3.list_multipart_uploads(Bucket="bucket", Prefix="pending/")["Uploads"]
    assert [u["UploadId"] for u in found] == [upload]
    s3.abort_multipart_upload(Bucket="bucket", Key="pending/x", UploadId=upload)
    assert set(_files(cloud)) == before
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.list_parts(Bucket="bucket", Key="pending/x", UploadId=upload)


def test_conditional_writes(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="claim", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="bucket", Key="claim", Body=b"2", IfNoneMatch="*")
    newer = s3.put_object(Bucket="bucket", Key="claim", Body=b"2", IfMatch=etag)["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="bucket", Key="claim", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.delete_object(Bucket="bucket", Key="claim", IfMatch=etag)
    s3.delete_object(Bucket="bucket", Key="claim", IfMatch=newer)
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.put_object(Bucket="bucket", Key="claim", Body=b"3", IfMatch=newer)


def test_of_many_writers_at_once_one_claims_a_key(s3: Any) -> None:
    won: list[int] = []

    def claim(number: int) -> None:
        try:
            s3.put_object(Bucket="bucket", Key="race", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return
        won.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert s3.get_object(Bucket="bucket", Key="race")["Body"].read() == str(won[0]).encode()


def test_listing_in_pages_and_folders(s3: Any) -> None:
    for number in range(5):
        s3.put_object(Bucket="bucket", Key=f"pages/{number}/x", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="bucket", Prefix="pages/", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Contents"]) for page in pages] == [2, 2, 1]
    folders = s3.list_objects_v2(Bucket="bucket", Prefix="pages/", Delimiter="/")["CommonPrefixes"]
    assert folders[0] == {"Prefix": "pages/0/"}
    assert len(folders) == 5


def test_old_versions_keep_their_bytes(s3: Any) -> None:
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versions", Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket="versions", Key="k", Body=b"2")["VersionId"]
    s3.delete_object(Bucket="versions", Key="k")
    assert s3.get_object(Bucket="versions", Key="k", VersionId=first)["Body"].read() == b"1"
    s3.delete_object(Bucket="versions", Key="k", VersionId=first)
    assert s3.get_object(Bucket="versions", Key="k", VersionId=second)["Body"].read() == b"2"


def test_a_presigned_url_works_until_it_is_changed(cloud: Cloud, s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="signed", Body=b"for you")
    s3 = cloud.client("s3", signature="s3v4")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "signed"}, ExpiresIn=60)
    assert _get(url) == (200, b"for you")
    status, body = _get(url.replace("signed?", "ten?"))
    assert status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in body
    for seconds in (-1, 604801):
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "signed"}, ExpiresIn=seconds)
        status, body = _get(url)
        assert status == 400
        assert b"<Code>AuthorizationQueryParametersError</Code>" in body


def _get(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
