"""The door in front of moto: checks who calls, keeps requests apart, shapes whatever goes wrong as AWS would."""

from __future__ import annotations

import io
import logging
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from hcluster.localcloud.api import signature, unsupported
from hcluster.localcloud.api.faults import Fault, render
from hcluster.localcloud.api.federation import Federation
from hcluster.localcloud.api.identity import PRINCIPAL, Identities, Principal
from hcluster.localcloud.api.rules import Rules
from hcluster.localcloud.api.s3.service import ObjectService, body_of, headers_of

log = logging.getLogger(__name__)

SERVICE = "hcluster.service"
REGION = "hcluster.region"
"""Keys of the WSGI environment that hold the service and the region that the caller signed for."""
HEADERS = "hcluster.headers"
"""Key of the WSGI environment that holds the headers by their names in lower case, underscores kept."""

_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")
_READS = ("Describe", "List", "Get", "Head", "Simulate")
_CHUNK = 1 << 20
_LONGEST = 16 << 20
"""Bytes of a body that is read into memory, before anybody knows whose it is; no call takes that many."""

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What keeps the records of a request that changes something; each is told the service."""

    ready: Callable[[str], None]
    """Before it. Raises Fault when nothing can be kept."""
    changed: Callable[[str, bytes], None]
    """After it, with the lock held and the request's body, whether it succeeded or not."""
    settle: Callable[[str], None]
    """Before its answer. Raises Fault when the change is not on the disk."""


class Gateway:
    """A WSGI application around moto's.

    One request at a time is inside moto per lock: its dictionaries know no threads, and conditional writes need the
    check and the write to be one step. Bodies are read before and written after.
    """

    def __init__(
        self,
        app: App,
        identities: Identities,
        region: str,
        lock: threading.RLock,
        hooks: Hooks,
        rules: Rules,
        federation: Federation,
        objects: ObjectService,
    ) -> None:
        """``lock`` is held while moto answers; ``hooks`` keep what requests change; ``objects`` is S3, which needs no
        lock: bodies of any size move without it."""
        self._app = app
        self._identities = identities
        self._region = region
        self._lock = lock
        self._hooks = hooks
        self._rules = rules
        self._federation = federation
        self._objects = objects

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        request_id = secrets.token_hex(16)
        try:
            return self._serve(environ, start_response, request_id)
        except Fault as fault:
            return self._refuse(environ, start_response, fault, request_id)
        except NotImplementedError as error:
            detail = unsupported.filter_of(error) or ("" if "has not been implemented" in str(error) else str(error))
            missing = unsupported.refusal(environ, _service(environ), detail)
            return self._refuse(environ, start_response, missing, request_id)
        except Exception as error:
            broken = unsupported.failure(environ, _service(environ), error)
            ours = broken.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            log.log(logging.ERROR if ours else logging.INFO, "%s failed", _named(environ), exc_info=ours)
            return self._refuse(environ, start_response, broken, request_id)

    def _serve(self, environ: Environ, start_response: StartResponse, request_id: str) -> Iterable[bytes]:
        signed = signature.parse(environ)
        if signed is not None and signed.service == "s3":
            return self._serve_objects(environ, start_response, signed, request_id)
        body = _read(environ)
        environ["hcluster.action"] = _action(environ, body)
        # These would let a caller choose its account, or reset moto: they are moto's own, AWS has none of them.
        environ.pop("HTTP_X_MOTO_ACCOUNT_ID", None)
        if str(environ.get("PATH_INFO", "")).startswith(("/moto-api", "/latest/")):
            raise Fault("AccessDenied", "Access Denied", 403)
        if self._federation.concerns(environ):
            environ[SERVICE], environ[REGION] = "sts", self._region
            self._federation.admit(environ, body)
        else:
            self._authenticate(environ, signed, body)
        service = environ[SERVICE]
        unsupported.demand_service(environ, service)
        told = (service, str(environ["hcluster.action"]), environ[PRINCIPAL].arn)
        self._rules.before(*told, body)
        captured: list[Any] = []

        def capture(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            captured[:] = [status, headers]

        mutates = _mutates(environ)
        if mutates:
            self._hooks.ready(service)
        with self._lock:
            try:
                result = self._app(environ, capture)
            finally:
                if mutates:
                    self._hooks.changed(service, body)
        if mutates:
            self._settle(service, result)
        status, headers = captured
        code = int(status.split(" ", 1)[0])
        if code < HTTPStatus.BAD_REQUEST:
            self._answered(told, result)
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        if code >= HTTPStatus.BAD_REQUEST and kind.startswith("text/html") and environ["REQUEST_METHOD"] != "HEAD":
            # Flask's own pages, and moto's answers without a body: no SDK can read these.
            _close(result)
            if code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                raise unsupported.refusal(environ, _service(environ))
            raise Fault(_CODES.get(code, "InternalError"), f"{_named(environ)}: {HTTPStatus(code).phrase}", code)
        headers.append(("x-amz-request-id", request_id))
        start_response(status, headers)
        return result

    def _settle(self, service: str, result: Iterable[bytes]) -> None:
        try:
            self._hooks.settle(service)
        except Fault:
            _close(result)
            raise

    def _answered(self, told: tuple[str, str, str], result: Iterable[bytes]) -> None:
        """The request took effect; its answer may get lost on purpose."""
        try:
            self._rules.after(*told)
        except Fault:
            _close(result)
            raise

    def _serve_objects(
        self,
        environ: Environ,
        start_response: StartResponse,
        signed: signature.Signed,
        request_id: str,
    ) -> Iterable[bytes]:
        """S3: its body is read by whoever keeps it, after all that can be refused without it."""
        signer = self._authenticate(environ, signed, None)
        method, path = str(environ["REQUEST_METHOD"]), str(environ["RAW_URI"])
        query, headers = str(environ["QUERY_STRING"]), environ[HEADERS]
        told = ("s3", self._objects.operation(method, path, query, headers), environ[PRINCIPAL].arn)
        environ["hcluster.action"] = told[1]
        self._rules.before(*told)
        answer = self._objects.answer(method, path, query, headers, environ["wsgi.input"], signer, environ, request_id)
        body = body_of(answer)
        if answer.status < HTTPStatus.BAD_REQUEST:
            self._answered(told, body)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers_of(answer, request_id))
        return body

    def _authenticate(
        self, environ: Environ, signed: signature.Signed | None, body: bytes | None
    ) -> signature.ChunkSigner:
        if signed is None:
            raise Fault(
                "MissingAuthenticationToken" if _is_query(environ) else "AccessDenied",
                "Request is missing a signature",
                403,
            )
        environ[SERVICE], environ[REGION] = signed.service.lower(), signed.region
        credential = self._identities.credential(signed.access_key, signed.token, signed.service)
        now = datetime.now(UTC) + self._rules.clock()
        signer = signature.verify(signed, credential.secret, environ, body, now)
        if signed.region != self._region:
            raise Fault(
                "AuthFailure" if signed.service == "ec2" else "AuthorizationHeaderMalformed",
                f"Credential should be scoped to a valid region; not {signed.region!r}, but {self._region!r}",
                400,
            )
        environ[PRINCIPAL] = credential.principal
        return signer

    @staticmethod
    def _refuse(environ: Environ, start_response: StartResponse, fault: Fault, request_id: str) -> Iterable[bytes]:
        service = str(environ.get(SERVICE) or ("" if _is_query(environ) else "s3"))
        json_protocol = "json" in unsupported.protocol(environ, service)
        answer = render(fault, service, json_protocol=json_protocol and service != "s3", request_id=request_id)
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
        start_response(
            f"{answer.status} {HTTPStatus(answer.status).phrase}",
            [
                ("Content-Type", answer.content_type),
                ("Content-Length", str(len(body))),
                ("x-amz-request-id", request_id),
                ("X-Amzn-ErrorType", answer.code),
            ],
        )
        return [body]


_CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NotFound",
    405: "MethodNotAllowed",
    411: "MissingContentLength",
}


def caller(environ: Environ) -> Principal:
    """The verified caller of a request. Raises Fault for a request that did not come through the gateway."""
    principal = environ.get(PRINCIPAL)
    if not isinstance(principal, Principal):
        raise Fault("AccessDenied", "Access Denied", 403)
    return principal


def _read(environ: Environ) -> bytes:
    """The whole body, put back for moto, so that no slow sender holds a lock and the connection can be kept alive."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        chunks = bytearray()
        while chunk := stream.read(_CHUNK):
            chunks += chunk
            _check_length(len(chunks))
        body = bytes(chunks)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        told = str(environ.get("CONTENT_LENGTH") or 0)
        if not told.isdecimal():
            raise Fault("InvalidRequest", "The Content-Length header is no number.", 400)
        length = int(told)
        _check_length(length)
        body = stream.read(length) if length else b""
        if len(body) < length:
            raise Fault(
                "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length header."
            )
        environ.setdefault("CONTENT_LENGTH", "0")
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _check_length(length: int) -> None:
    if length > _LONGEST:
        raise Fault("RequestEntityTooLarge", f"The request is longer than {_LONGEST} bytes.", 413)


def _action(environ: Environ, body: bytes) -> str:
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target.rsplit(".", 1)[-1]
    found = _ACTION.search(body) if _is_query(environ) else None
    found = found or _ACTION.search(str(environ.get("QUERY_STRING", "")).encode())
    return found.group(1).decode() if found else ""


def _is_query(environ: Environ) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _mutates(environ: Environ) -> bool:
    if action := environ.get("hcluster.action"):
        return not str(action).startswith(_READS)
    return environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS")


def _service(environ: Environ) -> str:
    return str(environ.get(SERVICE) or "")


def _named(environ: Environ) -> str:
    return f"{_service(environ) or 'request'}: {unsupported.operation(environ, _service(environ))}"


def _close(result: Iterable[bytes]) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()
