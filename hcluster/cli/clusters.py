"""Commands over whole clusters: up, down, list, show, nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hcluster.cli import render
from hcluster.cli.failures import InterruptedFlowError
from hcluster.cli.flow import confirm, flow, moment, state_of
from hcluster.errors import HclusterError, NotFoundError

if TYPE_CHECKING:
    from hcluster.flows.context import Context

NAME = typer.Argument(..., metavar="NAME", help="Name of the cluster.", show_default=False)


def up(
    ctx: typer.Context,
    file: Path = typer.Argument(..., metavar="FILE", help="The cluster's YAML.", show_default=False),
    timeout: float = typer.Option(900, min=1, metavar="SECONDS", help="How long nodes may take to become ready."),
) -> None:
    """Start a cluster, or continue an interrupted start.

    Repeating it is safe: what exists is kept, what is missing is launched, and it returns when every node is ready.

    \b
    Examples:
      hcluster up examples/flights.yaml
      hcluster up flights.yaml --timeout 300 --output json
    """
    from hcluster.flows import up as flows_up
    from hcluster.spec.load import load_cluster

    with flow(ctx) as context:
        spec = load_cluster(file, context.platform)
        try:
            view = flows_up.up(context, spec, timeout=timeout)
        except KeyboardInterrupt as cause:
            raise InterruptedFlowError(
                f"`up` of cluster {spec.name} was interrupted",
                context=f"what exists now: {_inventory(context, spec.name)}",
                hint=f"continue: `hcluster up {file}`\nlook:     `hcluster show {spec.name}`\n"
                f"remove:   `hcluster down {spec.name}`",
            ) from cause
    render.emit(state_of(ctx), render.cluster_value(view), render.cluster_text(view, moment(context)))


def _inventory(context: Context, name: str) -> str:
    """What a cluster consists of at this moment, in words; a second Ctrl-C skips the look."""
    from hcluster.model.names import TAG_CLUSTER, TAG_PLATFORM

    try:
        found = context.compute.inventory({TAG_PLATFORM: context.platform.name, TAG_CLUSTER: name})
    except (HclusterError, KeyboardInterrupt):
        return "unknown, the cloud was not asked to the end"
    return ", ".join(f"{count} {what}" for what, count in found.items() if count) or "nothing but perhaps the name"


def down(
    ctx: typer.Context,
    name: str = NAME,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """End a cluster and remove everything that belongs to it.

    Its HDFS is lost; tables and files in S3 stay. Repeating it is safe.

    \b
    Examples:
      hcluster down flights
      hcluster down flights --yes
    """
    from hcluster.flows import down as flows_down

    name = _surely(ctx, name, yes=yes)
    with flow(ctx) as context:
        try:
            result = flows_down.down(context, name)
        except KeyboardInterrupt as cause:
            raise InterruptedFlowError(
                f"`down` of cluster {name} was interrupted",
                context=f"what exists now: {_inventory(context, name)}",
                hint=f"continue: `hcluster down {name}`",
            ) from cause
    render.emit(state_of(ctx), result, render.down_text(result))


def _surely(ctx: typer.Context, name: str, *, yes: bool) -> str:
    """The whole name of the cluster to end, once somebody who was told what is lost has agreed."""
    from hcluster.cli.naming import full_name
    from hcluster.cli.questions import end_cluster
    from hcluster.flows import listing

    found = name

    def question() -> str:
        nonlocal found
        with flow(ctx) as context:
            try:
                view = listing.show(context, name)
            except NotFoundError as cause:
                found = full_name(state_of(ctx), name, cause, gone=True)
                if found == name:
                    return ""
                view = listing.show(context, found)
        return end_cluster(view, moment(context))

    confirm(question, yes=yes, command=f"hcluster down {name}")
    return found


def list_clusters(ctx: typer.Context) -> None:
    """List the clusters of the platform.

    \b
    Examples:
      hcluster list
      hcluster list --output json
    """
    from hcluster.flows import listing

    with flow(ctx) as context:
        views = listing.clusters(context)
    values = [render.cluster_value(view) for view in views]
    render.emit(state_of(ctx), values, render.clusters_table(views, moment(context)))


def show(ctx: typer.Context, name: str = NAME) -> None:
    """Show one cluster and its nodes.

    \b
    Examples:
      hcluster show flights
      hcluster show flights --output json
    """
    from hcluster.flows import listing

    with flow(ctx) as context:
        view = listing.show(context, name)
    render.emit(state_of(ctx), render.cluster_value(view), render.cluster_text(view, moment(context)))


def nodes(ctx: typer.Context, name: str = NAME) -> None:
    """List the nodes of a cluster.

    `platform` is the name of the platform's own node.

    \b
    Examples:
      hcluster nodes flights
      hcluster nodes platform --output json
    """
    from hcluster.flows import listing

    with flow(ctx) as context:
        found = listing.nodes(context, name)
    render.emit(state_of(ctx), found, render.nodes_table(found, moment(context)))
