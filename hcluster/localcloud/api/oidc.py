"""Web identity tokens: their signature by the provider's keys, their claims by what IAM knows of the provider.

The only outgoing calls of the cloud are here, and they go to loopback or into the cloud's own network alone: names are
not resolved, redirects not followed, proxies not used.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.policy import Value

_TIMEOUT = 5.0
_LARGEST = 1 << 20
_KEPT = 300.0
"""Seconds that a provider's keys are used without asking again; an unknown key id asks at once."""
_SOONEST = 1.0
"""Seconds between two such askings, whatever tokens come."""
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
_OF_HASH = {"256": "P-256", "384": "P-384", "512": "P-521"}
_TAGS = "https://aws.amazon.com/tags"


@dataclass(frozen=True, slots=True)
class Provider:
    """An IAM OIDC provider."""

    arn: str
    url: str
    """With its scheme."""
    clients: tuple[str, ...]
    """Audiences that it accepts."""
    thumbprints: tuple[str, ...] = ()
    """SHA-1 digests (hex) of certificates that its HTTPS server may show."""

    @property
    def name(self) -> str:
        """As in condition keys: host and path."""
        return self.url.partition("://")[2].rstrip("/")


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token."""

    provider: str
    """ARN."""
    issuer: str
    subject: str
    audience: str
    facts: Mapping[str, Value]
    """Condition keys that it gives the session."""
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()


class Verifier:
    """Verifies tokens. Call without any lock: it waits for the provider."""

    def __init__(self, network: IPv4Network, fetch: Callable[[str, Sequence[str]], bytes] | None = None) -> None:
        self._network = network
        self._fetch = fetch or get
        self._held: dict[str, tuple[float, dict[str, Mapping[str, Any]]]] = {}
        self._lock = threading.Lock()

    def verify(self, token: str, providers: Sequence[Provider], now: datetime) -> Token:
        """What the token says. Raises Fault unless it is right in every respect."""
        header, claims, signed, signature = _parts(token)
        issuer = str(claims.get("iss") or "")
        provider = next((one for one in providers if issuer.partition("://")[2].rstrip("/") == one.name), None)
        if provider is None:
            raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
        if issuer.rstrip("/") != provider.url.rstrip("/"):
            raise _invalid("The ID Token provided does not come from the registered URL of its issuer")
        self._verify_signature(provider, header, signed, signature)
        return _token(provider, claims, now.timestamp())

    def _verify_signature(self, provider: Provider, header: Mapping[str, Any], signed: bytes, signature: bytes) -> None:
        identity = str(header.get("kid") or "")
        key = self._keys(provider, fresh=False).get(identity) or self._keys(provider, fresh=True).get(identity)
        if key is None:
            raise _invalid(
                "Couldn't retrieve verification key from your identity provider, please reference "
                "AssumeRoleWithWebIdentity documentation for requirements"
            )
        try:
            right = _signature_holds(str(header.get("alg")), key, signed, signature)
        except (KeyError, ValueError, TypeError, binascii.Error):
            right = False
        if not right:
            raise _invalid("The ID Token's signature could not be verified with the keys of its provider")

    def _keys(self, provider: Provider, *, fresh: bool) -> dict[str, Mapping[str, Any]]:
        """The provider's signing keys by id."""
        with self._lock:
            at, known = self._held.get(provider.url, (-_KEPT, {}))
        if time.monotonic() - at < (_SOONEST if fresh else _KEPT):
            return known
        address = f"{provider.url.rstrip('/')}/.well-known/openid-configuration"
        configuration = self._json(address, provider)
        if str(configuration.get("issuer") or "").rstrip("/") != provider.url.rstrip("/"):
            raise _invalid("The provider's configuration names another issuer")
        found = self._json(str(configuration.get("jwks_uri") or ""), provider).get("keys") or ()
        keys = {str(one.get("kid") or ""): one for one in found if one.get("use", "sig") == "sig"}
        with self._lock:
            self._held[provider.url] = (time.monotonic(), keys)
        return keys

    def _json(self, address: str, provider: Provider) -> dict[str, Any]:
        check_host(address, self._network)
        try:
            found = json.loads(self._fetch(address, provider.thumbprints))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Fault("IDPCommunicationError", f"{address} cannot be read: {error}", 400) from error
        if not isinstance(found, dict):
            raise Fault("IDPCommunicationError", f"{address} is no JSON object", 400)
        return found


