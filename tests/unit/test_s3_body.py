"""Bodies as they come off the socket: counted, checked, decoded. The signed ones are examples of S3's documentation."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from typing import Any

import pytest

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.s3.body import Received, announced, receive
from hcluster.localcloud.api.signature import ChunkSigner, _signing_key

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = "20130524/us-east-1/s3/aws4_request"
STAMP = "20130524T000000Z"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def _signer(seed: str) -> ChunkSigner:
    return ChunkSigner(_signing_key(SECRET, "20130524", "us-east-1", "s3"), STAMP, SCOPE, seed)


def _receive(wire: bytes, headers: dict[str, str], signer: ChunkSigner | None = None) -> tuple[bytes, Received]:
    found = bytearray()
    received = receive(io.BytesIO(wire), announced(headers), signer, found.extend)
    return bytes(found), received


def _refused(wire: bytes, headers: dict[str, str], signer: ChunkSigner | None = None) -> str:
    with pytest.raises(Fault) as error:
        _receive(wire, headers, signer)
    return error.value.code


def _chunk(data: bytes, signature: str = "") -> bytes:
    extension = f";chunk-signature={signature}" if signature else ""
    return f"{len(data):x}{extension}\r\n".encode() + data + (b"\r\n" if data else b"")


SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    (b"a" * 65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
HEADERS = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "66560"}


def _wire(chunks: Any = CHUNKS, end: bytes = b"\r\n") -> bytes:
    return b"".join(_chunk(data, signature) for data, signature in chunks) + end


def test_the_documentations_signed_chunks_are_accepted() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html"""
    body, received = _receive(_wire(), HEADERS, _signer(SEED))
    assert body == b"a" * 66_560
    assert received.size == 66_560
    assert received.md5 == hashlib.md5(body, usedforsecurity=False).digest()


def test_a_chunk_that_was_changed_on_the_way_is_refused() -> None:
    changed = ((b"b" + b"a" * 65_535, CHUNKS[0][1]), *CHUNKS[1:])
    assert _refused(_wire(changed), HEADERS, _signer(SEED)) == "SignatureDoesNotMatch"


def test_chunks_in_another_order_are_refused() -> None:
    swapped = ((b"a" * 65_536, CHUNKS[1][1]), (b"a" * 1024, CHUNKS[0][1]), CHUNKS[2])
    assert _refused(_wire(swapped), HEADERS, _signer(SEED)) == "SignatureDoesNotMatch"


def test_chunks_without_their_signature_are_refused() -> None:
    plain = tuple((data, "") for data, _ in CHUNKS)
    assert _refused(_wire(plain), HEADERS, _signer(SEED)) == "SignatureDoesNotMatch"


def test_a_cut_between_chunks_is_an_incomplete_body() -> None:
    whole = _wire()
    for length in (0, 50, 40_000, len(_chunk(*CHUNKS[0])), len(whole) - 120):
        assert _refused(whole[:length], HEADERS, _signer(SEED)) in ("IncompleteBody", "SignatureDoesNotMatch")


def test_only_the_last_chunk_may_be_small() -> None:
    signer = _signer(SEED)
    small = (b"a" * 100, "x" * 64)
    assert _refused(_wire((small, small)), HEADERS, signer) == "SignatureDoesNotMatch"
    unsigned = {"x-amz-content-sha256": UNSIGNED, "x-amz-decoded-content-length": "200"}
    body, _ = _receive(_wire(((b"a" * 100, ""), (b"a" * 100, ""), (b"", ""))), unsigned)
    assert len(body) == 200


def test_the_documentations_signed_trailer_is_accepted_and_its_checksum_checked() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html"""
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    chunks = (
        (b"a" * 65_536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (b"a" * 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (b"", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    )
    signature = b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    trailer = b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:%s\r\n\r\n"
    headers = HEADERS | {"x-amz-content-sha256": SIGNED + "-TRAILER", "x-amz-trailer": "x-amz-checksum-crc32c"}
    _, received = _receive(_wire(chunks, trailer % signature), headers, _signer(seed))
    assert base64.b64encode(received.checksum) == b"sOO8/Q=="
    assert _refused(_wire(chunks, trailer % (b"0" * 64)), headers, _signer(seed)) == "SignatureDoesNotMatch"


def _trailed(body: bytes, value: bytes, name: str = "x-amz-checksum-crc32") -> tuple[bytes, dict[str, str]]:
    wire = _chunk(body) + _chunk(b"") + f"{name}:{base64.b64encode(value).decode()}\r\n\r\n".encode()
    return wire, {
        "x-amz-content-sha256": UNSIGNED,
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }


def test_a_trailing_checksum_is_checked() -> None:
    right = zlib.crc32(b"hello").to_bytes(4, "big")
    body, received = _receive(*_trailed(b"hello", right))
    assert (body, received.algorithm, received.checksum) == (b"hello", "CRC32", right)
    assert _refused(*_trailed(b"hello", bytes(4))) == "BadDigest"
    assert _refused(*_trailed(b"hello", right, "x-amz-checksum-sha1")) == "MalformedTrailerError"


def test_a_body_of_another_length_than_announced_is_incomplete() -> None:
    assert _refused(b"1234", {"content-length": "5"}) == "IncompleteBody"
    wire, headers = _trailed(b"hello", zlib.crc32(b"hello").to_bytes(4, "big"))
    assert _refused(wire, headers | {"x-amz-decoded-content-length": "4"}) == "IncompleteBody"
    assert _refused(wire, headers | {"x-amz-decoded-content-length": "6"}) == "IncompleteBody"


def test_content_md5_is_checked() -> None:
    digest = hashlib.md5(b"1234", usedforsecurity=False).digest()
    headers = {"content-length": "4", "content-md5": base64.b64encode(digest).decode()}
    assert _receive(b"1234", headers)[0] == b"1234"
    assert _refused(b"1235", headers) == "BadDigest"
    assert _refused(b"1234", headers | {"content-md5": "short"}) == "InvalidDigest"


def test_the_signed_digest_is_checked() -> None:
    headers = {"content-length": "4", "x-amz-content-sha256": hashlib.sha256(b"1234").hexdigest()}
    assert _receive(b"1234", headers)[0] == b"1234"
    assert _refused(b"1235", headers) == "XAmzContentSHA256Mismatch"
    assert _refused(b"1234", headers | {"x-amz-content-sha256": "nonsense"}) == "InvalidArgument"


def test_what_needs_no_body_is_refused_before_one_is_read() -> None:
    for headers, code in (
        ({}, "MissingContentLength"),
        ({"x-amz-content-sha256": SIGNED, "content-length": "9"}, "MissingContentLength"),
        ({"content-length": str((5 << 30) + 1)}, "EntityTooLarge"),
        ({"content-length": "1", "x-amz-checksum-crc32": "?"}, "InvalidRequest"),
        (
            {"content-length": "1", "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="},
            "InvalidRequest",
        ),
        ({"content-length": "1", "x-amz-content-sha256": "STREAMING-SOMETHING"}, "InvalidRequest"),
        ({"content-length": "1", "x-amz-sdk-checksum-algorithm": "MD4"}, "InvalidRequest"),
    ):
        with pytest.raises(Fault) as error:
            announced(headers)
        assert error.value.code == code, headers
