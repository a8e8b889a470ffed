"""An interactive terminal over a channel: raw mode while it lasts, always restored."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from types import FrameType

import paramiko

_CHUNK = 1 << 16


def run(channel: paramiko.Channel) -> int:
    """Connect the caller's standard streams to a login shell; its exit code (-1 when the connection ended first).

    Without a terminal on standard input, input is sent as it is and its end ends the shell.
    """
    keyboard = sys.stdin.fileno()
    interactive = os.isatty(keyboard)
    if interactive:
        size = shutil.get_terminal_size()
        channel.get_pty(os.environ.get("TERM", "xterm"), size.columns, size.lines)
    channel.invoke_shell()
    with _raw(keyboard) if interactive else contextlib.nullcontext(), _resizing() as woken:
        _pump(channel, keyboard, woken)
    return channel.recv_exit_status()


def _pump(channel: paramiko.Channel, keyboard: int, woken: int) -> None:
    """Move bytes both ways until the shell ends."""
    sources = [channel.fileno(), keyboard, woken]
    while True:
        readable, _, _ = select.select(sources, [], [])
        if woken in readable:
            os.read(woken, _CHUNK)
            size = shutil.get_terminal_size()
            with contextlib.suppress(paramiko.SSHException):
                channel.resize_pty(size.columns, size.lines)
        if channel.recv_stderr_ready():
            _write(sys.stderr.fileno(), channel.recv_stderr(_CHUNK))
        if channel.recv_ready():
            _write(sys.stdout.fileno(), channel.recv(_CHUNK))
        elif channel.eof_received or channel.closed:
            return
        if keyboard in readable:
            typed = os.read(keyboard, _CHUNK)
            with contextlib.suppress(OSError):
                if typed:
                    channel.sendall(typed)
                else:
                    channel.shutdown_write()
            if not typed:
                sources.remove(keyboard)


def _write(descriptor: int, data: bytes) -> None:
    """All of it: a terminal may take less at once."""
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Raw mode; restored also when a signal ends the program."""
    before = termios.tcgetattr(keyboard)
    signals = (signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _frame: FrameType | None) -> None:
        # An exception unwinds through the finally below, which the default action of the signal would not.
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    handlers = [(number, signal.signal(number, leave)) for number in signals] if main else []
    try:
        tty.setraw(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        for number, handler in handlers:
            signal.signal(number, handler)


@contextlib.contextmanager
def _resizing() -> Iterator[int]:
    """A descriptor that becomes readable when the window changed its size."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def changed(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, b"\0")

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGWINCH, changed) if main else None
    try:
        yield reader
    finally:
        if main:
            signal.signal(signal.SIGWINCH, before)
        os.close(reader)
        os.close(writer)
