"""Objects: writing, reading, conditions, listing, parts, copies, checksums, signed addresses."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig

from tests.contract.aws.account import Account, refused, status_of

PART = 5 << 20


def put(account: Account, bucket: str, key: str, body: bytes = b"body", **more: Any) -> str:
    """Write; the etag."""
    return str(account.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)["ETag"])


def get(account: Account, bucket: str, key: str, **more: Any) -> bytes:
    """Read."""
    return bytes(account.s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read())


def keys(account: Account, bucket: str, **more: Any) -> list[str]:
    """Keys of one page."""
    return [one["Key"] for one in account.s3.list_objects_v2(Bucket=bucket, **more).get("Contents") or ()]


# Writing and reading


def test_what_is_written_is_read_with_its_headers(account: Account, bucket: str) -> None:
    """The etag is the body's MD5, and encryption is told.

    docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    etag = put(account, bucket, "whole", b"hello", ContentType="text/plain", Metadata={"made-by": "contract"})
    assert etag == f'"{hashlib.md5(b"hello").hexdigest()}"'  # noqa: S324 - that is what S3 uses
    found = account.s3.get_object(Bucket=bucket, Key="whole")
    assert found["Body"].read() == b"hello"
    assert (found["ETag"], found["ContentType"], found["ContentLength"]) == (etag, "text/plain", 5)
    assert found["Metadata"] == {"made-by": "contract"}
    assert found["ServerSideEncryption"] == "AES256"
    assert abs(found["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    head = account.s3.head_object(Bucket=bucket, Key="whole")
    assert (head["ETag"], head["ContentLength"], head["Metadata"]) == (etag, 5, {"made-by": "contract"})


def test_a_write_is_seen_by_every_read_and_listing_after_it(account: Account, bucket: str) -> None:
    """Strong consistency, since December 2020; deletions, too.

    docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html
    """
    for body in (b"1", b"2", b"3"):
        put(account, bucket, "consistent", body)
        assert get(account, bucket, "consistent") == body
    assert keys(account, bucket, Prefix="consistent") == ["consistent"]
    account.s3.delete_object(Bucket=bucket, Key="consistent")
    assert keys(account, bucket, Prefix="consistent") == []


def test_what_is_not_there_is_no_such_key_and_bare_404_for_a_head(account: Account, bucket: str) -> None:
    """A HEAD has no body that could say more.

    docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    with refused("NoSuchKey"):
        get(account, bucket, "nothing")
    with refused("404") as caught:
        account.s3.head_object(Bucket=bucket, Key="nothing")
    assert status_of(caught.value) == 404


@pytest.mark.parametrize(
    "key", ["a b/c+d", "ünï/çode", "semi;colon&amp", "dots/../up", "trailing/", "%41", "tab\there"]
)
def test_keys_are_taken_as_they_are(account: Account, bucket: str, key: str) -> None:
    """Up to 1,024 bytes of UTF-8; nothing is a path.

    docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    put(account, bucket, f"names/{key}", key.encode())
    assert get(account, bucket, f"names/{key}") == key.encode()
    assert f"names/{key}" in keys(account, bucket, Prefix="names/")
    account.s3.delete_object(Bucket=bucket, Key=f"names/{key}")


def test_a_key_has_1024_bytes_at_most(account: Account, bucket: str) -> None:
    """One more is too long.

    docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    put(account, bucket, "x" * 1024)
    with refused("KeyTooLongError"):
        put(account, bucket, "x" * 1025)


def test_a_range_is_a_part_of_the_body(account: Account, bucket: str) -> None:
    """First bytes, last bytes, from somewhere on; past the end is an error.

    docs.aws.amazon.com/AmazonS3/latest/userguide/range-get-olap.html
    """
    put(account, bucket, "ranges", b"0123456789")
    assert get(account, bucket, "ranges", Range="bytes=0-3") == b"0123"
    assert get(account, bucket, "ranges", Range="bytes=7-") == b"789"
    assert get(account, bucket, "ranges", Range="bytes=-2") == b"89"
    assert get(account, bucket, "ranges", Range="bytes=8-99") == b"89"
    found = account.s3.get_object(Bucket=bucket, Key="ranges", Range="bytes=2-4")
    assert (found["ContentRange"], found["ContentLength"]) == ("bytes 2-4/10", 3)
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
    with refused("InvalidRange") as caught:
        get(account, bucket, "ranges", Range="bytes=10-")
    assert status_of(caught.value) == 416


# Conditions


def test_of_writes_that_ask_for_a_new_key_one_wins(account: Account, bucket: str) -> None:
    """If-None-Match: *.

    docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    put(account, bucket, "claims/one", b"first", IfNoneMatch="*")
    with refused("PreconditionFailed") as caught:
        put(account, bucket, "claims/one", b"second", IfNoneMatch="*")
    assert status_of(caught.value) == 412
    assert get(account, bucket, "claims/one") == b"first"


def test_a_write_may_ask_for_the_version_that_it_has_read(account: Account, bucket: str) -> None:
    """If-Match: another writer in between fails it, and a missing key is no such key.

    docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    first = put(account, bucket, "claims/two", b"first")
    second = put(account, bucket, "claims/two", b"second", IfMatch=first)
    with refused("PreconditionFailed"):
        put(account, bucket, "claims/two", b"third", IfMatch=first)
    assert get(account, bucket, "claims/two") == b"second"
    account.s3.delete_object(Bucket=bucket, Key="claims/two")
    with refused("NoSuchKey"):
        put(account, bucket, "claims/two", b"third", IfMatch=second)


def test_reads_may_be_conditional_as_well(account: Account, bucket: str) -> None:
    """304 for what one has already, 412 for what has changed.

    docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    etag = put(account, bucket, "claims/read")
    with refused("304") as caught:
        get(account, bucket, "claims/read", IfNoneMatch=etag)
    assert status_of(caught.value) == 304
    with refused("PreconditionFailed"):
        get(account, bucket, "claims/read", IfMatch='"0123456789abcdef0123456789abcdef"')
    assert get(account, bucket, "claims/read", IfMatch=etag) == b"body"
    written = account.s3.head_object(Bucket=bucket, Key="claims/read")["LastModified"]
    with refused("304"):
        get(account, bucket, "claims/read", IfModifiedSince=written)
    assert get(account, bucket, "claims/read", IfModifiedSince=written - timedelta(hours=1)) == b"body"


# Checksums


def test_a_body_that_does_not_fit_its_checksum_is_refused(account: Account, bucket: str) -> None:
    """Nothing is written.

    docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    with refused("BadDigest"):
        put(account, bucket, "sums/sha", b"this", ChecksumSHA256=wrong)
    with refused("BadDigest"):
        put(account, bucket, "sums/md5", b"this", ContentMD5=base64.b64encode(b"0" * 16).decode())
    with refused("InvalidDigest"):
        put(account, bucket, "sums/md5", b"this", ContentMD5="short")
    assert keys(account, bucket, Prefix="sums/") == []


def test_a_checksum_is_kept_and_told_when_asked_for(account: Account, bucket: str) -> None:
    """The SDK sends CRC32 when nothing else is asked for.

    docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    sha = base64.b64encode(hashlib.sha256(b"this").digest()).decode()
    put(account, bucket, "kept/sha", b"this", ChecksumAlgorithm="SHA256")
    head = account.s3.head_object(Bucket=bucket, Key="kept/sha", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sha
    crc = base64.b64encode(zlib.crc32(b"this").to_bytes(4, "big")).decode()
    put(account, bucket, "kept/crc", b"this")
    found = account.s3.get_object(Bucket=bucket, Key="kept/crc", ChecksumMode="ENABLED")
    assert (found["Body"].read(), found["ChecksumCRC32"]) == (b"this", crc)


# Listing and deleting


def test_a_listing_is_in_order_of_bytes_and_in_pages(account: Account, bucket: str) -> None:
    """Each page tells how to go on.

    docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    names = ["pages/B", "pages/a", "pages/a/1", "pages/b", "pages/é"]
    for name in reversed(names):
        put(account, bucket, name)
    first = account.s3.list_objects_v2(Bucket=bucket, Prefix="pages/", MaxKeys=2)
    assert [one["Key"] for one in first["Contents"]] == names[:2]
    assert (first["IsTruncated"], first["KeyCount"]) == (True, 2)
    token = first["NextContinuationToken"]
    rest = account.s3.list_objects_v2(Bucket=bucket, Prefix="pages/", ContinuationToken=token)
    assert [one["Key"] for one in rest["Contents"]] == names[2:]
    assert rest["IsTruncated"] is False
    assert keys(account, bucket, Prefix="pages/", StartAfter="pages/a/1") == names[3:]


def test_a_delimiter_folds_folders_which_count_as_keys(account: Account, bucket: str) -> None:
    """CommonPrefixes.

    docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    for name in ("a/1", "a/2", "b/1", "c"):
        put(account, bucket, f"folders/{name}")
    page = account.s3.list_objects_v2(Bucket=bucket, Prefix="folders/", Delimiter="/", MaxKeys=2)
    assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["folders/a/", "folders/b/"]
    assert (page.get("Contents"), page["KeyCount"], page["IsTruncated"]) == (None, 2, True)
    rest = account.s3.list_objects_v2(
        Bucket=bucket, Prefix="folders/", Delimiter="/", ContinuationToken=page["NextContinuationToken"]
    )
    assert [one["Key"] for one in rest["Contents"]] == ["folders/c"]


def test_deleting_what_is_gone_is_no_error(account: Account, bucket: str) -> None:
    """One by one or in bulk.

    docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    put(account, bucket, "gone/a")
    assert account.s3.delete_object(Bucket=bucket, Key="gone/b")["ResponseMetadata"]["HTTPStatusCode"] == 204
    answer = account.s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "gone/a"}, {"Key": "gone/b"}], "Quiet": False}
    )
    assert sorted(one["Key"] for one in answer["Deleted"]) == ["gone/a", "gone/b"]
    assert "Errors" not in answer
    quiet = account.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "gone/a"}], "Quiet": True})
    assert "Deleted" not in quiet


def test_a_bulk_deletion_names_a_thousand_keys_at_most(account: Account, bucket: str) -> None:
    """One more is malformed.

    docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    many = [{"Key": f"bulk/{number}"} for number in range(1001)]
    with refused("MalformedXML"):
        account.s3.delete_objects(Bucket=bucket, Delete={"Objects": many})
    assert len(account.s3.delete_objects(Bucket=bucket, Delete={"Objects": many[:1000]})["Deleted"]) == 1000


# Parts


def begin(account: Account, bucket: str, key: str) -> dict[str, Any]:
    """A multipart upload: what names it in the other calls."""
    upload = account.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    return {"Bucket": bucket, "Key": key, "UploadId": upload}


def part(account: Account, upload: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    """Upload one part; how the completion names it."""
    return {"PartNumber": number, "ETag": account.s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}


def test_an_object_of_parts_is_there_when_it_is_completed(account: Account, bucket: str) -> None:
    """Its etag counts the parts; an earlier object stays until then.

    docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    put(account, bucket, "parts/whole", b"before")
    upload = begin(account, bucket, "parts/whole")
    parts = [part(account, upload, 1, b"a" * PART), part(account, upload, 2, b"tail")]
    assert get(account, bucket, "parts/whole") == b"before"
    listed = account.s3.list_parts(**upload)["Parts"]
    assert [(one["PartNumber"], one["Size"]) for one in listed] == [(1, PART), (2, 4)]
    uploads = account.s3.list_multipart_uploads(Bucket=bucket, Prefix="parts/")["Uploads"]
    assert upload["UploadId"] in [one["UploadId"] for one in uploads]
    done = account.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    digests = b"".join(bytes.fromhex(one["ETag"].strip('"')) for one in parts)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'  # noqa: S324 - that is what S3 uses
    assert get(account, bucket, "parts/whole") == b"a" * PART + b"tail"


def test_parts_but_the_last_have_five_mebibytes_at_least(account: Account, bucket: str) -> None:
    """Else they are too small.

    docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    """
    upload = begin(account, bucket, "parts/small")
    parts = [part(account, upload, number, b"x") for number in (1, 2)]
    with refused("EntityTooSmall"):
        account.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    account.s3.abort_multipart_upload(**upload)


def test_a_completion_names_parts_that_exist_in_their_order(account: Account, bucket: str) -> None:
    """InvalidPart, InvalidPartOrder.

    docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    upload = begin(account, bucket, "parts/wrong")
    first, second = part(account, upload, 1, b"a" * PART), part(account, upload, 2, b"b")
    with refused("InvalidPartOrder"):
        account.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [second, first]})
    missing = {"PartNumber": 3, "ETag": second["ETag"]}
    with refused("InvalidPart"):
        account.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [first, missing]})
    account.s3.abort_multipart_upload(**upload)


