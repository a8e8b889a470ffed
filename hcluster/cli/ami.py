"""The commands of machine images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hcluster.cli import render
from hcluster.cli.config import state_folder
from hcluster.cli.failures import interruptible
from hcluster.cli.flow import flow, state_of
from hcluster.cli.progress import reporter
from hcluster.model.names import TAG_ROLE

if TYPE_CHECKING:
    from hcluster.flows.context import Context
    from hcluster.images.bake import Baked

app = typer.Typer(help="Bake and list machine images.", no_args_is_help=True)

_SOURCE = typer.Option(None, metavar="DIR", help="A checkout of hcluster. Default: the one this program runs from.")


def checkout() -> Path:
    """The folder that holds hcluster/, ami/ and puppet/."""
    return Path(__file__).resolve().parents[2]


@app.command()
def bake(
    ctx: typer.Context,
    force: bool = typer.Option(False, "--force", help="Bake even when an image of the same inputs exists."),
    source: Path | None = _SOURCE,
) -> None:
    """Bake the Hadoop image, unless one of the same inputs exists.

    Packer starts an instance of the base image, Puppet installs, every role's daemon is started as a proof, and what
    passes becomes the image. Its name carries the hash of all inputs: template, scripts, distribution, Puppet code,
    hcluster's node program and the base image.

    \b
    Examples:
      hcluster ami bake
      hcluster ami bake --force
    """
    # Nobody can tell here whether Packer came to an end in order: it is killed in the midst of it by a second Ctrl-C.
    stopped = "the bake was interrupted; Packer was told to remove its instance, but may not have come to that"
    look = f"aws ec2 describe-instances --filters Name=tag:{TAG_ROLE},Values=bake"
    hint = f"start again: `hcluster ami bake`; what is left is shown by `{look}` and ended by a later bake"
    with flow(ctx) as context, interruptible(stopped, hint):
        done = _bake(context, source or checkout(), force=force)
    said = f"baked in {done.seconds:.0f} s" if done.baked else "is up to date: no input changed"
    render.emit(state_of(ctx), done, f"{done.image.id}  {done.image.name}  {said}")


def _bake(context: Context, source: Path, *, force: bool) -> Baked:
    import os

    from hcluster.cli import wire
    from hcluster.images.bake import Access, Sources, Wanted, bake
    from hcluster.releases.pack import digest_of, pack

    platform = context.platform
    aws = wire.session(platform)
    keys = aws.frozen_credentials()
    endpoint = aws.endpoint("ec2")
    release = pack(source / "puppet")
    return bake(
        context.images,
        context.compute,
        Access(aws.region(), endpoint, keys.access_key, keys.secret_key, keys.token),
        Wanted(
            platform=platform.name,
            family=platform.images.name,
            base_name=platform.images.base.name,
            base_owner=platform.images.base.owner,
            instance_type=platform.images.bake_type,
            vpc=platform.network.vpc,
            subnets=platform.network.subnets,
            ssh_user=platform.network.ssh_user,
            package_proxy=platform.network.proxy(endpoint),
            bastion=platform.network.bastion,
        ),
        Sources(source),
        (digest_of(release), release),
        cache=state_folder() / "cache",
        principal=context.principal,
        clock=context.clock,
        environment=os.environ,
        report=context.report,
        force=force,
    )


@app.command("list")
def list_images(ctx: typer.Context) -> None:
    """List the platform's images, newest first; clusters use the newest of their family.

    \b
    Examples:
      hcluster ami list
      hcluster ami list --output json
    """
    from hcluster.model import names

    with flow(ctx) as context:
        found = context.images.images({names.TAG_PLATFORM: context.platform.name})
    rows = [
        (image.id, image.tags.get(names.TAG_IMAGE_NAME, "-"), image.name, image.state, image.created) for image in found
    ]
    text = render.table(
        ("image", "family", "name", "state", "created"), rows, empty="no images; run `hcluster ami bake`"
    )
    render.emit(state_of(ctx), found, text)


@app.command()
def dist(ctx: typer.Context, source: Path | None = _SOURCE) -> None:
    """Build the pinned Hadoop distribution ahead of a bake.

    It needs no cloud, so it can run while one starts. What was built once is found again.

    \b
    Example:
      hcluster ami dist
    """
    from hcluster.images import distribution

    with reporter() as report:
        built = distribution.build((source or checkout()) / "ami" / "hadoop", state_folder() / "cache", report=report)
    render.emit(state_of(ctx), built, str(built.archive))


@app.command()
def lock(ctx: typer.Context, source: Path | None = _SOURCE) -> None:
    """Renew the checksums of the Hadoop distribution after a change of its versions.

    Maven resolves everything, and ami/hadoop/checksums.txt is written anew. Read the difference before you commit it.

    \b
    Example:
      hcluster ami lock && git diff ami/hadoop/checksums.txt
    """
    from hcluster.images import distribution

    folder = (source or checkout()) / "ami" / "hadoop"
    with reporter() as report:
        count, changed = distribution.renew_lock(folder, state_folder() / "cache", report=report)
    text = f"{folder / 'checksums.txt'}: {count} checksums, {changed} lines changed"
    render.emit(state_of(ctx), {"checksums": count, "changed": changed}, text)
