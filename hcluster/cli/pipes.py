"""Readers that have seen enough."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End with code 0 when the reader of standard output is gone (``| head``): that is no failure."""
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
