"""Commands over whole clusters: up, down, list, show, nodes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hcluster.cli.failures import InterruptedFlowError
from hcluster.cli.flow import confirm, flow, moment, state_of
from hcluster.cli.output import render
from hcluster.errors import HclusterError, NotFoundError

if TYPE_CHECKING:
    from hcluster.flows.context import Context
    from hcluster.model.views import ClusterView
    from hcluster.spec.cluster import ClusterSpec

NAME = typer.Argument(..., metavar="NAME", help="Name of the cluster.", show_default=False)


PLAN = typer.Option(
    False, "--plan", help="Only tell what would be done, why, at which price and in how long; nothing is changed."
)
TIMEOUT = typer.Option(900, min=1, metavar="SECONDS", help="How long nodes may take to become ready.")
NO_WAIT = typer.Option(False, "--no-wait", help="Return after the launch calls; `hcluster wait` does the rest.")


def up(
    ctx: typer.Context,
    file: Path = typer.Argument(..., metavar="FILE", help="The cluster's YAML.", show_default=False),
    settings: list[str] = typer.Option(
        [], "--set", metavar="PATH=VALUE", help="A field that wins over the YAML's, such as core.count=5. Repeatable."
    ),
    plan: bool = PLAN,
    replace: bool = typer.Option(
        False, "--replace", help="Replace workers, batch by batch, for changes that running nodes cannot follow."
    ),
    drain: float = typer.Option(
        600, min=0, metavar="SECONDS", help="How long work on a node that is replaced may go on."
    ),
    no_wait: bool = NO_WAIT,
    timeout: float = TIMEOUT,
) -> None:
    """Start a cluster, continue an interrupted start, or let a running one follow its changed YAML.

    Repeating it is safe: what exists is kept, what is missing is launched, and it returns when every node is ready.
    Values of --set are YAML on one line; below `site` and `tags` all the rest of a path is one key.

    \b
    Examples:
      hcluster up examples/flights.yaml --plan
      hcluster up examples/flights.yaml
      hcluster up flights.yaml --set core.count=5 --set core.types=[m5.large,m5a.large]
      hcluster up flights.yaml --set site.yarn-site.yarn.log-aggregation-enable=false
      hcluster up flights.yaml --no-wait && hcluster wait flights
    """
    from hcluster.flows import forecast
    from hcluster.spec.load import load_cluster

    given = [word for one in settings for word in ("--set", one)]
    again = shlex.join(["hcluster", "up", str(file), *given, *(["--replace"] if replace else [])])
    with flow(ctx) as context:
        spec = load_cluster(file, context.platform, settings)
        if plan:
            found = forecast.forecast_up(context, spec, replace=replace)
        else:
            view = bring_up(context, spec, again=again, timeout=timeout, replace=replace, drain=drain, wait=not no_wait)
    if plan:
        from hcluster.cli.output.forecasts import forecast_text

        render.emit(state_of(ctx), found, forecast_text(found, again))
    else:
        tell_cluster(ctx, context, view, waited=not no_wait)


def bring_up(context: Context, spec: ClusterSpec, *, again: str, **how: Any) -> ClusterView:
    """``flows.up.up``; Ctrl-C becomes an error that says what exists, and that ``again`` goes on."""
    from hcluster.flows import up as flows_up

    try:
        return flows_up.up(context, spec, **how)
    except KeyboardInterrupt as cause:
        raise InterruptedFlowError(
            f"`up` of cluster {spec.name} was interrupted",
            context=f"what exists now: {_inventory(context, spec.name)}",
            hint=f"continue: `{again}`\nlook:     `hcluster show {spec.name}`\nremove:   `hcluster down {spec.name}`",
        ) from cause


def tell_cluster(ctx: typer.Context, context: Context, view: ClusterView, *, waited: bool = True) -> None:
    """Print a cluster after something was done to it."""
    text = render.cluster_text(view, moment(context))
    if not waited:
        text += f"\n\nIts nodes were launched and get ready by themselves: hcluster wait {view.name}"
    render.emit(state_of(ctx), render.cluster_value(view), text)


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
    plan: bool = PLAN,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """End a cluster and remove everything that belongs to it.

    Its HDFS is lost; tables and files in S3 stay. Repeating it is safe.

    \b
    Examples:
      hcluster down flights --plan
      hcluster down flights
      hcluster down flights --yes
    """
    from hcluster.cli.naming import full_name, no_cluster
    from hcluster.flows import down as flows_down
    from hcluster.flows import forecast

    if plan:
        from hcluster.cli.output.forecasts import forecast_text

        with flow(ctx) as context:
            found = forecast.forecast_down(context, name)
            if not found.actions and (whole := full_name(state_of(ctx), name, no_cluster(name), gone=True)) != name:
                found = forecast.forecast_down(context, whole)
        render.emit(state_of(ctx), found, forecast_text(found, f"hcluster down {found.cluster}"))
        return
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
    from hcluster.cli.output.questions import end_cluster
    from hcluster.flows import listing

    found = name

    def question() -> str:
        nonlocal found
        with flow(ctx, "asking for the cluster") as context:
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

    with flow(ctx, "asking for the clusters") as context:
        views = listing.clusters(context)
    values = [render.cluster_value(view) for view in views]
    render.emit(state_of(ctx), values, render.clusters_table(views, moment(context)))


def show(
    ctx: typer.Context,
    name: str = NAME,
    timings: bool = typer.Option(False, "--timings", help="How long each phase of the launch took, instead."),
) -> None:
    """Show one cluster and its nodes.

    With --timings it shows how the launch came up: the slowest node of each group, phase by phase.

    \b
    Examples:
      hcluster show flights
      hcluster show flights --timings
      hcluster show flights --output json
    """
    from hcluster.flows import listing

    if timings:
        from hcluster.cli.output.timings import timings_text
        from hcluster.flows import timings as flows_timings

        with flow(ctx, "reading what the nodes noted") as context:
            found = flows_timings.timings(context, name)
        render.emit(state_of(ctx), found, timings_text(found))
        return
    with flow(ctx, "asking for the cluster") as context:
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

    with flow(ctx, "asking for the nodes") as context:
        found = listing.nodes(context, name)
    render.emit(state_of(ctx), found, render.nodes_table(found, moment(context)))
