"""The commands of machine images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hcluster.cli.config import state_folder
from hcluster.cli.failures import interruptible
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.cli.output.progress import reporter
from hcluster.model.names import TAG_ROLE

if TYPE_CHECKING:
    from hcluster.cli.output.shapes import ListedImage
    from hcluster.flows.context import Context
    from hcluster.images.bake import Baked, Bakery
    from hcluster.images.sources import Sources
    from hcluster.model.image import Image

app = typer.Typer(help="Bake and list machine images.", no_args_is_help=True)

_SOURCE = typer.Option(None, metavar="DIR", help="A checkout of hcluster. Default: the one this program runs from.")


def sources(named: Path | None = None) -> Sources:
    """What images and releases are made of: a named checkout, the one this program runs from, or what it brought."""
    from hcluster.images.sources import Sources

    package = Path(__file__).resolve().parents[1]
    if named:
        return Sources.checkout(named)
    brought = package / "_sources"
    return Sources(brought, package) if brought.is_dir() else Sources.checkout(package.parent)


@app.command()
def bake(
    ctx: typer.Context,
    image: str = typer.Option("", "--image", metavar="NAME", help="Name of its YAML. Default: the platform's."),
    folder: Path | None = typer.Option(
        None,
        "--images",
        metavar="DIR",
        help="Folder with YAML of images, looked into first. Default: platform.yaml's images.directory.",
    ),
    parents: bool = typer.Option(
        True, "--parents/--no-parents", help="Whether to bake images below it first whose inputs changed."
    ),
    force: bool = typer.Option(False, "--force", help="Bake even when an image of the same inputs exists."),
    source: Path | None = _SOURCE,
) -> None:
    """Bake an image from its YAML, unless one of the same inputs exists.

    Packer starts an instance of the parent, Puppet installs, every role's daemons are started and the image's own
    checks run as a proof, and what passes becomes the image. Its name carries the hash of all inputs: YAML, packages,
    jars, template, scripts, Puppet code and the parent. An image that it stands on is baked before it when its inputs
    changed; --no-parents takes the newest one as it is.

    \b
    Examples:
      hcluster ami bake
      hcluster ami bake --image geo
      hcluster ami bake --image mine --images ~/images --no-parents
      hcluster ami bake --force
    """
    # Nobody can tell here whether Packer came to an end in order: it is killed in the midst of it by a second Ctrl-C.
    stopped = "the bake was interrupted; Packer was told to remove its instance, but may not have come to that"
    look = f"aws ec2 describe-instances --filters Name=tag:{TAG_ROLE},Values=bake"
    hint = f"start again: `hcluster ami bake`; what is left is shown by `{look}` and ended by a later bake"
    with flow(ctx) as context, interruptible(stopped, hint):
        from hcluster.images.bake import bake as bake_image

        name = image or context.platform.images.name
        done = bake_image(_bakery(ctx, context, sources(source), folder), name, force=force, parents=parents)
    lines = [f"{one.image.id}  {one.image.name}  {_said(one)}" for one in (*done.parents, done)]
    render.emit(state_of(ctx), done, "\n".join(lines))


def _said(done: Baked) -> str:
    return f"baked in {done.seconds:.0f} s: {done.reason}" if done.baked else "is up to date: no input changed"


def _bakery(ctx: typer.Context, context: Context, source: Sources, folder: Path | None) -> Bakery:
    import os

    from hcluster.cli import wire
    from hcluster.cli.config import platform_file
    from hcluster.images.bake import Bakery
    from hcluster.images.builder import Access, Wanted
    from hcluster.releases.pack import digest_of, pack

    platform = context.platform
    aws = wire.session(platform)
    keys = aws.frozen_credentials()
    endpoint = aws.endpoint("ec2")
    release = pack(source.puppet)
    own = platform_file(state_of(ctx)).resolve().parent / platform.images.directory
    return Bakery(
        images=context.images,
        compute=context.compute,
        access=Access(aws.region(), endpoint, keys.access_key, keys.secret_key, keys.token),
        wanted=Wanted(
            platform=platform.name,
            base_name=platform.images.base.name,
            base_owner=platform.images.base.owner,
            instance_type=platform.images.bake_type,
            vpc=platform.network.vpc,
            subnets=platform.network.subnets,
            ssh_user=platform.network.ssh_user,
            package_proxy=platform.network.proxy(endpoint),
            bastion=platform.network.bastion,
        ),
        sources=source,
        folders=[*([folder.resolve()] if folder else []), own, source.images],
        release=(digest_of(release), release),
        from_bucket=context.store.stream,
        cache=state_folder() / "cache",
        principal=context.principal,
        clock=context.clock,
        environment=os.environ,
        report=context.report,
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

    with flow(ctx, "asking for the images") as context:
        found = context.images.images({names.TAG_PLATFORM: context.platform.name})
        now = context.clock.now()
    by_id = {image.id: image.tags.get(names.TAG_IMAGE_NAME, image.id) for image in found}
    listed = [_row(image, by_id, now) for image in found]
    columns = ("image", "family", "parent", "layers", "age", "name")
    rows = [
        (one["id"], one["family"], one["parent"], " ".join(one["layers"]) or "-", _age(one["age_seconds"]), one["name"])
        for one in listed
    ]
    render.emit(state_of(ctx), listed, render.table(columns, rows, empty="no images; run `hcluster ami bake`"))


def _row(image: Image, families: Mapping[str, str], now: float) -> ListedImage:
    """One image as `ami list` tells it. A parent that is not the platform's, or is gone, goes by its id."""
    from datetime import datetime

    from hcluster.model import names

    parent = image.tags.get(names.TAG_IMAGE_PARENT, "")
    layers = image.tags.get(names.TAG_IMAGE_LAYERS, "")
    return {
        "id": image.id,
        "family": image.tags.get(names.TAG_IMAGE_NAME, "-"),
        "parent": families.get(parent, parent) or "-",
        "parent_id": parent,
        "layers": layers.split(",") if layers else [],
        "name": image.name,
        "state": image.state,
        "created": image.created,
        "age_seconds": round(now - datetime.fromisoformat(image.created).timestamp()),
        "inputs": image.tags.get(names.TAG_IMAGE_HASH, ""),
    }


def _age(seconds: int) -> str:
    """Like 5m, 3h or 12d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


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
        built = distribution.build(sources(source).ami / "hadoop", state_folder() / "cache", report=report)
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

    folder = sources(source).ami / "hadoop"
    with reporter() as report:
        count, changed = distribution.renew_lock(folder, state_folder() / "cache", report=report)
    text = f"{folder / 'checksums.txt'}: {count} checksums, {changed} lines changed"
    render.emit(state_of(ctx), {"checksums": count, "changed": changed}, text)
