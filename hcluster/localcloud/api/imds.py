"""The instance metadata service, version 2 only: tokens, bound to the address that asked for them."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from hcluster.localcloud.api.http import IDLE, SocketServer
from hcluster.localcloud.api.metadata import Metadata

_LONGEST = 21_600
"""Seconds that a token may live."""
_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name


class Tokens:
    """Session tokens by value."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def make(self, address: str, seconds: int) -> str:
        """A token that ``address`` may use for so long."""
        token, now = secrets.token_urlsafe(40), time.monotonic()
        with self._lock:
            for old in [t for t, (_, until) in self._held.items() if until <= now]:
                del self._held[old]
            self._held[token] = (address, now + seconds)
        return token

    def holds(self, token: str, address: str) -> bool:
        """Whether the token is that address' and has not expired."""
        owner, until = self._held.get(token, ("", 0.0))
        return owner == address and time.monotonic() < until


class ImdsServer(SocketServer):
    """Serves the metadata of the instance whose address asks."""

    def __init__(self, listening: socket.socket, metadata: Metadata, lock: threading.RLock) -> None:
        super().__init__(listening, ImdsHandler)
        self.metadata = metadata
        self.lock = lock
        self.tokens = Tokens()


class ImdsHandler(BaseHTTPRequestHandler):
    """One connection."""

    server: ImdsServer
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 14
    timeout = IDLE

    def do_PUT(self) -> None:
        """A token: PUT /latest/api/token."""
        if length := int(self.headers.get("Content-Length") or 0):
            self.rfile.read(length)
        address = self.client_address[0]
        if self.headers.get("X-Forwarded-For"):
            # A proxy on the node would hand the node's credentials to strangers.
            self._answer(403)
        elif urlsplit(self.path).path != "/latest/api/token":
            self._answer(404)
        elif not (ttl := self.headers.get(_TTL, "")).isdigit() or not 1 <= int(ttl) <= _LONGEST:
            self._answer(400)
        elif not self._enabled(address):
            self._answer(403)
        else:
            self._answer(200, self.server.tokens.make(address, int(ttl)).encode(), {_TTL: ttl})

    def do_GET(self) -> None:
        """Metadata, with a token."""
        address = self.client_address[0]
        path = unquote(urlsplit(self.path).path)
        _, _, rest = path.lstrip("/").partition("/")
        if self.headers.get("X-Forwarded-For"):
            self._answer(403)
            return
        if not self.server.tokens.holds(self.headers.get(_TOKEN, ""), address):
            self._answer(401)
            return
        with self.server.lock:
            instance = self.server.metadata.instance_at(address)
            found = self.server.metadata.answer(instance, rest) if instance is not None else None
        if found is None:
            self._answer(404)
        else:
            self._answer(200, found.encode() if isinstance(found, str) else found)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _enabled(self, address: str) -> bool:
        with self.server.lock:
            instance = self.server.metadata.instance_at(address)
            return instance is not None and instance.metadata_options.http_endpoint != "disabled"

    def _answer(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Idle connections that are closed are no errors."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No access log."""
