"""S3's checksums: known values, any cut, and joining those of parts."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from hcluster.localcloud.api.s3 import checksums

CHECK = b"123456789"


def _bytes(seed: int, size: int) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


def _value(algorithm: str, *pieces: bytes) -> bytes:
    digest = checksums.digest_of(algorithm)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("SHA1", hashlib.sha1(CHECK, usedforsecurity=False).hexdigest()),
        ("SHA256", hashlib.sha256(CHECK).hexdigest()),
    ],
)
def test_the_catalogues_check_value_comes_out(algorithm: str, expected: str) -> None:
    assert _value(algorithm, CHECK).hex() == expected


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 1000, 65_535, 65_536, 65_537, 200_003])
def test_folding_gives_what_byte_by_byte_gives(algorithm: str, size: int) -> None:
    data = _bytes(size, size)
    pieces = [data[start : start + 97] for start in range(0, size, 97)]  # too small to fold
    assert _value(algorithm, data) == _value(algorithm, *pieces)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_the_crc_of_a_whole_follows_from_those_of_its_parts(algorithm: str) -> None:
    parts = [_bytes(number, size) for number, size in enumerate((5000, 1, 0, 70_000))]
    joined = checksums.joined_crc(algorithm, [(_value(algorithm, part), len(part)) for part in parts])
    assert joined == _value(algorithm, b"".join(parts))


def test_crc32_is_zlibs() -> None:
    assert _value("CRC32", b"ab", b"c") == zlib.crc32(b"abc").to_bytes(4, "big")


def test_a_checksum_of_the_wrong_length_is_none() -> None:
    assert checksums.decoded("CRC32", base64.b64encode(b"12345").decode()) is None
    assert checksums.decoded("CRC32", "no base64!") is None
    assert checksums.decoded("CRC32", base64.b64encode(b"1234").decode()) == b"1234"


def test_which_algorithms_may_be_of_the_whole_or_of_the_parts() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    allowed = {
        (algorithm, kind)
        for algorithm in checksums.ALGORITHMS
        for kind in (checksums.COMPOSITE, checksums.FULL_OBJECT)
        if checksums.may_be(algorithm, kind)
    }
    assert {algorithm for algorithm, kind in allowed if kind == "FULL_OBJECT"} == {"CRC32", "CRC32C", "CRC64NVME"}
    assert {algorithm for algorithm, kind in allowed if kind == "COMPOSITE"} == {"CRC32", "CRC32C", "SHA1", "SHA256"}
    assert checksums.default_type("CRC64NVME") == "FULL_OBJECT"
    assert checksums.default_type("CRC32") == "COMPOSITE"
