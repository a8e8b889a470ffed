"""``hcluster events``: what happened to a cluster, when, and by whom."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from hcluster.cli import wire
from hcluster.cli.clusters import NAME
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.cli.output.pipes import quiet_pipe
from hcluster.errors import UsageError

if TYPE_CHECKING:
    from hcluster.flows.context import Context
    from hcluster.plan.timeline import Event

FOLLOW_SECONDS = 2.0


def events(
    ctx: typer.Context,
    name: str = NAME,
    since: str = typer.Option("", metavar="AGE", help="Only what happened in the last 30m, 2h or 7d."),
    limit: int | None = typer.Option(
        None,
        "--limit",
        "-n",
        min=1,
        max=500,
        help="Only so many events, the newest; with --follow, of those so far.",
        show_default=False,
    ),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with what happens from now on, until Ctrl-C."),
) -> None:
    """Show what happened to a cluster.

    Launches, joins, losses with EC2's reason, changes, replacements and ends, in order, and by whom. It works for a
    cluster that has ended, too, by its whole name. A time with a `<` is when something was seen: EC2 does not tell when
    it took a spot instance back.

    \b
    Examples:
      hcluster events flights
      hcluster events flights --since 2h --output json
      hcluster events flights --follow
    """
    state = state_of(ctx)
    if follow and state.output == "json":
        raise UsageError("--follow writes lines as things happen, no JSON", hint="leave out one of the two")
    with flow(ctx, "asking what happened") as context:
        begin = context.clock.now() - _age(since) if since else 0.0
        found = _read(context, name, begin, None if follow else limit)
    news = found[-limit:] if limit else found
    if not follow:
        render.emit(state, news, table(news))
        return
    context = wire.context(state)
    seen = set(map(_identity, found))
    with quiet_pipe():
        while True:
            for event in news:
                print("  ".join(_row(event)).rstrip())
            sys.stdout.flush()
            try:
                time.sleep(FOLLOW_SECONDS)
            except KeyboardInterrupt:
                return
            news = [event for event in _read(context, name, begin) if _identity(event) not in seen]
            seen.update(map(_identity, news))


def _read(context: Context, name: str, begin: float, limit: int | None = None) -> list[Event]:
    """What happened since ``begin``. As many notes as events are wanted are enough for the newest of them."""
    from hcluster.flows import timeline

    return timeline.events(context, name, since=begin, limit=limit or timeline.LISTED)


def _age(text: str) -> int:
    from hcluster.spec.base import seconds

    try:
        return seconds(text)
    except ValueError as cause:
        raise typer.BadParameter(str(cause), param_hint="--since") from cause


def _identity(event: Event) -> tuple[object, ...]:
    """What is the same when it is read again: a time that is only when it was seen is not."""
    return (event.at if event.exact else None, event.kind, event.text, event.instance)


def table(found: Sequence[Event]) -> str:
    """One event a line."""
    return render.table(("time (utc)", "event", "node", "what", "by"), map(_row, found), empty="nothing happened")


def _row(event: Event) -> tuple[str, str, str, str, str]:
    at = event.at.strftime("%Y-%m-%d %H:%M:%S")
    node = f"{event.group} {event.instance}".strip()
    who = f"{event.user} ({event.team})" if event.user else ""
    by = ", ".join(part for part in (who, event.command.removeprefix("hcluster ")) if part)
    return (at if event.exact else f"<{at}", event.kind, node, event.text, by)
