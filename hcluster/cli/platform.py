"""The commands of the platform: up, status, down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from hcluster.cli.failures import interruptible
from hcluster.cli.flow import confirm, flow, state_of
from hcluster.cli.output import render

app = typer.Typer(help="What all clusters share: bucket, network, roles, metastore.", no_args_is_help=True)


@app.command()
def up(
    ctx: typer.Context,
    timeout: float = typer.Option(600, min=1, metavar="SECONDS", help="How long its node may take to become ready."),
) -> None:
    """Make or adopt what clusters need, and start the platform's node.

    Bucket, network, a role and a security group a team, the volume with the metastore's tables, and the node that
    serves them. Repeating it is safe: what exists is kept, and a node that was lost is replaced.

    \b
    Examples:
      hcluster platform up
      hcluster --platform examples/platform.yaml platform up
    """
    from hcluster.flows import platform as flows_platform

    with (
        flow(ctx) as context,
        interruptible(
            "`platform up` was interrupted",
            "continue: `hcluster platform up`\nlook:     `hcluster platform status`\n"
            "remove:   `hcluster platform down`",
        ),
    ):
        record = flows_platform.up(context, timeout=timeout)
    facts = {
        "platform": record.name,
        "bucket": record.bucket,
        "region": record.region,
        "network": f"{record.vpc} ({', '.join(record.network)})",
        "metastore": record.metastore_uri,
        "node": record.metastore_node,
        "teams": ", ".join(sorted(team for team in record.groups if team != "platform")),
    }
    render.emit(state_of(ctx), record, render.facts_text(facts))


@app.command()
def status(ctx: typer.Context) -> None:
    """Show what the platform consists of.

    \b
    Examples:
      hcluster platform status
      hcluster platform status --output json
    """
    from hcluster.flows import platform as flows_platform

    with flow(ctx, "asking for the platform") as context:
        found = flows_platform.status(context)
    render.emit(state_of(ctx), found, render.facts_text(_facts(found)))


def _facts(found: Mapping[str, Any]) -> dict[str, str]:
    """What people want to know of it; JSON has all ids."""
    node, dump, volume = found["node"], found["dump"], found["metastore_volume"]
    last = f"{dump['at']}, {dump['age']} s ago" if dump else "none"
    return {
        "platform": found["name"],
        "bucket": found["bucket"],
        "region": found["region"],
        "network": f"{found['vpc']} ({', '.join(found['network'])}), {len(found['subnets'])} subnets",
        "teams": ", ".join(sorted(team for team in found["groups"] if team != "platform")),
        "metastore": found["metastore_uri"] + (" (of your own)" if found["metastore_external"] else ""),
        "node": f"{node['instance']}, {node['state']}, {node['phase'] or 'not heard of'}" if node else "none",
        **({"volume": volume} if volume else {}),
        **({} if found["metastore_external"] else {"last dump": last}),
        "clusters": f"{found['clusters']} with {found['nodes']} nodes" if found["clusters"] else "none",
    }


@app.command()
def down(
    ctx: typer.Context,
    delete_data: bool = typer.Option(
        False, "--delete-data", help="Also delete the bucket, the metastore's volume and all tables."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """End the platform's node and remove its roles and groups; data is kept.

    It is refused while clusters run. The bucket and the volume with the metastore's tables are kept for the next
    `platform up`; with --delete-data they go, too.

    \b
    Examples:
      hcluster platform down
      hcluster platform down --delete-data --yes
    """
    from hcluster.cli.output.questions import end_platform
    from hcluster.errors import NotFoundError
    from hcluster.flows import platform as flows_platform

    def question() -> str:
        with flow(ctx, "asking for the platform") as context:
            try:
                return end_platform(flows_platform.status(context), delete_data=delete_data)
            except NotFoundError:
                # Its record is gone, something of it may be left.
                return end_platform({"bucket": context.platform.bucket}, delete_data=delete_data)

    command = "hcluster platform down" + " --delete-data" * delete_data
    confirm(question, yes=yes, command=command)
    with (
        flow(ctx) as context,
        interruptible("`platform down` was interrupted", "continue: run the same command again"),
    ):
        result = flows_platform.down(context, delete_data=delete_data)
    render.emit(state_of(ctx), result, render.down_text(result))