def check_host(address: str, network: IPv4Network) -> None:
    """Raises Fault unless the URL leads to loopback or into the cloud's network."""
    split = urlsplit(address)
    host = split.hostname or ""
    try:
        found = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        found = None
    inside = found is not None and (found.is_loopback or (found.version == 4 and found in network))
    if not inside or split.scheme not in ("http", "https"):
        raise Fault(
            "IDPCommunicationError",
            f"{address or 'the provider'} is not asked: the local cloud reaches loopback and {network} only",
            400,
        )


def get(address: str, thumbprints: Sequence[str]) -> bytes:
    """The body at a URL whose host was checked. Raises OSError, HTTPException."""
    split = urlsplit(address)
    host, port = ("127.0.0.1" if split.hostname == "localhost" else str(split.hostname)), split.port
    connection: http.client.HTTPConnection
    if split.scheme == "https":
        # IAM trusts a provider's server by the thumbprint of its certificate.
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001 - verified below
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=unverified)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket):
            shown = hashlib.sha1(connection.sock.getpeercert(binary_form=True) or b"", usedforsecurity=False)
            if shown.hexdigest() not in {one.lower() for one in thumbprints}:
                raise ssl.SSLError("the server's certificate has none of the provider's thumbprints")
        connection.request("GET", split.path or "/", headers={"Host": split.netloc, "Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_LARGEST + 1)
    finally:
        connection.close()
    if answer.status != http.client.OK or len(body) > _LARGEST:
        raise OSError(f"HTTP status {answer.status}, {len(body)} bytes")
    return body


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], bytes, bytes]:
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        return dict(header), dict(claims), f"{head}.{body}".encode(), _decoded(signature)
    except (ValueError, TypeError, binascii.Error) as error:
        raise _invalid(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        ) from error


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")


def _signature_holds(algorithm: str, key: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
    """Whether it was made with ``key`` (a JWK). Raises KeyError or ValueError for what is no such key or algorithm."""
    kind, size = algorithm[:2], algorithm[2:]
    digest = _HASHES[size]()
    if key.get("alg", algorithm) != algorithm:
        return False
    try:
        if kind == "RS" and key["kty"] == "RSA":
            public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
            public.verify(signature, signed, padding.PKCS1v15(), digest)
            return True
        if kind == "ES" and key["kty"] == "EC" and key["crv"] == _OF_HASH[size]:
            curve = _CURVES[key["crv"]]()
            half = (curve.key_size + 7) // 8
            if len(signature) != 2 * half:
                return False
            pair = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
            point = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve).public_key()
            point.verify(encode_dss_signature(*pair), signed, ec.ECDSA(digest))
            return True
    except InvalidSignature:
        return False
    return False


def _token(provider: Provider, claims: Mapping[str, Any], now: float) -> Token:
    """The claims, checked; the signature was."""
    for name in ("exp", "iat", "sub", "aud"):
        if not claims.get(name):
            raise _invalid(f"Missing a required claim: {name}")
    try:
        expires, begins = float(claims["exp"]), float(claims.get("nbf") or 0)
    except (TypeError, ValueError) as error:
        raise _invalid("The ID Token's times are no numbers") from error
    if now >= expires:
        raise Fault(
            "ExpiredTokenException",
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {int(expires)}",
            400,
        )
    if now < begins:
        raise _invalid("The ID Token is not valid yet")
    audiences = [str(one) for one in (claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]])]
    # The party that a token was made for counts as its audience, when it names one.
    audience = str(claims.get("azp") or "") or next((one for one in audiences if one in provider.clients), audiences[0])
    if audience not in provider.clients:
        raise _invalid("Incorrect token audience")
    facts: dict[str, Value] = {
        f"{provider.name}:aud": audience,
        f"{provider.name}:sub": str(claims["sub"]),
        "aws:FederatedProvider": provider.arn,
    }
    if claims.get("azp"):
        facts[f"{provider.name}:oaud"] = tuple(audiences)
    if isinstance(claims.get("amr"), list):
        facts[f"{provider.name}:amr"] = tuple(str(one) for one in claims["amr"])
    tags, transitive = _session_tags(claims.get(_TAGS))
    return Token(provider.arn, provider.url, str(claims["sub"]), audience, facts, tags, transitive)


def _session_tags(claim: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    if not isinstance(claim, dict):
        return {}, ()
    given = claim.get("principal_tags")
    tags = {}
    for key, value in (given if isinstance(given, dict) else {}).items():
        tags[str(key)] = str(value[0]) if isinstance(value, list) and value else str(value)
    return tags, tuple(str(one) for one in claim.get("transitive_tag_keys") or () if str(one) in tags)


def _invalid(message: str) -> Fault:
    return Fault("InvalidIdentityToken", message, 400)
