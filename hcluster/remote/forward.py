"""Local ports that lead into a cluster: one to one port of a node, or a SOCKS5 proxy to all of its nodes."""

from __future__ import annotations

import errno
import ipaddress
import select
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from hcluster.errors import ConflictError, DeniedError, HclusterError, UnreachableError

if TYPE_CHECKING:
    import paramiko

_CHUNK = 1 << 16
_IDLE_SECONDS = 0.5
_GREETING_SECONDS = 10.0
"""For a client to say where it wants to go."""
CONNECTIONS = 64
"""Browsers open six to a host, and a page of YARN links to every node."""

OpenChannel = Callable[[str, int], "paramiko.Channel"]
"""A channel to a host and port as the cluster sees them. Raises DeniedError for what is not the cluster's own, and
UnreachableError."""


class Listener(ABC):
    """Listens on 127.0.0.1 while the context lasts; each connection becomes a channel.

    At most ``connections`` at a time are served, one thread each; further ones wait in the listening queue.
    """

    def __init__(self, *, local_port: int = 0, connections: int = CONNECTIONS) -> None:
        self._local_port = local_port
        self._slots = threading.BoundedSemaphore(connections)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            ConflictError: the port is taken, or not ours to take.
        """
        try:
            self._listener = socket.create_server(("127.0.0.1", self._local_port), backlog=CONNECTIONS)
        except OSError as cause:
            if cause.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is taken by another program" if cause.errno == errno.EADDRINUSE else "needs root"
            raise ConflictError(
                f"port {self._local_port} of this machine {why}",
                hint="choose another with --port, or let --port 0 find a free one",
                reference="port-taken",
            ) from cause
        self._listener.settimeout(_IDLE_SECONDS)
        self._start(self._accept, self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._listener is not None:
            # Closed while the thread is about to accept, its descriptor may become another socket, whose client the
            # thread would take.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        if self._listener is not None:
            self._listener.close()

    @property
    def port(self) -> int:
        """The local port that was taken."""
        return 0 if self._listener is None else int(self._listener.getsockname()[1])

    @abstractmethod
    def lead(self, client: socket.socket) -> paramiko.Channel | None:
        """The channel for a new client, None when it gets none."""

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="hcluster-forward", daemon=True)  # type: ignore[arg-type]
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._ended.is_set():
            if not self._slots.acquire(timeout=_IDLE_SECONDS):
                continue
            try:
                client, _ = listener.accept()
            except OSError:
                # Nobody came, or the listener was closed; the loop's condition tells which.
                self._slots.release()
                continue
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, suppress(HclusterError, OSError):
                channel = self.lead(client)
                if channel is not None:
                    try:
                        self._pump(client, channel)
                    finally:
                        channel.close()
        finally:
            self._slots.release()

    def _pump(self, client: socket.socket, channel: paramiko.Channel) -> None:
        """Both ways until either side ends; a side that is done sending may still receive."""
        sources: list[socket.socket | paramiko.Channel] = [client, channel]
        with suppress(OSError):
            while sources and not self._ended.is_set():
                readable, _, _ = select.select(sources, [], [], _IDLE_SECONDS)
                for source in readable:
                    data = source.recv(_CHUNK)
                    if data:
                        (channel if source is client else client).sendall(data)
                        continue
                    sources.remove(source)
                    if source is client:
                        channel.shutdown_write()
                    else:
                        client.shutdown(socket.SHUT_WR)


class PortForward(Listener):
    """Every connection leads to ``host:port``."""

    def __init__(self, open_channel: OpenChannel, host: str, port: int, *, local_port: int = 0) -> None:
        super().__init__(local_port=local_port)
        self._open_channel = open_channel
        self._target = (host, port)

    def lead(self, client: socket.socket) -> paramiko.Channel:  # noqa: ARG002 - it says nothing first
        """Always there."""
        return self._open_channel(*self._target)


_VERSION, _NO_AUTHENTICATION, _CONNECT = 5, 0, 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_FINE, _FAILED, _NOT_ALLOWED, _REFUSED, _NO_SUCH_COMMAND, _NO_SUCH_ADDRESS = 0, 1, 2, 5, 7, 8
_NO_SOCKS = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n"
    b"This port is a SOCKS5 proxy: set it as such in the browser's settings.\n"
)


class SocksProxy(Listener):
    """SOCKS5 (RFC 1928) as far as browsers use it: no authentication, CONNECT only; names go to the other end.

    Which targets are allowed is up to ``open_channel``; ``refused`` is told of those that were not.
    """

    def __init__(
        self, open_channel: OpenChannel, refused: Callable[[HclusterError], object], *, local_port: int
    ) -> None:
        super().__init__(local_port=local_port)
        self._open_channel = open_channel
        self._refused = refused

    def lead(self, client: socket.socket) -> paramiko.Channel | None:
        """Ask the client where it wants to go, and answer."""
        client.settimeout(_GREETING_SECONDS)
        target = _asked(client)
        if target is None:
            return None
        try:
            channel = self._open_channel(*target)
        except DeniedError as cause:
            self._refused(cause)
            _answer(client, _NOT_ALLOWED)
            return None
        except UnreachableError as cause:
            self._refused(cause)
            _answer(client, _REFUSED)
            return None
        except HclusterError as cause:
            self._refused(cause)
            _answer(client, _FAILED)
            return None
        _answer(client, _FINE)
        client.settimeout(None)
        return channel


def _asked(client: socket.socket) -> tuple[str, int] | None:
    """Host and port that a client asks for; one that asks for something else has had its answer."""
    version, count = _exactly(client, 2)
    if version != _VERSION:
        client.sendall(_NO_SOCKS)
        return None
    if _NO_AUTHENTICATION not in _exactly(client, count):
        client.sendall(bytes([_VERSION, 0xFF]))
        return None
    client.sendall(bytes([_VERSION, _NO_AUTHENTICATION]))
    _, command, _, kind = _exactly(client, 4)
    if kind == _NAME:
        host = _exactly(client, _exactly(client, 1)[0]).decode("ascii", errors="replace")
    elif kind in {_IPV4, _IPV6}:
        host = str(ipaddress.ip_address(_exactly(client, 4 if kind == _IPV4 else 16)))
    else:
        _answer(client, _NO_SUCH_ADDRESS)
        return None
    (port,) = struct.unpack("!H", _exactly(client, 2))
    if command != _CONNECT:
        _answer(client, _NO_SUCH_COMMAND)
        return None
    return host, port


def _exactly(client: socket.socket, count: int) -> bytes:
    """So many bytes. Raises OSError when the client goes before."""
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("the client went away")
        data += piece
    return data


def _answer(client: socket.socket, code: int) -> None:
    client.sendall(bytes([_VERSION, code, 0, _IPV4, 0, 0, 0, 0, 0, 0]))
