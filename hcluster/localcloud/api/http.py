"""HTTP servers on sockets that are listening already: keep-alive, one thread a connection."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import IO, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

log = logging.getLogger(__name__)

IDLE = 120.0
"""Seconds after which a silent connection is closed."""
DRAINED = 1 << 16
"""Bytes of an unread body that are read away to keep the connection; after a longer one it is closed."""
LINGER = 30.0
"""Seconds that a refused sender may go on sending until it reads its answer."""
SMALL = 1 << 15
_IDLE_TIMEVAL = struct.pack("ll", int(IDLE), 0)


class SocketServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves a listening socket in a thread of its own."""

    daemon_threads = True
    block_on_close = False
    # What werkzeug's request handler reads of its server.
    ssl_context = None
    multithread = True
    multiprocess = False
    passthrough_errors = False
    _server_version = "hcluster"

    def __init__(self, listening: socket.socket, handler: type[BaseHTTPRequestHandler], app: Any = None) -> None:
        """``app``: the WSGI application for an ApiHandler."""
        super().__init__(listening.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.app = app
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name=handler.__name__, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        log.debug("connection of %s broke: %s (%s)", client_address, sys.exc_info()[1], request)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Werkzeug's messages go to our log."""
        log.debug("%s: %s", type, message % args if args else message)


class RequestInput:
    """The body of one request: ends where it ends, and asks for it only when somebody reads."""

    def __init__(self, stream: Any, length: int | None, begin: Callable[[], None] | None) -> None:
        """``length``: None for a body that ends itself; ``begin``: tells a client that waits to go on."""
        self._stream = stream
        self._left = length
        self._begin = begin

    @property
    def unread(self) -> float:
        """Bytes that are still to come, as far as is known."""
        return float("inf") if self._left is None else self._left

    @property
    def awaited(self) -> bool:
        """Whether the client still waits to be told to go on."""
        return self._begin is not None

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; fewer than asked only at the end, or when the connection broke."""
        return self._take(self._stream.read, size)

    def readline(self, limit: int = -1, /) -> bytes:
        """The next bytes up to a line feed."""
        return self._take(self._stream.readline, limit)

    def _take(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self._left == 0:
            return b""
        if self._begin is not None:
            self._begin()
            self._begin = None
        if self._left is not None:
            size = self._left if size < 0 else min(size, self._left)
        try:
            found = read(size)
        except OSError:
            found = b""
        if self._left is None:
            self._left = None if found or not size else 0
        else:
            self._left = self._left - len(found) if found else 0
        return found


class ApiHandler(MotoRequestHandler):
    """Runs the WSGI application and keeps the connection, which werkzeug's development server would close each time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = IDLE
    _waits = False

    def handle_expect_100(self) -> bool:
        """The client is told to go on when somebody wants its body: what is refused before that costs no transfer."""
        self._waits = True
        return True

    def _go_on(self) -> None:
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()

    def make_environ(self) -> dict[str, Any]:
        """The WSGI environment, with the headers as they came."""
        environ: dict[str, Any] = super().make_environ()
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        environ["hcluster.headers"] = headers
        length = headers.get("content-length", "")
        known = None if environ.get("wsgi.input_terminated") else int(length) if length.isdigit() else 0
        environ["wsgi.input"] = RequestInput(environ["wsgi.input"], known, self._go_on if self._waits else None)
        self._waits = False
        return environ

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        source: RequestInput = environ["wsgi.input"]
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            answer[:] = [status, headers]

        app: Any = self.server.app
        result = app(environ, start_response)
        try:
            if source.unread and not source.awaited and source.unread <= DRAINED:
                source.read()
            if source.unread:
                # It would be taken for the next request.
                self.close_connection = True
            code, _, phrase = answer[0].partition(" ")
            self._write(int(code), phrase, answer[1], result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        if source.unread and not source.awaited:
            self._linger(source)

    def _linger(self, source: RequestInput) -> None:
        """Take what the client still sends: a connection that is closed on it takes the answer away as well."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        end = time.monotonic() + LINGER
        while time.monotonic() < end and source.read(1 << 18):
            pass

    def _write(self, code: int, phrase: str, headers: list[tuple[str, str]], result: Iterable[bytes]) -> None:
        bodiless = self.command == "HEAD" or code in (204, 304)
        self.send_response_only(code, phrase)
        names = set()
        for name, value in headers:
            if code == 204 and name.lower() == "content-length":
                continue
            self.send_header(name, value)
            names.add(name.lower())
        self.send_header("Date", self.date_time_string())
        if self.close_connection:
            self.send_header("Connection", "close")
        regions = None if bodiless else getattr(result, "sources", None)
        chunks = iter(()) if regions is not None else iter(result)
        if not bodiless and "content-length" not in names:
            whole = b"".join(chunks)
            self.send_header("Content-Length", str(len(whole)))
            chunks = iter([whole])
        self.end_headers()
        if regions is not None:
            self._send_files(regions())
        elif not bodiless:
            for chunk in chunks:
                self.wfile.write(chunk)
        self.wfile.flush()

    def _send_files(self, regions: Iterable[tuple[IO[bytes], int, int]]) -> None:
        """Small ones go out with the headers; the kernel sends big ones by itself."""
        for source, start, size in regions:
            if size <= SMALL:
                self.wfile.write(os.pread(source.fileno(), size, start))
            else:
                self.wfile.flush()
                self._send_file(source, start, size)

    def _send_file(self, source: IO[bytes], start: int, size: int) -> None:
        """One call of the kernel as a rule: with a timeout of Python's the socket would wake us for each buffer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _IDLE_TIMEVAL)
        self.connection.settimeout(None)
        try:
            while size:
                sent = os.sendfile(self.connection.fileno(), source.fileno(), start, size)
                if not sent:
                    # Shorter than its record says: the client must see that it is cut off.
                    self.close_connection = True
                    raise BrokenPipeError
                start, size = start + sent, size - sent
        except BlockingIOError:
            raise TimeoutError("the client reads nothing") from None
        finally:
            self.connection.settimeout(self.timeout)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """An idle connection that is closed is no error."""
        log.debug(format, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No access log: it costs more than the requests."""
