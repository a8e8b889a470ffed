"""``hcluster cp``: files to and from the nodes of a cluster."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from hcluster.cli import naming
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.cli.reach import GROUPS, NODES
from hcluster.errors import NotFoundError, UsageError
from hcluster.plan.words import amount

if TYPE_CHECKING:
    from hcluster.flows.context import Context
    from hcluster.flows.copies import NodeCopy
    from hcluster.model.node import Instance

_REMOTE = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*):(.*)", re.DOTALL)


class Order(NamedTuple):
    """What is to be copied where."""

    cluster: str
    sources: list[str]
    target: str
    there: bool
    """Whether to the nodes, not from them."""


def cp(
    ctx: typer.Context,
    paths: list[str] = typer.Argument(
        ..., metavar="FILE... NAME:[PATH]", help="Or NAME:PATH... DIR, to copy from nodes.", show_default=False
    ),
    group: list[str] = GROUPS,
    instance: list[str] = NODES,
    recursive: bool = typer.Option(False, "--recursive", "-r", help="Copy folders with what is in them, too."),
    timeout: float = typer.Option(3600, min=1, metavar="SECONDS", help="How long it may take."),
) -> None:
    """Copy files to nodes, or from them.

    To all nodes of the cluster at once, unless --group or --instance choose some; files of several nodes come into a
    folder for each, named by its address. A path without a slash at its front begins at the home folder of the node's
    user. Permissions are kept. A name appears only once all bytes are there and have the right digest; a copy that
    fails leaves nothing under it. A local file with a colon in its name is written ./a:b.

    \b
    Examples:
      hcluster cp job.jar query.sql flights:
      hcluster cp -g core -g task data.bin flights:/var/tmp/
      hcluster cp flights:/etc/hadoop/core-site.xml . -i master
      hcluster cp -r flights:/etc/hadoop collected/
    """
    from hcluster.flows import copies

    order = parse(paths)
    began = time.monotonic()
    with flow(ctx) as context:
        name, nodes = _chosen(ctx, context, order.cluster, group, instance)
        copy = copies.copy_to if order.there else copies.copy_from
        done = copy(context, name, nodes, order.sources, order.target, recursive=recursive, timeout=timeout)
    state = state_of(ctx)
    text = summary(done, time.monotonic() - began)
    if text or state.output == "json":
        render.emit(state, [_value(one) for one in done], text)
    failed = [one for one in done if one.error]
    if len(done) == 1 and done[0].error:
        raise done[0].error
    for one in failed:
        print(f"{one.node.private_ip}: {render.clean(str(one.error))}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def parse(paths: Sequence[str]) -> Order:
    """Which way, from what is given.

    Raises:
        UsageError: it is neither way, or more than one cluster.
    """
    remote = [_REMOTE.fullmatch(path) for path in paths]
    *before, last = remote
    if len(paths) > 1 and last and not any(before):
        return Order(last[1], list(paths[:-1]), last[2], there=True)
    there = [one for one in before if one]
    if len(there) == len(before) > 0 and not last and len({one[1] for one in there}) == 1:
        return Order(there[0][1], [one[2] for one in there], paths[-1], there=False)
    raise UsageError(
        "cp copies from here to one cluster, or from one cluster to here",
        hint="hcluster cp FILE… NAME:[PATH], or hcluster cp NAME:PATH… DIR (a local file with a colon: ./a:b)",
    )


def _chosen(
    ctx: typer.Context, context: Context, name: str, groups: Sequence[str], instances: Sequence[str]
) -> tuple[str, list[Instance]]:
    """The cluster's name, which may be cut short, and its nodes."""
    from hcluster.flows import reach

    try:
        return name, reach.chosen(context, name, groups, instances)
    except NotFoundError as cause:
        if cause.reference != naming.NO_CLUSTER:
            raise
        full = naming.full_name(state_of(ctx), name, cause)
        return full, reach.chosen(context, full, groups, instances)


def _value(one: NodeCopy) -> dict[str, object]:
    return {
        "instance": one.node.id,
        "address": one.node.private_ip,
        "files": one.files,
        "bytes": one.bytes,
        "left_out": list(one.left_out),
        "error": one.error.message if one.error else "",
    }


def summary(done: Sequence[NodeCopy], seconds: float) -> str:
    """What was copied, how fast, and what was not."""
    good = [one for one in done if not one.error]
    if not good:
        return ""
    files, size = sum(one.files for one in good), sum(one.bytes for one in good)
    fast = f" ({amount(size / seconds)}/s)" if seconds >= 1 else ""
    many = f", {len(good)} nodes" if len(good) > 1 else ""
    lines = [f"{files} file{'s' * (files != 1)}, {amount(size)}{many}, {seconds:.1f} s{fast}"]
    left_out = {path for one in good for path in one.left_out}
    lines += [f"left out, neither file nor folder: {path}" for path in sorted(left_out)]
    return "\n".join(lines)
