"""Notices that the other end of a session is gone though its network still answers, as with a node that hangs."""

from __future__ import annotations

import threading
from contextlib import suppress

import paramiko

EVERY_SECONDS = 15.0
DEAD_SECONDS = 60.0
"""Without an answer of the SSH service for so long, the session is ended: whoever waits on it is told."""
_QUESTION = "keepalive@openssh.com"
"""No service knows this request, and each must answer that it does not."""


def keep(transport: paramiko.Transport) -> None:
    """Ask again and again, in a thread that ends with the connection."""
    threading.Thread(target=_beat, args=(transport,), name="hcluster-ssh-pulse", daemon=True).start()


def _beat(transport: paramiko.Transport) -> None:
    pause = threading.Event()
    while transport.is_active():
        pause.wait(EVERY_SECONDS)
        patience = threading.Timer(DEAD_SECONDS, transport.close)
        patience.daemon = True
        patience.start()
        with suppress(paramiko.SSHException, OSError, EOFError):
            transport.global_request(_QUESTION)
        patience.cancel()
