"""Copy files to and from a node: the caller's end of the stream that ``copying`` describes, over a channel."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import paramiko

from hcluster.errors import CopyError, NotFoundError, UnreachableError
from hcluster.ports import Copied, Moved
from hcluster.remote.copying import Plan, RefusedError, receive, send

WINDOW_BYTES = 4 << 20
"""What a node may send ahead of our reading: 80 MB/s at a round trip of 50 ms."""
_PACKET = 32_000
"""A bit less than what fits into one SSH packet, so that each piece is one."""
_ANSWER_BYTES = 1 << 20


def command(verb: str, *words: str) -> bytes:
    """What a node's shell is given; names are bytes, and need not be text."""
    line = shlex.join(["exec", "/usr/bin/python3", "-X", "utf8", "-I", "-c", _program(), verb, *words])
    return line.encode("utf-8", "surrogateescape")


@cache
def _program() -> str:
    return resources.files("hcluster.remote").joinpath("copying.py").read_text(encoding="utf-8")


def plan(sources: Sequence[str], *, recursive: bool) -> Plan:
    """What to send of this machine.

    Raises:
        NotFoundError: there is no such file, or it is not one that can be copied.
    """
    try:
        return Plan(sources, recursive=recursive)
    except RefusedError as refused:
        raise NotFoundError(f"{refused} (on this machine)") from None


def upload(channel: paramiko.Channel, what: str, chosen: Plan, moved: Moved) -> Copied:
    """Send a plan to the program that runs in ``channel``.

    Raises:
        CopyError: the node cannot store it.
        UnreachableError: the connection ended.
    """
    try:
        send(chosen, lambda data: _send_all(channel, data), lambda count: moved(count, chosen.bytes))
        channel.shutdown_write()
    except RefusedError as refused:
        raise CopyError(f"{refused} (on this machine)") from None
    except TimeoutError:
        raise
    except OSError:
        pass  # the node's end has ended; it has said why
    return _copied(_answer(channel, what), chosen.left_out)


def download(channel: paramiko.Channel, what: str, target: str, moved: Moved) -> Copied:
    """Write to ``target`` what the program in ``channel`` sends.

    Raises:
        CopyError: the node cannot read it, or this machine cannot store it.
        UnreachableError: the connection ended.
    """
    try:
        received = receive(target, channel.recv, moved)
    except RefusedError as refused:
        if channel.closed or channel.eof_received:
            _demand_end(channel, what)
        raise CopyError(f"{what}: {refused}", context=_said(channel)) from None
    return _copied(received, [])


def _send_all(channel: paramiko.Channel, data: bytes) -> None:
    for start in range(0, len(data), _PACKET):
        piece = data[start : start + _PACKET]
        while piece:
            piece = piece[channel.send(piece) :]


def _answer(channel: paramiko.Channel, what: str) -> dict[str, Any]:
    """The last line that the node's program wrote."""
    answer = b""
    while len(answer) < _ANSWER_BYTES and (piece := channel.recv(1 << 16)):
        answer += piece
    _demand_end(channel, what)
    try:
        line = json.loads(answer.strip().rpartition(b"\n")[2])
    except ValueError:
        line = {}
    if not isinstance(line, dict) or line.get("kind") != "received":
        reason = line.get("message") if isinstance(line, dict) else None
        raise CopyError(f"{what}: {reason or 'the copy ended without an answer'}", context=_said(channel))
    return line


def _demand_end(channel: paramiko.Channel, what: str) -> None:
    """Make sure that the program ended, and not the connection."""
    if channel.recv_exit_status() == -1:
        raise UnreachableError(
            f"the SSH connection to {what} ended", hint="look at its state with: hcluster nodes NAME"
        )


def _said(channel: paramiko.Channel) -> str:
    said = b""
    while len(said) < _ANSWER_BYTES and channel.recv_stderr_ready():
        said += channel.recv_stderr(1 << 16)
    return said.decode(errors="replace").strip()


def _copied(received: dict[str, Any], left_out: Sequence[str]) -> Copied:
    return int(received["files"]), int(received["bytes"]), tuple(map(str, received.get("left_out") or left_out))
