"""From exceptions to what people read and to exit codes; the only place where codes are decided.

0: done, or nothing to do. 1: failed. 2: wrong usage. 130: interrupted. A remote command's own code is handed on.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hcluster.cli.config import state_folder
from hcluster.cli.output.render import clean, colours
from hcluster.errors import HclusterError, RemoteCommandError, UsageError

INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""


class InterruptedFlowError(HclusterError):
    """Ctrl-C; the hint says how to go on."""

    reference = "interrupted"


@contextmanager
def interruptible(message: str, hint: str) -> Iterator[None]:
    """Turn Ctrl-C within the block into an error that says what exists and how to go on."""
    try:
        yield
    except KeyboardInterrupt as cause:
        raise InterruptedFlowError(message, hint=hint) from cause


def exit_code(cause: BaseException) -> int:
    """The code that an exception ends the process with."""
    if isinstance(cause, InterruptedFlowError | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(cause, UsageError):
        return 2
    if isinstance(cause, RemoteCommandError) and 0 < cause.exit_code < 256:
        return cause.exit_code
    return 1


def tell(cause: BaseException, *, as_json: bool = False, stream: TextIO | None = None) -> int:
    """Write what happened to ``stream`` (stderr); returns the exit code."""
    stream = stream or sys.stderr
    if isinstance(cause, HclusterError):
        error = cause
    elif isinstance(cause, KeyboardInterrupt):
        error = InterruptedFlowError("interrupted")
    else:
        error = _unexpected(cause)
    code = exit_code(cause)
    if as_json:
        fields = {"reference": error.reference, "message": error.message, "context": error.context, "hint": error.hint}
        print(json.dumps({"error": {**fields, "exit_code": code}}, ensure_ascii=False), file=stream)
    else:
        print(text(error, coloured=colours(stream)), file=stream)
    return code


def text(error: HclusterError, *, coloured: bool = False) -> str:
    """Message with reference, context indented, hint: each only when there is one."""
    red, bold, plain = ("\x1b[31m", "\x1b[1m", "\x1b[0m") if coloured else ("", "", "")
    lines = [f"{red}error:{plain} {clean(error.message)} [{error.reference}]"]
    # Whoever answers repeats itself: HiveServer2 wraps its message once more. What goes on behind it is news.
    again = error.message.strip()
    lines += [
        f"  {clean(line)}" for line in error.context.strip().splitlines() if not again or not line.endswith(again)
    ]
    first, *rest = error.hint.strip().splitlines() or [""]
    if first:
        lines += [f"{bold}hint:{plain} {clean(first)}", *(f"      {clean(line)}" for line in rest)]
    return "\n".join(lines)


def _unexpected(cause: BaseException) -> HclusterError:
    """A bug: the trace goes to a file, where it can be read at leisure and sent to those who can cure it."""
    summary = f"{type(cause).__name__}: {cause}".splitlines()[0]
    trace = "".join(traceback.format_exception(cause))
    try:
        path = _keep(trace, state_folder() / "errors")
        hint = f"this is a bug of hcluster; please report it with {path}"
    except OSError:
        return HclusterError(f"unexpected: {summary}", context=trace, hint="please report it", reference="bug")
    return HclusterError(f"unexpected: {summary}", hint=hint, reference="bug")


def _keep(trace: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    # The arguments say which command it was; the environment may hold secrets and is left out.
    body = f"{' '.join(sys.argv)}\n\n{trace}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(body)
    return path