def test_an_aborted_upload_is_no_such_upload(account: Account, bucket: str) -> None:
    """Its parts are gone.

    docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
    """
    upload = begin(account, bucket, "parts/aborted")
    part(account, upload, 1, b"x")
    account.s3.abort_multipart_upload(**upload)
    with refused("NoSuchUpload"):
        part(account, upload, 2, b"x")
    with refused("NoSuchUpload"):
        account.s3.list_parts(**upload)


def test_a_completion_may_ask_for_a_new_key(account: Account, bucket: str) -> None:
    """As a single write may.

    docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    upload = begin(account, bucket, "parts/claim")
    parts = {"Parts": [part(account, upload, 1, b"late")]}
    put(account, bucket, "parts/claim", b"first")
    with refused("PreconditionFailed"):
        account.s3.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*")
    assert get(account, bucket, "parts/claim") == b"first"
    account.s3.abort_multipart_upload(**upload)


def test_a_large_file_goes_up_in_parts_side_by_side(account: Account, bucket: str) -> None:
    """As the SDK's transfer manager does it.

    docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    """
    body = bytes(range(256)) * (12 << 12)  # 12 MiB
    transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
    account.s3.upload_fileobj(io.BytesIO(body), bucket, "parts/large", Config=transfer)
    back = io.BytesIO()
    account.s3.download_fileobj(bucket, "parts/large", back, Config=transfer)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(body).digest()
    assert account.s3.head_object(Bucket=bucket, Key="parts/large")["ETag"].endswith('-3"')


# Copies


def test_a_copy_takes_the_metadata_along_or_new_ones(account: Account, bucket: str) -> None:
    """MetadataDirective.

    docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    put(account, bucket, "copies/from", b"x", Metadata={"a": "1"}, ContentType="text/plain")
    source = {"Bucket": bucket, "Key": "copies/from"}
    account.s3.copy_object(Bucket=bucket, Key="copies/same", CopySource=source)
    account.s3.copy_object(
        Bucket=bucket, Key="copies/new", CopySource=source, Metadata={"b": "2"}, MetadataDirective="REPLACE"
    )
    same, new = (account.s3.head_object(Bucket=bucket, Key=f"copies/{name}") for name in ("same", "new"))
    assert (same["Metadata"], same["ContentType"]) == ({"a": "1"}, "text/plain")
    assert new["Metadata"] == {"b": "2"}
    with refused("InvalidRequest"):
        account.s3.copy_object(Bucket=bucket, Key="copies/from", CopySource=source)
    with refused("NoSuchKey"):
        account.s3.copy_object(Bucket=bucket, Key="copies/x", CopySource={"Bucket": bucket, "Key": "copies/none"})


