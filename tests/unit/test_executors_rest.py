"""YARN's daemons over a channel: an answer is whole, or an error."""

from __future__ import annotations

import socket
import threading
from typing import Any, cast

import pytest

from hcluster.errors import UnreachableError
from hcluster.executors.rest import Rest
from hcluster.ports import Remote


class Answering:
    """Every channel leads to somebody who says this, whatever is asked, and goes away."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def open_channel(self, _host: str, _port: int) -> socket.socket:
        ours, theirs = socket.socketpair()

        def say() -> None:
            with theirs:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += theirs.recv(1 << 16)
                theirs.sendall(self._answer)

        threading.Thread(target=say, daemon=True).start()
        return ours


def rest(answer: bytes) -> Rest:
    return Rest(cast("Remote", Answering(answer)), "worker-1", 8042, what="the NodeManager", unit="hadoop-nodemanager")


@pytest.mark.parametrize(
    "head", [b"Content-Length: 6\r\n\r\nabcdef", b"Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n"]
)
def test_a_whole_answer_is_read(head: bytes) -> None:
    assert b"".join(rest(b"HTTP/1.1 200 OK\r\n" + head).text("/file")) == b"abcdef"


@pytest.mark.parametrize("head", [b"Content-Length: 9\r\n\r\nabcdef", b"Transfer-Encoding: chunked\r\n\r\n9\r\nabcdef"])
def test_an_answer_that_was_cut_off_is_an_error(head: bytes) -> None:
    found: list[Any] = []
    with pytest.raises(UnreachableError, match="the connection to the NodeManager ended"):
        found.extend(rest(b"HTTP/1.1 200 OK\r\n" + head).text("/file"))
