"""The body of a write as it comes off the socket: decoded, counted, hashed and checked piece by piece.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hcluster.localcloud.api.s3 import checksums
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.signature import ChunkSigner

PIECE = 1 << 19
"""Bytes in memory at a time."""
MAX_PUT = 5 << 30
"""Bytes of the largest object that one request may write, and of the largest part."""
_LINE = 1 << 12
_LEAST_CHUNK = 8192
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_STREAMS = (
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
)


class Source(Protocol):
    """Where bodies come from; both give less than asked only at the end, and b"" after it."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...

    def readline(self, limit: int, /) -> bytes:
        """The next bytes up to a line feed."""
        ...


@dataclass(frozen=True, slots=True)
class Announced:
    """What a request's headers say about its body."""

    length: int
    """Bytes, decoded."""
    stream: str
    """How it is cut in chunks, one of AWS's STREAMING- names, or ""."""
    sha256: str
    """Digest in hexadecimal that the signature covers, or ""."""
    md5: bytes | None
    sums: Mapping[str, bytes]
    """Checksums of headers, by algorithm; one at most."""
    trailing: str
    """The algorithm whose checksum follows the body, or ""."""
    asked: str = ""
    """An algorithm that was named without a value."""

    @property
    def algorithm(self) -> str:
        """Of the object's checksum, or ""."""
        return self.trailing or next(iter(self.sums), self.asked)


@dataclass(frozen=True, slots=True)
class Received:
    """What came."""

    size: int
    md5: bytes
    algorithm: str
    """Of the checksum that the caller gave or asked for, or ""."""
    sums: Mapping[str, bytes]
    """Checksums by algorithm."""

    @property
    def checksum(self) -> bytes:
        """The checksum that the caller gave or asked for, or b""."""
        return self.sums.get(self.algorithm, b"")


