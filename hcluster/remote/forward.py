"""A local port that leads to a port seen from a node."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from hcluster.errors import UnreachableError

if TYPE_CHECKING:
    import paramiko

    from hcluster.remote.session import SshRemote

_CHUNK = 1 << 16
_IDLE_SECONDS = 0.5


class PortForward:
    """Listens on 127.0.0.1 while the context lasts; each connection becomes a channel to ``host:port`` of the node.

    At most ``connections`` at a time are served, one thread each; further ones wait in the listening queue.
    """

    def __init__(self, remote: SshRemote, host: str, port: int, *, local_port: int = 0, connections: int = 16) -> None:
        self._remote = remote
        self._target = (host, port)
        self._local_port = local_port
        self._slots = threading.BoundedSemaphore(connections)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._local_port))
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
            with client, suppress(UnreachableError):
                channel = self._remote.open_channel(*self._target)
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
