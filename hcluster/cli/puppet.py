"""The commands of Puppet releases."""

from __future__ import annotations

from pathlib import Path

import typer

from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.model.names import TAG_PLATFORM

app = typer.Typer(help="Publish the Puppet release that configures nodes.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Publish the Puppet release that configures nodes."""


@app.command()
def publish(
    ctx: typer.Context,
    channel: str = typer.Option(
        "", metavar="NAME", help="The channel to move. Default: the platform's (puppet.channel)."
    ),
    source: Path | None = typer.Option(
        None, metavar="DIR", help="Folder of Puppet code. Default: puppet/ of this checkout."
    ),
) -> None:
    """Validate puppet/, upload it and move a channel to it.

    A release is addressed by the SHA-256 of its bytes. Clusters pin the release that their channel names when they
    start; running nodes keep theirs. Nothing changed: nothing is done.

    \b
    Examples:
      hcluster puppet publish
      hcluster puppet publish --channel testing
    """
    from hcluster.cli.ami import sources
    from hcluster.releases.publish import publish as publish_release

    with flow(ctx) as context:
        chosen = channel or context.platform.puppet.channel
        # The first thing of a platform that needs its bucket; `platform up` adopts it.
        context.store.ensure_bucket({TAG_PLATFORM: context.platform.name})
        folder = source or sources().puppet
        done = publish_release(context.store, folder, chosen, context.principal, context.report, clock=context.clock)
    said = "points to" if done.moved else "already points to"
    render.emit(state_of(ctx), done, f"channel {done.channel} {said} release {done.digest}")