def test_a_part_may_be_a_range_of_another_object(account: Account, bucket: str) -> None:
    """UploadPartCopy.

    docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    put(account, bucket, "copies/range", b"0123456789")
    upload = begin(account, bucket, "copies/of-range")
    copied = account.s3.upload_part_copy(
        **upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "copies/range"}, CopySourceRange="bytes=2-5"
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    account.s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert get(account, bucket, "copies/of-range") == b"2345"


def test_tags_of_an_object_are_given_with_it_or_later(account: Account, bucket: str) -> None:
    """Ten at most.

    docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    put(account, bucket, "tagged", b"", Tagging="kind=check-in")
    found = account.s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"]
    assert found == [{"Key": "kind", "Value": "check-in"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(11)]
    with refused("BadRequest", "InvalidTag"):
        account.s3.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": many})


# Signed addresses


def fetch(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """What a plain HTTP client gets."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_signed_address_opens_one_object_for_one_method(account: Account, bucket: str) -> None:
    """To whoever has it, as long as it is unchanged.

    docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html
    """
    put(account, bucket, "signed", b"for you")
    s3 = account.client("s3", signature="s3v4")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=60)
    assert fetch("GET", url) == (200, b"for you")
    status, body = fetch("GET", url.replace("/signed?", "/sighed?"))
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    status, body = fetch("PUT", url, b"mine")
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    upload = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "signed/up"}, ExpiresIn=60)
    assert fetch("PUT", upload, b"from anybody")[0] == 200
    assert get(account, bucket, "signed/up") == b"from anybody"


def test_a_signed_address_ends(account: Account, bucket: str) -> None:
    """AccessDenied, "Request has expired".

    docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    s3 = account.client("s3", signature="s3v4")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=1)

    def expired() -> bool:
        status, body = fetch("GET", url)
        return status == 403 and b"Request has expired" in body and b"<Code>AccessDenied</Code>" in body

    account.until(expired)


def test_a_request_without_a_signature_is_denied(account: Account, bucket: str) -> None:
    """Nothing here is public.

    docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    s3 = account.client("s3", signature="s3v4")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"})
    status, body = fetch("GET", url.split("?", maxsplit=1)[0])
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)
