"""What every command that runs a flow does around it: wire, report progress, look at the clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from hcluster.cli.config import CliState
from hcluster.cli.output.progress import reporter
from hcluster.cli.output.render import clean
from hcluster.errors import UsageError

if TYPE_CHECKING:
    from hcluster.flows.context import Context


def state_of(ctx: typer.Context) -> CliState:
    """The settings of this call."""
    return ctx.obj if isinstance(ctx.obj, CliState) else CliState()


@contextmanager
def flow(ctx: typer.Context, asking: str = "asking the cloud") -> Iterator[Context]:
    """The flows' context, with progress on stderr while the block lasts.

    ``asking``: what is asked for before the first step, or by a block that has none; told where that takes long.
    """
    from hcluster.cli import wire

    context = wire.context(state_of(ctx))
    with reporter(asking=asking) as report:
        yield replace(context, report=report, command=ctx.command_path)


def moment(context: Context) -> datetime:
    """Now, by the clock of the flows."""
    return datetime.fromtimestamp(context.clock.now(), UTC)


def confirm(question: str | Callable[[], str], *, yes: bool, command: str) -> None:
    """Ask before something is lost, unless ``yes``; the answer is no when nothing is typed.

    ``question`` says what will be lost; a function that finds it out is only called when there is somebody to ask, and
    answers "" when nothing is. ``command`` is the command without ``--yes``.

    Raises:
        UsageError: there is nobody to ask.
        typer.Abort: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this asks before anything is lost, and there is no terminal to ask on",
            hint=f"when you are sure: `{command} --yes`",
            reference="nobody-to-ask",
        )
    asked = question if isinstance(question, str) else question()
    if not asked:
        return
    if (typed(f"{clean(asked)} [y/N] ") or "").lower() not in ("y", "yes"):
        raise typer.Abort


def typed(question: str) -> str | None:
    """What somebody types on the terminal, without the blanks around it; None at the end of input.

    Not by typer's own prompt: that writes a part of the question to standard output, where only results belong.
    """
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip() if answer else None
