"""Commands that reach into nodes: exec, ssh, logs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from hcluster.cli import wire
from hcluster.cli.clusters import NAME
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.cli.output.pipes import quiet_pipe
from hcluster.cli.output.progress import reporter
from hcluster.model.names import TAG_GROUP

if TYPE_CHECKING:
    from hcluster.cli.fanout import Result

GROUPS = typer.Option([], "--group", "-g", metavar="GROUP", help="Only nodes of master, core or task; repeatable.")
NODES = typer.Option([], "--instance", "-i", metavar="NODE", help="Only this one: an id, address or name; repeatable.")


def exec_on_nodes(
    ctx: typer.Context,
    name: str = NAME,
    command: list[str] = typer.Argument(..., metavar="-- COMMAND...", help="The command.", show_default=False),
    group: list[str] = GROUPS,
    instance: list[str] = NODES,
    fold: bool = typer.Option(False, "--fold", "-b", help="Wait for all, and write what several nodes said once."),
    timeout: float = typer.Option(600, min=1, metavar="SECONDS", help="How long the command may take."),
) -> None:
    """Run a command on nodes.

    It runs on all nodes of the cluster at once, unless --group or --instance choose some. What one node says is written
    as it is; lines of several are told apart by the node in front of each. The exit code is 0 when it was 0 everywhere,
    that of the node when there is one, else 1; a node that is lost counts as 255 and holds up no other.

    \b
    Examples:
      hcluster exec flights -- systemctl is-system-running
      hcluster exec flights -g core -g task --fold -- df -h /var/lib/hadoop
      hcluster exec flights --instance master -- sudo jps -l
    """
    from hcluster.cli import fanout
    from hcluster.flows import reach

    state = state_of(ctx)
    if fold or state.output == "json":
        with flow(ctx) as context:
            nodes = reach.chosen(context, name, group, instance)
            with fanout.Count(len(nodes), context.report) as count:
                results = reach.run_on(context, name, nodes, command, timeout, count)
        if state.output == "json":
            render.emit(state, [_value(result) for result in results], "")
        else:
            sys.stdout.buffer.write(fanout.folded(results))
            sys.stdout.flush()
    else:
        # Without the display of progress, which would draw over what nodes say.
        context = wire.context(state)
        with reporter(asking="looking for the nodes"):
            nodes = reach.chosen(context, name, group, instance)
        with quiet_pipe(), fanout.Live(nodes) as live:
            results = reach.run_on(context, name, nodes, command, timeout, live, keep=False)
        failed = fanout.failures(results)
        print("".join(f"{line}\n" for line in failed), end="", file=sys.stderr)
    code = _code(results)
    if code:
        raise typer.Exit(code)


def _value(result: Result) -> dict[str, object]:
    node, code, out, err = result
    return {
        "instance": node.id,
        "group": node.tags.get(TAG_GROUP, ""),
        "address": node.private_ip,
        "exit_code": code,
        "stdout": out.decode(errors="replace"),
        "stderr": err.decode(errors="replace"),
    }


def _code(results: Sequence[Result]) -> int:
    codes = {code for _, code, _, _ in results}
    if codes <= {0}:
        return 0
    return min(max(codes), 255) if len(results) == 1 else 1


def ssh(
    ctx: typer.Context,
    name: str = NAME,
    instance: str = typer.Option(
        "", "--instance", "-i", metavar="NODE", help="An instance's id, address or name; the master by default."
    ),
) -> None:
    """Open a shell on a node.

    No key is needed: one that lives 60 seconds is made for the call. The host key must be the one that the node itself
    reported. The exit code is the shell's.

    \b
    Examples:
      hcluster ssh flights
      hcluster ssh flights --instance i-0123456789abcdef0
      hcluster ssh platform
    """
    from hcluster.flows import reach

    with flow(ctx, "looking for the node") as context:
        node = reach.targets(context, name, instance=instance)[0] if instance else reach.master(context, name)
        remote = context.connector.connect(node, name)
    try:
        code = remote.shell()
    finally:
        remote.close()
    if code:
        raise typer.Exit(code)


def logs(
    ctx: typer.Context,
    name: str = NAME,
    node: str = typer.Argument(
        ...,
        metavar="NODE",
        help="An instance's id, address or name, or master, core, task: the first of the group.",
        show_default=False,
    ),
    unit: str = typer.Option(
        "", "--unit", "-u", metavar="UNIT", help="A daemon, such as hadoop-namenode; without it, the node's console."
    ),
    lines: int = typer.Option(200, "--lines", "-n", min=1, max=100_000, help="How many of the last lines."),
) -> None:
    """Show a node's console or a daemon's log.

    \b
    Examples:
      hcluster logs flights master
      hcluster logs flights master --unit hive-server2
      hcluster logs flights i-0123456789abcdef0 -u hcluster-bootstrap -n 50
      hcluster logs platform platform --unit hive-metastore
    """
    from hcluster.flows import logs as flows_logs

    with flow(ctx, "asking for the log") as context:
        text = flows_logs.logs(context, name, node, unit, lines)
    value = {"cluster": name, "node": node, "unit": unit, "lines": text.splitlines()}
    render.emit(state_of(ctx), value, text)
