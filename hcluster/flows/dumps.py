"""The dumps of the metastore's database that the platform's node writes: how old the last one is."""

from __future__ import annotations

from datetime import timedelta

from hcluster.errors import DeadlineError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.records import read_platform
from hcluster.model.dumps import PREFIX, Dump, newest_first
from hcluster.ports import ObjectStore

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


def look_at_dumps(ctx: Context) -> str:
    """One line for ``doctor`` about the last dump.

    Raises:
        NotFoundError: there is no platform, or none has been made.
        DeadlineError: the last one is older than it should be.
    """
    if read_platform(ctx.store).metastore_external:
        return "the metastore is external: whoever runs it dumps it"
    hint = (
        "see `hcluster logs platform platform --unit hcluster-dump`, "
        "then try `hcluster exec platform -- sudo hcluster-node dump`"
    )
    last = last_dump(ctx.store)
    if last is None:
        raise NotFoundError("the metastore was never dumped into the bucket", hint=hint)
    old = age(last, ctx.clock.now())
    if old > OLDEST:
        raise DeadlineError(f"the last dump of the metastore is {old} old", hint=hint)
    return f"the last dump of the metastore is {old} old"
