"""Readers that have seen enough."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End with code 0 when the reader of standard output is gone (``| head``): that is no failure.

    For commands that only read. One whose outcome matters goes on, with ``write_while_read``.
    """
    try:
        yield
    except BrokenPipeError:
        drop_output()
        raise typer.Exit from None


def write_while_read(piece: bytes) -> None:
    """Write to standard output at once; from when its reader is gone, what is written there is dropped."""
    out = sys.stdout.buffer
    try:
        out.write(piece)
        out.flush()
    except BrokenPipeError:
        drop_output()


def reader_gone() -> bool:
    """Whether nobody reads standard output any more; never true of a terminal or a file."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(happened & (select.POLLERR | select.POLLNVAL) for _, happened in poll.poll(0))


def drop_output() -> None:
    """Lead standard output to nowhere: what is left in its buffer is flushed once more when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
