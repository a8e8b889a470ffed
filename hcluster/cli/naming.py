"""Names of clusters on the command line may be cut short; this is the one place that completes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from hcluster.errors import HclusterError, NotFoundError, UsageError

if TYPE_CHECKING:
    from hcluster.cli.config import CliState

NO_CLUSTER = "no-cluster"
_PLACEHOLDER = re.compile(r"(?<=\s)NAME\b")


def takes_a_cluster(parameters: Sequence[Any]) -> bool:
    """Whether a command has the argument NAME."""
    return any(one.name == "name" and one.metavar == "NAME" and one.param_type_name == "argument" for one in parameters)


def by_prefix(invoke: Callable[[typer.Context], Any]) -> Callable[[typer.Context], Any]:
    """Let a command's NAME be the beginning of a cluster's name, when that is the only one that begins so.

    The command runs with what was given first, so a whole name wins and costs no call. Only when the cloud has no such
    cluster, which each verb finds out before it does anything, the name is looked up and the command runs again. A hint
    of those who know no cluster's name says NAME; people get the one that they mean.
    """

    def attempt(ctx: typer.Context) -> Any:
        try:
            return invoke(ctx)
        except NotFoundError as cause:
            if cause.reference != NO_CLUSTER:
                raise
            ctx.params["name"] = full_name(ctx.obj, ctx.params["name"], cause, whole=bool(ctx.params.get("yes")))
        return invoke(ctx)

    def run(ctx: typer.Context) -> Any:
        try:
            return attempt(ctx)
        except HclusterError as cause:
            cause.hint = _PLACEHOLDER.sub(lambda _: str(ctx.params["name"]), cause.hint)
            raise

    return run


def no_cluster(name: str) -> NotFoundError:
    """That nothing of this name is there."""
    return NotFoundError(f"there is no cluster {name}", hint="`hcluster list` shows what runs", reference=NO_CLUSTER)


def full_name(state: CliState, given: str, cause: NotFoundError, *, whole: bool = False, gone: bool = False) -> str:
    """The name of the one cluster that begins with ``given``; it is told on stderr.

    ``cause`` said that there is no cluster ``given``. ``whole``: nobody looks at what is done, so that nothing less
    than a whole name will do. ``gone``: a name like no other is taken as it is, for what may have ended before.

    Raises:
        NotFoundError: ``cause``, when none begins so.
        UsageError: several do.
    """
    from hcluster.cli import wire
    from hcluster.flows import naming

    try:
        found = naming.meant(wire.context(state), given)
    except HclusterError:
        # What was asked first failed for a good reason; that the second question failed, too, helps nobody.
        raise cause from None
    if found.near:
        cause.hint = f"did you mean {found.near}?\n{cause.hint}"
    if not found.begin and not found.near and gone:
        return given
    if not found.begin:
        raise cause
    if len(found.begin) > 1:
        raise UsageError(
            f"{given} may be any of these clusters: {', '.join(found.begin)}",
            hint="write as much of the name as tells it apart",
            reference="ambiguous-name",
        ) from cause
    (name,) = found.begin
    if whole:
        cause.hint = f"with --yes the whole name is needed: {name}"
        raise cause
    print(f"{given} is cluster {name}", file=sys.stderr)
    return name
