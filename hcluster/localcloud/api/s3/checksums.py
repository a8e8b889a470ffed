"""The checksums that S3 knows: computed on the way, and joined from those of parts. Pure.

CRC32C and CRC64NVME are not in Python's library and a byte-wise loop makes 5 MB a second. CRCs are remainders of
polynomials over GF(2), and Python's integers are long: a block is folded in halves (the earlier half is multiplied by
x^D mod P, which is a few shifts and XORs of the whole half, and added to the later one) until a few bytes are left for
the table. That makes a hundred MB a second, of nothing but the standard library.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import queue
import threading
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
LENGTHS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
HEADERS = {name: f"x-amz-checksum-{name.lower()}" for name in ALGORITHMS}

# Polynomials without their leading term, bits reversed: the lowest bit is the coefficient of x^(width-1).
_POLYNOMIALS = {"CRC32": (32, 0xEDB88320), "CRC32C": (32, 0x82F63B78), "CRC64NVME": (64, 0x9A6C9329AC4BC9B5)}
_SMALL = 128
"""Bytes from which on folding is worth it."""
_FOLD = 1 << 16
_SEARCH = 1500
_LONG = 4 << 20
"""Bytes from which on a second thread is worth it."""
_AHEAD = 8
"""Pieces that may wait for it."""


class Digest(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """The checksum of all bytes so far."""
        ...


def digest_of(algorithm: str) -> Digest:
    """A new computation of a checksum by its name in S3."""
    if algorithm in ("SHA1", "SHA256"):
        return hashlib.new(algorithm.lower(), usedforsecurity=False)
    return Crc32() if algorithm == "CRC32" else Crc(algorithm)


class Crc32:
    """CRC32, by zlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Four bytes, highest first."""
        return self._value.to_bytes(4, "big")


class Crc:
    """A reflected CRC that begins and ends with all bits turned."""

    def __init__(self, algorithm: str) -> None:
        self._width, self._polynomial = _POLYNOMIALS[algorithm]
        self._ones = (1 << self._width) - 1
        self._register = self._ones

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        view = memoryview(data)
        for start in range(0, len(view), _FOLD):
            self._block(bytes(view[start : start + _FOLD]))

    def digest(self) -> bytes:
        """The checksum, highest byte first."""
        return (self._register ^ self._ones).to_bytes(self._width // 8, "big")

    def _block(self, block: bytes) -> None:
        if len(block) >= _SMALL:
            # The register is added to the first bits; what is folded then begins with an empty register.
            value = int.from_bytes(block, "little") ^ self._register
            bits = 8 * len(block)
            for cut, shifts in _folds(self._width, self._polynomial, bits):
                early = value & ((1 << cut) - 1)
                value >>= cut
                for shift in shifts:
                    value ^= early << shift
                bits -= cut
            register, block = 0, value.to_bytes(bits // 8, "little")
        else:
            register = self._register
        table = _table(self._polynomial)
        for byte in block:
            register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
        self._register = register


@lru_cache(maxsize=8)
def _table(polynomial: int) -> tuple[int, ...]:
    entries = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


@lru_cache(maxsize=1024)
def _folds(width: int, polynomial: int, bits: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Steps (bits cut off at the low end, shifts to add them again with) that make ``bits`` few.

    In reversed order bit i stands for x^(n-1-i). The first m bits, times x^D mod P instead of x^D, lie D - t further
    for each term x^t of that remainder; with D = m + width - 1 they are clear of the bits that are cut off. Among
    many D the one whose remainder has the fewest terms costs least.
    """
    steps = []
    while bits > 8 * _SMALL:
        most = (bits - 2 * width) // 16 * 8
        first = max(most - _SEARCH // 8 * 8, most // 2 // 8 * 8)
        cut, remainder = first, _power(width, polynomial, first + width - 1)
        best, fewest = (cut, remainder), remainder.bit_count()
        while cut < most:
            cut += 8
            for _ in range(8):
                remainder = (remainder >> 1) ^ (polynomial if remainder & 1 else 0)
            if remainder.bit_count() <= fewest:
                best, fewest = (cut, remainder), remainder.bit_count()
        cut, remainder = best
        # Reversed, bit b of the remainder is the coefficient of x^(width-1-b).
        steps.append((cut, tuple(bit for bit in range(width) if remainder >> bit & 1)))
        bits -= cut
    return tuple(steps)


def _times(width: int, polynomial: int, left: int, right: int) -> int:
    """The product of two reversed polynomials, modulo P."""
    # Horner's rule, highest power (lowest bit) of `right` first.
    product = 0
    for bit in range(width):
        product = (product >> 1) ^ (polynomial if product & 1 else 0)
        if right >> bit & 1:
            product ^= left
    return product


@lru_cache(maxsize=4096)
def _power(width: int, polynomial: int, exponent: int) -> int:
    """x^exponent mod P, reversed."""
    result, square = 1 << (width - 1), 1 << (width - 2)
    while exponent:
        if exponent & 1:
            result = _times(width, polynomial, result, square)
        square = _times(width, polynomial, square, square)
        exponent >>= 1
    return result


def joined_crc(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC of what follows on each other, from (CRC, size) of each."""
    width, polynomial = _POLYNOMIALS[algorithm]
    whole = 0
    for crc, size in parts:
        whole = _times(width, polynomial, whole, _power(width, polynomial, 8 * size)) ^ int.from_bytes(crc, "big")
    return whole.to_bytes(width // 8, "big")


def default_type(algorithm: str) -> str:
    """How a multipart upload's checksum is made unless the caller says."""
    return FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE


def may_be(algorithm: str, kind: str) -> bool:
    """Whether an algorithm allows COMPOSITE or FULL_OBJECT for uploads in parts."""
    if kind == FULL_OBJECT:
        return algorithm.startswith("CRC")
    return kind == COMPOSITE and algorithm != "CRC64NVME"


def encoded(value: bytes) -> str:
    """As headers and XML carry it."""
    return base64.b64encode(value).decode()


def decoded(algorithm: str, text: str) -> bytes | None:
    """The bytes of a checksum; None when the text is none of this algorithm."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == LENGTHS[algorithm] else None


class _Aside:
    """A digest that another thread computes: MD5 takes longer than all else that is done with a body."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name="md5", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)

    def update(self, data: bytes, /) -> None:
        """Take more bytes; waits when the other thread lags behind."""
        self._pieces.put(data)

    def digest(self) -> bytes:
        """The checksum of all bytes; none may follow."""
        self.close()
        return self._digest.digest()

    def close(self) -> None:
        """End the thread; repeatable."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None


class Sums:
    """Digests that are fed together: MD5 always (it is the ETag), and what else is asked for."""

    def __init__(self, wanted: Iterable[str] = (), expected: int = 0) -> None:
        """``expected``: about how many bytes will come; for many of them, close it at the end."""
        self.wanted = frozenset(wanted)
        self.size = 0
        digest = hashlib.md5(usedforsecurity=False)
        self._aside = _Aside(digest) if expected >= _LONG else None
        self._md5: Digest = self._aside or digest
        self._others = {name: digest_of(name) for name in self.wanted}

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        self.size += len(data)
        self._md5.update(data)
        for digest in self._others.values():
            digest.update(data)

    @property
    def md5(self) -> bytes:
        """Of all bytes so far."""
        return self._md5.digest()

    def value(self, algorithm: str) -> bytes:
        """Of all bytes so far, one of the algorithms that were wanted."""
        return self._others[algorithm].digest()

    def close(self) -> None:
        """Give up whatever was not finished; repeatable."""
        if self._aside is not None:
            self._aside.close()
