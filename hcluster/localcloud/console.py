"""Console logs: one thread reads the terminals of all nodes into bounded files."""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import threading
from pathlib import Path

from hcluster.errors import LocalCloudError

KEEP_BYTES = 64 * 1024
"""What GetConsoleOutput gives at most on EC2; a file holds up to four times this much."""


_TIOCGPTPEER = 0x5441
"""ioctl_tty(2): opens the other end of a terminal, whatever mount namespace its name lives in."""


class Console:
    """The log of one node, cut from the front when it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(self, data: bytes) -> None:
        """Add output; the file never holds more than ``4 * KEEP_BYTES``."""
        with self._lock:
            try:
                with self._path.open("ab") as file:
                    file.write(data)
                    size = file.tell()
                if size > 4 * KEEP_BYTES:
                    self._path.write_bytes(self._path.read_bytes()[-KEEP_BYTES:])
            except FileNotFoundError:
                # The instance was removed while its last output was under way.
                return

    def tail(self) -> str:
        """The latest output, at most ``KEEP_BYTES``; "" when there is none."""
        with self._lock:
            try:
                data = self._path.read_bytes()[-KEEP_BYTES:]
            except FileNotFoundError:
                return ""
        return data.decode(errors="replace").replace("\r\n", "\n")


class ConsoleReader:
    """Owns the terminals' master ends."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._waiting: list[tuple[int, Console]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._read_all, name="consoles", daemon=True).start()

    def attach(self, terminal: int, console: Console) -> int:
        """Read a terminal (a file descriptor, owned from now on) until nobody holds its other end.

        Returns a file descriptor of that other end; the caller closes it when the node has ended. Without it the
        terminal would hang up whenever no process of the node happens to have its console open.
        """
        kept: int = fcntl.ioctl(terminal, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        os.set_blocking(terminal, False)
        with self._lock:
            self._waiting.append((terminal, console))
        os.write(self._wake_write, b".")
        return kept

    def _read_all(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._register()
                    continue
                try:
                    data = os.read(key.fd, 65536)
                except BlockingIOError:
                    continue
                except OSError:
                    # EIO is how a terminal says that nobody is at its other end any more.
                    data = b""
                if data:
                    key.data.append(data)
                else:
                    self._selector.unregister(key.fd)
                    os.close(key.fd)

    def _register(self) -> None:
        os.read(self._wake_read, 4096)
        with self._lock:
            fresh, self._waiting = self._waiting, []
        for terminal, console in fresh:
            self._selector.register(terminal, selectors.EVENT_READ, console)


class TerminalSocket:
    """The socket on which runc hands over a node's terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._socket.settimeout(10)

    def receive(self) -> int:
        """The terminal's file descriptor.

        Raises:
            LocalCloudError: runc sent none.
        """
        try:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(10)
                _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        except TimeoutError as cause:
            raise LocalCloudError("runc handed over no terminal within 10 s") from cause
        if not descriptors:
            raise LocalCloudError("runc handed over no terminal")
        return descriptors[0]

    def close(self) -> None:
        """Close and remove it."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
