"""Run a child process that takes minutes: its output goes to a file and, line by line, to the caller while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from hcluster.errors import DeadlineError, HclusterError

_POLL_SECONDS = 0.1


def run(
    command: Sequence[str],
    *,
    log: Path,
    deadline: float,
    on_line: Callable[[str], None] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    grace: float = 30,
) -> int:
    """Run ``command`` to its end; its exit code.

    The child writes straight to ``log``: should this process be killed, the child does not die of a broken pipe, but
    comes to an orderly end. It has a process group of its own, so that Ctrl-C reaches it through us only, once, as
    SIGINT; then it has ``grace`` seconds to clean up after itself.

    Args:
        command: program and arguments; no shell.
        log: file for stdout and stderr (truncated).
        deadline: seconds until the child is interrupted and DeadlineError raised.
        on_line: called with each line of output, without its end.
        cwd: working directory.
        env: the whole environment; ours when absent.
        keep_open: file descriptors that the child inherits.
        grace: seconds between SIGINT and SIGKILL.

    Raises:
        DeadlineError: it took longer than ``deadline``.
        HclusterError: the program is not installed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink, log.open("rb") as source:
        try:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                pass_fds=tuple(keep_open),
                start_new_session=True,
            )
        except FileNotFoundError as cause:
            name = Path(command[0]).name
            raise HclusterError(
                f"{name} is not installed", hint=f"install {name}: `make setup` does", reference="program-missing"
            ) from cause
        try:
            _follow(child, source, time.monotonic() + deadline, on_line or _ignore)
        except BaseException:
            _end(child, grace)
            raise
    if child.returncode is None:
        _end(child, grace)
        raise DeadlineError(
            f"{Path(command[0]).name} took longer than {deadline:.0f} s",
            context=tail(log),
            hint=f"its whole output is in {log}",
        )
    return child.returncode


def tail(log: Path, lines: int = 25) -> str:
    """The last ``lines`` lines of a log, "" when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _follow(child: subprocess.Popen[bytes], source: IO[bytes], until: float, on_line: Callable[[str], None]) -> None:
    """Hand out lines until the child ended or time is over."""
    pending = b""
    while True:
        ended = child.poll() is not None  # before the last read, so that nothing written before the end is missed
        chunk = source.read()
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace").rstrip("\r"))
        if ended or time.monotonic() > until:
            return
        if not chunk:
            time.sleep(_POLL_SECONDS)


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Interrupt the whole group, as a terminal would (programs pass work on to children), then kill it."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _ignore(_line: str) -> None:
    """Nobody listens."""
