"""The dumps of the metastore's database that the platform's node writes: how old the last one is."""

from __future__ import annotations

from datetime import timedelta

from hcluster.errors import NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.records import read_platform
from hcluster.flows.waiting import platform_tag
from hcluster.model import names
from hcluster.model.dumps import PREFIX, Dump, newest_first
from hcluster.model.views import Finding
from hcluster.ports import ObjectStore

CHECK = "metastore's dump"
OLDEST = timedelta(hours=3)
"""They are made every hour: at this age at least one has failed, whatever the splay."""


def last_dump(store: ObjectStore) -> Dump | None:
    """The newest dump, None when there is none or no bucket."""
    try:
        return next(iter(newest_first(key for key, _ in store.list(PREFIX))), None)
    except NotFoundError:
        return None


def age(dump: Dump, now: float) -> timedelta:
    """How old a dump is at ``now`` (epoch seconds), in whole seconds, never negative."""
    return timedelta(seconds=max(0, int(now - dump.at.timestamp())))


def look_at_dumps(ctx: Context) -> Finding:
    """The line of ``doctor`` about the last dump. None, or an old one, is a warning: the tables are on a volume, too.
    A platform whose node is younger than that owes none yet.

    Raises:
        NotFoundError: there is no platform.
    """
    if read_platform(ctx.store).metastore_external:
        return Finding(CHECK, ok=True, message="the metastore is external: whoever runs it dumps it")
    last = last_dump(ctx.store)
    old = age(last, ctx.clock.now()) if last else None
    if old is not None and old <= OLDEST:
        return Finding(CHECK, ok=True, message=f"the last one is {old} old")
    if last is None and _young(ctx):
        return Finding(CHECK, ok=True, message="none yet: the platform's node is new, and makes one every hour")
    return Finding(
        CHECK,
        ok=True,
        message=f"the last one is {old} old" if old else "the metastore was never dumped",
        cure="`hcluster exec platform -- sudo hcluster-node dump`; why none came by itself: "
        "`hcluster logs platform platform --unit hcluster-dump`",
        warning=True,
    )


def _young(ctx: Context) -> bool:
    """Whether the platform's node has not run long enough to owe a dump."""
    own = ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: names.PLATFORM_CLUSTER})
    return any(ctx.clock.now() - node.launched.timestamp() <= OLDEST.total_seconds() for node in own)
