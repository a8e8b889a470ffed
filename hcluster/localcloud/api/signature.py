"""Verifies AWS Signature Version 4 of requests, from headers and from presigned URLs.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.skew import SKEW, skewed

ALGORITHM = "AWS4-HMAC-SHA256"

WEEK = 7 * 24 * 3600
"""The longest life of a presigned URL, in seconds."""
UNSIGNED = "UNSIGNED-PAYLOAD"
_EMPTY = hashlib.sha256().hexdigest()

Environ = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says about its signature."""

    access_key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    timestamp: str
    token: str
    presigned_for: int
    """Seconds that a presigned URL lives; 0 for a request signed in its header."""


def parse(environ: Environ) -> Signed | None:
    """The signature of a request, None when it carries none. Raises Fault on one that cannot be read."""
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    query = dict(_query(environ))
    try:
        if header:
            algorithm, _, rest = header.partition(" ")
            if algorithm != ALGORITHM:
                raise Fault(
                    "InvalidRequest", f"The authorization mechanism {algorithm!r} is not supported; use {ALGORITHM}."
                )
            fields = dict(part.strip().split("=", 1) for part in rest.split(","))
            return _signed(
                fields["Credential"],
                fields["SignedHeaders"],
                fields["Signature"],
                (str(environ.get("HTTP_X_AMZ_DATE", "")), str(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")), 0),
            )
        if query.get("X-Amz-Algorithm") == ALGORITHM:
            lives = int(query["X-Amz-Expires"])
            return _signed(
                query["X-Amz-Credential"],
                query["X-Amz-SignedHeaders"],
                query["X-Amz-Signature"],
                (query["X-Amz-Date"], query.get("X-Amz-Security-Token", ""), lives),
            )
    except (KeyError, ValueError) as error:
        raise Fault("IncompleteSignature", "The request signature does not conform to AWS standards.") from error
    return None


def _signed(credential: str, headers: str, signature: str, rest: tuple[str, str, int]) -> Signed:
    access_key, day, region, service, terminator = credential.split("/")
    # Moto takes capitals for the same service, and would serve S3 with objects of its own.
    if terminator != "aws4_request" or (service.lower() == "s3" and service != "s3"):
        raise ValueError(credential)
    timestamp, token, lives = rest
    return Signed(
        access_key, day, region, service, tuple(headers.lower().split(";")), signature, timestamp, token, lives
    )


def verify(signed: Signed, secret: str, environ: Environ, body: bytes | None, now: datetime) -> ChunkSigner:
    """Raises Fault unless the request was signed with ``secret``, recently, over this very body.

    Without a ``body`` the digest that the request declares is taken for it: whoever reads the body checks that. The
    signer is for the chunks of a body that is signed in chunks.
    """
    _check_time(signed, now)
    if signed.service == "s3":
        _check_headers(signed, environ)
    request = "\n".join(
        (
            str(environ["REQUEST_METHOD"]),
            _path(environ, signed.service),
            _canonical_query(environ),
            "".join(f"{name}:{_header(environ, name)}\n" for name in signed.headers),
            ";".join(signed.headers),
            _payload(signed, str(environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")), body),
        )
    )
    scope = f"{signed.day}/{signed.region}/{signed.service}/aws4_request"
    text = "\n".join((ALGORITHM, signed.timestamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = _signing_key(secret, signed.day, signed.region, signed.service)
    if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), signed.signature):
        if signed.service == "ec2":
            raise Fault("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
        raise Fault(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key.",
            403,
        )
    return ChunkSigner(key, signed.timestamp, scope, signed.signature)


def _payload(signed: Signed, declared: str, body: bytes | None) -> str:
    if body is None:
        if not declared and not signed.presigned_for:
            raise Fault("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        return declared or UNSIGNED
    if signed.presigned_for:
        return declared or (UNSIGNED if signed.service == "s3" else hashlib.sha256(body).hexdigest())
    if declared.startswith(("STREAMING-", "UNSIGNED-")):
        return declared
    payload = hashlib.sha256(body).hexdigest()
    if declared and declared != payload:
        raise Fault(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    return payload


class ChunkSigner:
    """Checks the signatures of a body's chunks, each of which covers the one before.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """

    def __init__(self, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        """``seed``: the signature of the request."""
        self._key = key
        self._place = f"{timestamp}\n{scope}"
        self._before = seed

    def chunk(self, digest: str, signature: str) -> bool:
        """Whether the next chunk, whose SHA-256 is ``digest`` in hexadecimal, has the right signature."""
        return self._right(f"{ALGORITHM}-PAYLOAD", f"{_EMPTY}\n{digest}", signature)

    def trailer(self, digest: str, signature: str) -> bool:
        """Whether the trailer has the right signature."""
        return self._right("AWS4-HMAC-SHA256-TRAILER", digest, signature)

    def _right(self, kind: str, rest: str, signature: str) -> bool:
        text = f"{kind}\n{self._place}\n{self._before}\n{rest}"
        self._before = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(self._before, signature)


def _check_time(signed: Signed, now: datetime) -> None:
    try:
        made = datetime.strptime(signed.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Fault("IncompleteSignature", "The request carries no valid X-Amz-Date.") from error
    age = (now - made).total_seconds()
    if signed.presigned_for:
        if not 0 <= signed.presigned_for <= WEEK:
            text = "X-Amz-Expires must be less than a week (in seconds) and non-negative; 604800 is the most"
            raise Fault("AuthorizationQueryParametersError", text)
        if age > signed.presigned_for:
            raise Fault("AccessDenied", "Request has expired", 403)
        if -age > SKEW:
            raise Fault("AccessDenied", "Request is not yet valid", 403)
    elif abs(age) > SKEW:
        raise skewed(signed.service.lower(), made, now)


_COVERED = {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
"""The signature depends on their values whether it names them or not."""


def _check_headers(signed: Signed, environ: Environ) -> None:
    """Whoever holds a presigned URL must not make another request of it, such as a copy of what only its signer reads.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html: all x-amz-* headers have to be signed.
    """
    sent = {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_X_AMZ_")}
    named = {name.replace("_", "-") for name in signed.headers}
    if unsigned := sorted(sent - _COVERED - named):
        text = f"There were headers present in the request which were not signed: {', '.join(unsigned)}"
        raise Fault("AccessDenied", text, 403)


def _query(environ: Environ) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in str(environ.get("QUERY_STRING", "")).split("&") if part]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _canonical_query(environ: Environ) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in _query(environ)
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _path(environ: Environ, service: str) -> str:
    # The path as it came on the wire: PATH_INFO is decoded, and keys may hold encoded slashes.
    raw = str(environ.get("RAW_URI") or "/").split("?", 1)[0] or "/"
    if service == "s3":
        return quote(unquote(raw), safe="/-_.~")
    return quote(raw, safe="/-_.~")


def _header(environ: Environ, name: str) -> str:
    key = name.upper().replace("-", "_")
    value = environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")
    return " ".join(str(value).split())


@lru_cache(maxsize=256)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
