"""A listening socket whose end is known."""

from __future__ import annotations

import contextlib
import socket
import threading


def end_listening(listener: socket.socket, accepting: threading.Thread) -> None:
    """Close ``listener`` once the thread that accepts on it has left.

    Closed before that, its descriptor may become another listener's while the thread is still on its way into the
    system call: that thread would then take the other's client.
    """
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join(30)
    listener.close()
