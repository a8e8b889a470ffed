"""HTTP servers on sockets that are listening already: keep-alive, one thread a connection."""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

log = logging.getLogger(__name__)

IDLE = 120.0
"""Seconds after which a silent connection is closed."""


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


class ApiHandler(MotoRequestHandler):
    """Runs the WSGI application and keeps the connection, which werkzeug's development server would close each time.

    That is safe because the gateway reads every body to its end.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = IDLE

    def handle_expect_100(self) -> bool:
        """The client waits for this line, so it must not stay in the buffer."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            answer[:] = [status, headers]

        app: Any = self.server.app
        result = app(environ, start_response)
        try:
            code, _, phrase = answer[0].partition(" ")
            self._write(int(code), phrase, answer[1], result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        # An unread body (the gateway refused before reading it) would be taken for the next request.
        if environ["wsgi.input"] is self.rfile and environ.get("CONTENT_LENGTH", "0") not in ("", "0"):
            self.close_connection = True

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
        chunks = iter(result)
        if not bodiless and "content-length" not in names:
            whole = b"".join(chunks)
            self.send_header("Content-Length", str(len(whole)))
            chunks = iter([whole])
        self.end_headers()
        if not bodiless:
            for chunk in chunks:
                self.wfile.write(chunk)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """An idle connection that is closed is no error."""
        log.debug(format, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No access log: it costs more than the requests."""
