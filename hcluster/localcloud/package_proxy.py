"""The package proxy: lets instances that are being baked reach the package hosts of this machine, and nothing else."""

from __future__ import annotations

import functools
import http.client
import http.server
import logging
import select
import shutil
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from hcluster.localcloud.package_cache import PackageCache

_LOG = logging.getLogger(__name__)
_CHUNK = 128 * 1024
_TIMEOUT = 60.0
MAX_CONNECTIONS = 128
_HOP_HEADERS = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)


@dataclass(frozen=True, slots=True)
class ProxyPolicy:
    """Who may fetch what."""

    hosts: frozenset[str]
    """Lower-case host names, from this machine's own package configuration."""
    is_baking: Callable[[str], bool]
    """Whether an address is that of an instance being baked."""
    upstream: str = ""
    """This machine's own proxy as URL, "" when it reaches the hosts directly."""

    def refusal(self, client: str, host: str, port: int) -> str:
        """Why the request is refused, "" when it is not."""
        if not self.is_baking(client):
            return f"{client} is not an instance that is being baked"
        if host.lower() not in self.hosts:
            return f"{host} is not a package host of this machine"
        if port not in (80, 443):
            return f"port {port} is not one of package hosts"
        return ""


class PackageProxy:
    """An HTTP proxy on a socket that already listens; GET and HEAD of http URLs, and CONNECT."""

    def __init__(self, listener: socket.socket, policy: ProxyPolicy, cache: PackageCache) -> None:
        handler = type("Handler", (_Handler,), {"policy": policy, "cache": cache})
        self._server = _Server(listener, handler)
        serve = functools.partial(self._server.serve_forever, poll_interval=0.1)
        self._thread = threading.Thread(target=serve, name="package-proxy", daemon=True)

    def start(self) -> None:
        """Serve, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests and close the socket."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()


class _Handler(http.server.BaseHTTPRequestHandler):
    policy: ProxyPolicy
    cache: PackageCache
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        self._fetch()

    def do_HEAD(self) -> None:
        self._fetch()

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if not port.isdigit() or not self._allowed(host, int(port)):
            return
        try:
            with self._dial(host, int(port)) as remote:
                self.send_response_only(200, "Connection established")
                self.end_headers()
                self.close_connection = True
                _relay(self.connection, remote)
        except OSError as failure:
            self._refuse(502, f"{host}: {failure}")

    def _fetch(self) -> None:
        url = urlsplit(self.path)
        if url.scheme != "http" or not url.hostname:
            self._refuse(400, "only http:// URLs and CONNECT are served here")
            return
        if not self._allowed(url.hostname, url.port or 80):
            return
        kept = self.cache.find(self.path) if self.command == "GET" and "Range" not in self.headers else None
        if kept is not None:
            self.send_response(200)
            self.send_header("Content-Length", str(kept.stat().st_size))
            self.end_headers()
            with kept.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, _CHUNK)
            return
        try:
            self._forward()
        except (OSError, http.client.HTTPException) as failure:
            # The answer may be half out: the client has to see a broken one, not a short one.
            _LOG.warning("package proxy: %s: %s", self.path, failure)
            self.close_connection = True

    def _forward(self) -> None:
        url = urlsplit(self.path)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
        upstream = urlsplit(self.policy.upstream)
        direct = (url.path or "/") + (f"?{url.query}" if url.query else "")
        target = self.path if self.policy.upstream else direct
        server = upstream if self.policy.upstream else url
        host, port = server.hostname or "", server.port or 80
        remote = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        try:
            try:
                remote.request(self.command, target, headers=headers)
                answer = remote.getresponse()
            except (OSError, http.client.HTTPException) as failure:
                self._refuse(502, f"{host}: {failure}")
                return
            self._answer(answer)
        finally:
            remote.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        if length is None and not bodiless:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if bodiless:
            return
        chunks: Iterator[bytes] = iter(lambda: answer.read(_CHUNK), b"")
        if answer.status == http.HTTPStatus.OK and length and self.command == "GET" and self.cache.keeps(self.path):
            chunks = self.cache.store(self.path, chunks, int(length))
        sent = 0
        for chunk in chunks:
            sent += self.wfile.write(chunk)
        if length is not None and sent != int(length):
            raise OSError(f"ended after {sent} of {length} bytes")

    def _dial(self, host: str, port: int) -> socket.socket:
        if not self.policy.upstream:
            return socket.create_connection((host, port), timeout=_TIMEOUT)
        upstream = urlsplit(self.policy.upstream)
        remote = socket.create_connection((upstream.hostname or "", upstream.port or 80), timeout=_TIMEOUT)
        remote.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = remote.recv(1)
            if not data or len(head) > _CHUNK:
                raise OSError("the upstream proxy closed the connection")
            head += data
        if head.split(maxsplit=2)[1] != b"200":
            raise OSError(f"the upstream proxy refused: {head.splitlines()[0].decode(errors='replace')}")
        return remote

    def _allowed(self, host: str, port: int) -> bool:
        refusal = self.policy.refusal(str(self.client_address[0]), host, port)
        if refusal:
            self._refuse(403, refusal)
        return not refusal

    def _refuse(self, code: int, reason: str) -> None:
        _LOG.info("package proxy: %s %s: %s", self.command, self.path, reason)
        body = (reason + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the base class's name
        _LOG.debug("package proxy: " + format, *values)


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side ends or nothing moves for a minute."""
    peers = {one: other, other: one}
    while True:
        ready, _, _ = select.select(list(peers), [], [], _TIMEOUT)
        if not ready:
            return
        for source in ready:
            data = source.recv(_CHUNK)
            if not data:
                return
            peers[source].sendall(data)
