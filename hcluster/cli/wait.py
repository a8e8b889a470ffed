"""``hcluster wait``: stay until what another call began has happened."""

from __future__ import annotations

from enum import StrEnum

import typer

from hcluster.cli.clusters import NAME, tell_cluster
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render


class For(StrEnum):
    """What is waited for."""

    ready = "ready"
    down = "down"


def wait(
    ctx: typer.Context,
    name: str = NAME,
    what: For = typer.Option(For.ready, "--for", help="Until all nodes are ready, or until the cluster is gone."),
    timeout: float = typer.Option(900, min=0, metavar="SECONDS", help="How long it may take."),
) -> None:
    """Wait until a cluster that was started is ready, or until one that is taken down is gone.

    Anybody of the cluster's team may wait. When all nodes are ready, and follow what they were told, the launch is
    registered as `up` would have done; a node that fails ends the wait with the same message as it ends `up`.

    \b
    Examples:
      hcluster up flights.yaml --no-wait && hcluster wait flights
      hcluster wait flights --timeout 300 --output json
      hcluster wait flights --for down
    """
    from hcluster.flows import wait as flows_wait

    with flow(ctx) as context:
        if what is For.down:
            flows_wait.until_gone(context, name, timeout=timeout)
        else:
            view = flows_wait.until_ready(context, name, timeout=timeout)
    if what is For.down:
        render.emit(state_of(ctx), {"name": name, "gone": True}, f"{name} is gone")
    else:
        tell_cluster(ctx, context, view)
