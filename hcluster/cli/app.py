"""The command line: global options, the list of commands, and how a call ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from hcluster.cli.complete import VARIABLE
from hcluster.cli.config import CliState, Output, resolve
from hcluster.cli.failures import tell
from hcluster.cli.lazy import Entry, LazyGroup
from hcluster.errors import UsageError
from hcluster.plan.words import plainly

_CLUSTERS = "Clusters"
_REACH = "Reach into a cluster"
_WORK = "Work"
_SETUP = "Set up"

ENTRIES = {
    "up": Entry(
        "hcluster.cli.clusters",
        "up",
        "Start a cluster, continue an interrupted start, or let a running one follow its changed YAML.",
        _CLUSTERS,
    ),
    "wait": Entry(
        "hcluster.cli.wait",
        "wait",
        "Wait until a cluster that was started is ready, or until one that is taken down is gone.",
        _CLUSTERS,
    ),
    "resize": Entry(
        "hcluster.cli.resize", "resize", "Give a running cluster more nodes, without its YAML at hand.", _CLUSTERS
    ),
    "down": Entry(
        "hcluster.cli.clusters", "down", "End a cluster and remove everything that belongs to it.", _CLUSTERS
    ),
    "list": Entry("hcluster.cli.clusters", "list_clusters", "List the clusters of the platform.", _CLUSTERS),
    "show": Entry("hcluster.cli.clusters", "show", "Show one cluster and its nodes.", _CLUSTERS),
    "nodes": Entry("hcluster.cli.clusters", "nodes", "List the nodes of a cluster.", _CLUSTERS),
    "events": Entry("hcluster.cli.events", "events", "Show what happened to a cluster.", _CLUSTERS),
    "sql": Entry("hcluster.cli.sql.command", "sql", "Run SQL on a cluster's Hive.", _WORK),
    "job": Entry("hcluster.cli.job.command", "app", "Run YARN jobs, list and kill them, read their logs.", _WORK),
    "data": Entry("hcluster.cli.data", "app", "Put files into the platform's bucket, read and list them.", _WORK),
    "exec": Entry("hcluster.cli.reach", "exec_on_nodes", "Run a command on nodes.", _REACH),
    "cp": Entry("hcluster.cli.copy", "cp", "Copy files to nodes, or from them.", _REACH),
    "ssh": Entry("hcluster.cli.reach", "ssh", "Open a shell on a node.", _REACH),
    "proxy": Entry("hcluster.cli.proxy", "proxy", "Open a way to a cluster's web pages.", _REACH),
    "logs": Entry("hcluster.cli.reach", "logs", "Show a node's console or a daemon's log.", _REACH),
    "platform": Entry(
        "hcluster.cli.platform", "app", "What all clusters share: bucket, network, roles, metastore.", _SETUP
    ),
    "ami": Entry("hcluster.cli.ami", "app", "Bake and list machine images.", _SETUP),
    "puppet": Entry("hcluster.cli.puppet", "app", "Publish the Puppet release that configures nodes.", _SETUP),
    "doctor": Entry(
        "hcluster.cli.doctor", "doctor", "Check everything that a start needs, and name the cures.", _SETUP
    ),
    "policies": Entry(
        "hcluster.cli.policies", "policies", "Print the IAM policies that callers of hcluster need.", _SETUP
    ),
    "spec": Entry("hcluster.cli.spec.command", "app", "Write and check specs, and print their schemas.", _SETUP),
    "completion": Entry(
        "hcluster.cli.completion",
        "completion",
        "Print what makes a shell complete commands, clusters, nodes, groups and teams.",
        _SETUP,
    ),
    "version": Entry(
        "hcluster.cli.version",
        "version",
        "Print the versions of hcluster, Python, what a bake installs, and the schemas.",
        _SETUP,
    ),
    "local": Entry(
        "hcluster.cli.local.command",
        "app",
        "A cloud on this machine: real nodes behind the same API as AWS's (needs root).",
        _SETUP,
    ),
}


class Root(LazyGroup):
    """All commands."""

    entries = ENTRIES

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises is told here, where its settings are still known."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as cause:
            as_json = isinstance(ctx.obj, CliState) and ctx.obj.output == "json"
            raise typer.Exit(tell(cause, as_json=as_json)) from cause


app = typer.Typer(
    cls=Root,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"hcluster {version('hcluster')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    platform: Path | None = typer.Option(
        None,
        "--platform",
        "-p",
        metavar="FILE",
        help="The platform's YAML. Default: HCLUSTER_PLATFORM, ./platform.yaml, ~/.config/hcluster/platform.yaml.",
    ),
    output: str = typer.Option("table", "--output", metavar="table|json", help="What goes to standard output."),
    version: bool = typer.Option(  # noqa: ARG001 - its callback does the work
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Hadoop clusters on the cloud, yours: ephemeral or standing, on spot instances, with one command.

    \b
    First steps on this machine alone:
      hcluster local start --name demo
      export HCLUSTER_PLATFORM=examples/platform.yaml HCLUSTER_TEAM=analytics
      hcluster ami bake && hcluster puppet publish && hcluster platform up
      hcluster up examples/flights.yaml
    """
    if output not in ("table", "json"):
        raise typer.BadParameter(f"{output!r} is not one of table, json", param_hint="--output")
    chosen: Output = "json" if output == "json" else "table"
    # Errors of the settings themselves are told as asked for, too.
    ctx.obj = CliState(output=chosen)
    ctx.obj = resolve(platform, chosen, os.environ)


def run(arguments: Sequence[str]) -> int:
    """One call; its exit code. Errors have been told on stderr."""
    if VARIABLE in os.environ:
        # The shell asks what a word may become; typer answers and exits.
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        result = typer.main.get_command(app).main(list(arguments), prog_name="hcluster", standalone_mode=False)
    except typer.TyperException as cause:
        _show(cause, as_json=("--output", "json") in pairwise(arguments) or "--output=json" in arguments)
        return cause.exit_code
    except typer.Abort:
        typer.echo("Nothing was done.", err=True)
        return 1
    except KeyboardInterrupt as cause:
        return tell(cause)
    return result if isinstance(result, int) else 0


def _show(cause: typer.TyperException, *, as_json: bool) -> None:
    """Wrong usage is told as all errors are, below the usage line; a group without a command shows its help."""
    context = getattr(cause, "ctx", None)
    message = cause.format_message()
    if context is None or message == context.get_help():
        typer.echo(message, err=True)
        return
    if not as_json:
        typer.echo(context.get_usage(), err=True)
    plain = plainly(" ".join(message.split()).rstrip("."))
    tell(UsageError(plain[:1].lower() + plain[1:], hint=f"`{context.command_path} --help`"), as_json=as_json)


def main() -> None:
    """The entry point of the ``hcluster`` script."""
    # Most calls live for a second and make a hundred thousand objects that stay until the end: modules, the SDK's
    # descriptions of services. To look for garbage among them costs a tenth of the whole, while they come and once
    # more, for nothing, when the interpreter ends.
    gc.set_threshold(300_000, 50, 100)
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)