def announced(headers: Mapping[str, str], *, limit: int = MAX_PUT) -> Announced:
    """Reads the headers. Raises what S3 answers before it reads a body."""
    payload = headers.get("x-amz-content-sha256", _UNSIGNED)
    stream = payload if payload.startswith("STREAMING-") else ""
    if stream and stream not in _STREAMS:
        raise problem("InvalidRequest", f"The value of x-amz-content-sha256 is not supported: {stream}")
    if not stream and payload != _UNSIGNED and not _SHA256.fullmatch(payload):
        raise problem(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256"
            " value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=payload,
        )
    said = headers.get("x-amz-decoded-content-length") if stream else headers.get("content-length")
    if said is None:
        raise problem("MissingContentLength")
    if not said.isascii() or not said.isdigit():
        raise problem("InvalidArgument", f"The length of the body is not a number: {said}")
    if int(said) > limit:
        raise problem("EntityTooLarge", ProposedSize=said, MaxSizeAllowed=str(limit))
    sums = _sums(headers)
    trailing = _trailing(headers, stream)
    if trailing and sums:
        raise problem("InvalidRequest", "Expecting a single x-amz-checksum- header")
    asked = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    if asked and asked not in checksums.ALGORITHMS:
        raise problem("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if asked and (sums or trailing) and asked not in (*sums, trailing):
        raise problem("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return Announced(
        int(said), stream, payload if payload != _UNSIGNED and not stream else "", _md5(headers), sums, trailing, asked
    )


def _sums(headers: Mapping[str, str]) -> dict[str, bytes]:
    found = {}
    for algorithm, name in checksums.HEADERS.items():
        if (text := headers.get(name)) is not None:
            value = checksums.decoded(algorithm, text)
            if value is None:
                raise problem("InvalidRequest", f"Value for {name} header is invalid.")
            found[algorithm] = value
    if len(found) > 1:
        raise problem(
            "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    return found


def _trailing(headers: Mapping[str, str], stream: str) -> str:
    name = headers.get("x-amz-trailer", "").strip().lower()
    if not name:
        return ""
    if not stream.endswith("-TRAILER"):
        raise problem("InvalidRequest", "x-amz-trailer needs an x-amz-content-sha256 that announces a trailer.")
    for algorithm, header in checksums.HEADERS.items():
        if header == name:
            return algorithm
    raise problem("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")


def _md5(headers: Mapping[str, str]) -> bytes | None:
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 16:
        raise problem("InvalidDigest", "The Content-MD5 you specified was invalid.", ContentMD5=text)
    return value


def receive(
    source: Source, said: Announced, signer: ChunkSigner | None, sink: Callable[[bytes], object], *, also: str = ""
) -> Received:
    """Gives the decoded body to ``sink`` in pieces. Raises when it is cut short or differs from what was said.

    ``also``: one more algorithm to compute.
    """
    sums = checksums.Sums(filter(None, (said.algorithm, also)), said.length)
    try:
        return _received(source, said, signer, sink, sums)
    finally:
        sums.close()


def _received(
    source: Source,
    said: Announced,
    signer: ChunkSigner | None,
    sink: Callable[[bytes], object],
    sums: checksums.Sums,
) -> Received:
    algorithm = said.algorithm
    whole = hashlib.sha256() if said.sha256 and "SHA256" not in sums.wanted else None

    def take(piece: bytes) -> None:
        sums.update(piece)
        if whole is not None:
            whole.update(piece)
        sink(piece)

    if said.stream:
        trailer = _chunks(source, said, signer if "HMAC" in said.stream else None, take)
    else:
        trailer = {}
        _plain(source, said.length, take)
    if sums.size != said.length:
        raise problem("IncompleteBody")
    if said.sha256:
        computed = whole.hexdigest() if whole is not None else sums.value("SHA256").hex()
        if computed != said.sha256:
            raise problem(
                "XAmzContentSHA256Mismatch",
                ClientComputedContentSHA256=said.sha256,
                S3ComputedContentSHA256=computed,
            )
    md5 = sums.md5
    if said.md5 is not None and said.md5 != md5:
        raise problem(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=checksums.encoded(said.md5),
            CalculatedDigest=checksums.encoded(md5),
        )
    value = sums.value(algorithm) if algorithm else b""
    _check_sum(said, algorithm, value, trailer)
    return Received(sums.size, md5, algorithm, {name: sums.value(name) for name in sums.wanted})


def _check_sum(said: Announced, algorithm: str, value: bytes, trailer: Mapping[str, str]) -> None:
    expected = said.sums.get(algorithm)
    if said.trailing:
        text = trailer.get(checksums.HEADERS[said.trailing])
        if text is None:
            raise problem("MalformedTrailerError")
        expected = checksums.decoded(said.trailing, text)
        if expected is None:
            raise problem("InvalidRequest", f"Value for {checksums.HEADERS[said.trailing]} trailing header is invalid.")
    if expected is not None and expected != value:
        raise problem("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def _plain(source: Source, left: int, take: Callable[[bytes], None]) -> None:
    while left:
        piece = source.read(min(PIECE, left))
        if not piece:
            raise problem("IncompleteBody")
        take(piece)
        left -= len(piece)


def _chunks(
    source: Source, said: Announced, signer: ChunkSigner | None, take: Callable[[bytes], None]
) -> dict[str, str]:
    """The chunks, then the trailer."""
    small, left = False, said.length
    while True:
        size, signature = _chunk_head(source)
        if size > left:
            raise problem("IncompleteBody", "The chunks are longer than x-amz-decoded-content-length.")
        if size and small and signer is not None:
            raise problem("InvalidChunkSizeError")
        small = size < _LEAST_CHUNK
        digest = hashlib.sha256() if signer is not None else None
        remaining = size
        while remaining:
            piece = source.read(min(PIECE, remaining))
            if not piece:
                raise problem("IncompleteBody")
            if digest is not None:
                digest.update(piece)
            take(piece)
            remaining -= len(piece)
        left -= size
        if signer is not None and digest is not None and not signer.chunk(digest.hexdigest(), signature):
            raise problem("SignatureDoesNotMatch")
        if size == 0:
            break
        if source.read(2) != b"\r\n":
            raise problem("IncompleteBody")
    return _trailer(source, said, signer)


def _chunk_head(source: Source) -> tuple[int, str]:
    line = source.readline(_LINE)
    if not line.endswith(b"\r\n"):
        raise problem("IncompleteBody")
    size, _, extension = line[:-2].decode("latin-1").partition(";")
    name, _, signature = extension.strip().partition("=")
    try:
        return int(size, 16), signature if name == "chunk-signature" else ""
    except ValueError:
        raise problem("IncompleteBody", "A chunk of the body has no size.") from None


def _trailer(source: Source, said: Announced, signer: ChunkSigner | None) -> dict[str, str]:
    found: dict[str, str] = {}
    while line := source.readline(_LINE).rstrip(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(found) > 8:
            raise problem("MalformedTrailerError")
        found[name.strip().lower()] = value.strip()
    signature = found.pop("x-amz-trailer-signature", "")
    if signer is not None and said.stream.endswith("-TRAILER"):
        text = "".join(f"{name}:{value}\n" for name, value in found.items())
        if not signer.trailer(hashlib.sha256(text.encode()).hexdigest(), signature):
            raise problem("SignatureDoesNotMatch")
    return found
