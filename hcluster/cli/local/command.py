"""``hcluster local``: the embedded cloud of this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hcluster.cli.flow import confirm, state_of
from hcluster.cli.local import fault_rules
from hcluster.cli.local import faults as local_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hcluster.localcloud.control import CloudStatus
    from hcluster.model.events import Report

app = typer.Typer(
    no_args_is_help=True, help="A cloud on this machine: real nodes behind the same API as AWS's (needs root)."
)

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Which local cloud; several run side by side.")]


@app.command()
def start(
    ctx: typer.Context,
    name: Name = "default",
    dry_nodes: Annotated[
        bool, typer.Option("--dry-nodes", help="Instances are records only: load tests of the API.")
    ] = False,
) -> None:
    """Start the cloud, with the instances that ran when it was stopped. Running already: nothing happens.

    \b
    Examples:
      hcluster local start
      hcluster local start --name demo
      hcluster local start --name load --dry-nodes
    """
    from functools import partial

    from hcluster.localcloud import control

    _show(ctx, _with_progress(partial(control.start, dry_nodes=dry_nodes), name))


@app.command()
def status(ctx: typer.Context, name: Name = "default") -> None:
    """Tell whether the cloud runs, where, and what is broken in it on purpose.

    \b
    Examples:
      hcluster local status
      hcluster local status --name demo --output json
    """
    from hcluster.errors import LocalCloudError
    from hcluster.localcloud import control

    found = control.status(name, _state())
    broken: list[dict[str, object]] | None = []
    unknown = ""
    if found.running:
        try:
            broken = fault_rules.faults(name)
        except LocalCloudError as error:
            broken, unknown = None, f"{error}; {error.hint}"
    _show(ctx, found, broken, unknown)


@app.command()
def stop(ctx: typer.Context, name: Name = "default") -> None:
    """Shut all nodes down and end the cloud. Its instances, images and objects are kept for the next start.

    \b
    Example:
      hcluster local stop --name demo
    """
    from hcluster.localcloud import control

    _show(ctx, _with_progress(control.stop, name))


@app.command()
def reset(
    ctx: typer.Context,
    name: Name = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the cloud and delete all of it: instances, images, objects. Downloads and the base image stay cached.

    \b
    Examples:
      hcluster local reset --name demo
      hcluster local reset --name demo --yes
    """
    from hcluster.cli.output.questions import delete_cloud
    from hcluster.localcloud import control

    confirm(
        lambda: delete_cloud(control.status(name, _state())),
        yes=yes,
        command="hcluster local reset" + (f" --name {name}" if name != "default" else ""),
    )
    _show(ctx, _with_progress(control.reset, name))


local_faults.register(app)


def _state() -> Path:
    from hcluster.cli.config import state_folder

    return state_folder()


def _with_progress(action: Callable[[str, Path, Report], CloudStatus], name: str) -> CloudStatus:
    from hcluster.cli.output.progress import reporter

    with reporter() as report:
        return action(name, _state(), report)


def _show(
    ctx: typer.Context,
    found: CloudStatus,
    broken: list[dict[str, object]] | None = None,
    unknown: str = "",
) -> None:
    """``broken``: its faults, None when they were not asked for or (``unknown`` says why) could not be."""
    from dataclasses import asdict

    from hcluster.cli.output.render import emit, facts_text

    text = facts_text(_facts(found) | ({"faults": unknown} if unknown else {}))
    if broken:
        text += "\n\n" + fault_rules.faults_table(broken, datetime.now(UTC))
    emit(state_of(ctx), {**asdict(found), "faults": broken}, text)


def _facts(found: CloudStatus) -> dict[str, object]:
    """The lines for people; where nothing runs, only what matters then."""
    facts: dict[str, object] = {"local cloud": found.name, "state": found.state}
    if found.state in ("running", "starting", "stopping"):
        facts |= {
            "endpoint": found.endpoint,
            "network": found.network,
            "package proxy": found.proxy,
            "profile": found.profile,
            "profile's folder": found.directory,
            "base image": f"{found.image_id} ({found.image_name})",
            "nodes": "dry: instances are records only" if found.dry_nodes else str(found.nodes),
            "since": datetime.fromtimestamp(found.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            "log": found.log,
        }
    if found.left:
        facts["left over"] = f"{len(found.left)} parts; `hcluster local stop --name {found.name}` removes them"
    return facts
