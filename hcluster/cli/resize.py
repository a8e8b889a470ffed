"""``hcluster resize``: more nodes for a running cluster."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import typer

from hcluster.cli.clusters import NAME, NO_WAIT, PLAN, TIMEOUT, bring_up, tell_cluster
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import forecasts, render
from hcluster.errors import UsageError
from hcluster.model.events import Progress


def resize(
    ctx: typer.Context,
    name: str = NAME,
    counts: list[str] = typer.Argument(
        ..., metavar="GROUP=COUNT...", help="How many nodes a group (core, task) is to have.", show_default=False
    ),
    plan: bool = PLAN,
    no_wait: bool = NO_WAIT,
    timeout: float = TIMEOUT,
) -> None:
    """Give a running cluster more nodes, without its YAML at hand.

    It changes the counts in the spec that the cluster was started with and does what `up` does then. Fewer nodes are
    refused. Write the new counts into the YAML, too: the next `up` with it would ask for fewer.

    \b
    Examples:
      hcluster resize flights core=5 --plan
      hcluster resize flights core=5 task=2
    """
    from hcluster.flows import forecast
    from hcluster.flows import resize as flows_resize

    wanted = _counts(counts)
    with flow(ctx) as context:
        spec = flows_resize.resized(context, name, wanted)
        again = shlex.join(["hcluster", "resize", name, *counts])
        found = forecast.forecast_up(context, spec)
        if not plan:
            context.report(Progress("price", forecasts.price_line(found.cost), state="ok"))
            view = bring_up(context, spec, again=again, timeout=timeout, wait=not no_wait)
            said = ", ".join(f"{group}.count: {count}" for group, count in wanted.items())
            context.report(Progress("yaml", f"the spec of {name} has {said} now; its YAML should, too", state="ok"))
    if plan:
        render.emit(state_of(ctx), found, forecasts.forecast_text(found, again))
    else:
        tell_cluster(ctx, context, view, waited=not no_wait)


def _counts(words: Sequence[str]) -> dict[str, int]:
    """``GROUP=COUNT`` each."""
    found: dict[str, int] = {}
    for word in words:
        group, equals, count = word.partition("=")
        if not group or not equals or not count.isascii() or not count.isdigit():
            raise UsageError(f"{word!r} is not GROUP=COUNT", hint="hcluster resize flights core=5")
        if group in found:
            raise UsageError(f"{group} is given twice", hint="hcluster resize flights core=5")
        found[group] = int(count)
    return found
