"""What happened to a cluster, by whom: notes that the verbs leave in the bucket, each a small object of its own.

They outlive the cluster, so that what became of it can be read after `down`, too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import cast

from hcluster.errors import HclusterError, IntegrityError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.waiting import platform_tag
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import CheckIn, Instance
from hcluster.plan.timeline import Event, Note, timeline

LISTED = 200
FAILURES_READ = 20
KEPT_NOTES = 500
"""Of one cluster's name; with each note beyond that the oldest ones go."""
FORGOTTEN_AT_ONCE = 20
"""So that no note costs more than a few calls, whatever a bucket holds."""


def note(ctx: Context, cluster: str, kind: str, text: str, detail: Mapping[str, object] | None = None) -> None:
    """Write down what was done to a cluster, by the caller, now. It never fails the verb that it stands in.

    ``kind`` is one word for programs (launch, ready, failed, change, replace, resize, down), ``text`` a line for people
    without the cluster's name, ``detail`` whatever JSON holds.
    """
    now = datetime.fromtimestamp(ctx.clock.now(), UTC)
    body = {
        "at": now.isoformat(timespec="milliseconds"),
        "kind": kind,
        "text": text,
        "user": ctx.principal.user,
        "team": ctx.principal.team,
        "command": ctx.command,
        "detail": dict(detail or {}),
    }
    key = names.event_key(cluster, f"{now.strftime('%Y%m%dt%H%M%S.%f')}-{secrets.token_hex(2)}")
    try:
        ctx.store.put(key, json.dumps(body, sort_keys=True).encode())
        _forget_oldest(ctx, cluster)
    except HclusterError as cause:
        ctx.report(Progress("events", f"the event was not written down: {cause.message}", state="failed"))


def _forget_oldest(ctx: Context, cluster: str) -> None:
    keys = sorted(key for key, _ in ctx.store.list(names.events_prefix(cluster)))
    for key in keys[:-KEPT_NOTES][:FORGOTTEN_AT_ONCE]:
        ctx.store.delete(key)


def node_details(
    nodes: Sequence[Instance], checkins: Mapping[str, Mapping[str, CheckIn]] | None = None
) -> list[dict[str, object]]:
    """What a note keeps of nodes: EC2 forgets ended ones after about an hour, and `down` their check-ins. Pure."""
    return [
        {
            "id": node.id,
            "group": node.tags.get(names.TAG_GROUP, ""),
            "type": node.type,
            "market": node.market,
            "zone": node.zone,
            "launched": node.launched.isoformat(),
            "state": node.state,
            "reason": node.reason,
            "ended": node.ended.isoformat() if node.ended else None,
            "phases": {phase: one.at.isoformat() for phase, one in ((checkins or {}).get(node.id) or {}).items()},
        }
        for node in nodes
    ]


def events(ctx: Context, cluster: str, *, since: float = 0, limit: int = LISTED) -> list[Event]:
    """What happened to a cluster since then (epoch seconds), the oldest first, also to one that has ended.

    Of more than ``limit`` notes the newest are read, and of more than 20 nodes that failed those that failed last are
    asked why; all else comes from listings.

    Raises:
        NotFoundError: nothing is known of such a cluster.
    """
    listed = gather(
        [
            lambda: list(ctx.store.list(names.events_prefix(cluster))),
            lambda: ctx.checkins.listed(cluster),
            lambda: ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: cluster}, alive_only=False),
        ]
    )
    keys = cast("list[tuple[str, float]]", listed[0])
    checkins = cast("dict[str, dict[str, CheckIn]]", listed[1])
    instances = cast("list[Instance]", listed[2])
    if not (keys or checkins or instances):
        raise NotFoundError(
            f"nothing is known of a cluster {cluster} on platform {ctx.platform.name}",
            hint="`hcluster list` shows what runs; the events of a cluster that has ended are read by its whole name",
            reference="no-cluster",
        )
    notes = gather([partial(_read, ctx, key, at) for key, at in sorted(keys)[-limit:]])
    now = datetime.fromtimestamp(ctx.clock.now(), UTC)
    found = timeline([one for one in notes if one], instances, checkins, _failures(ctx, cluster, checkins), now)
    return [event for event in found if event.at.timestamp() >= since]


def _read(ctx: Context, key: str, at: float) -> Note | None:
    """A note; None for one that was removed a moment ago, or that is none of ours."""
    try:
        body = json.loads(ctx.store.get(key)[0])
    except (NotFoundError, ValueError):
        return None
    if not isinstance(body, dict):
        return None
    text = {name: str(body.get(name) or "") for name in ("kind", "text", "user", "team", "command")}
    detail = body.get("detail")
    return Note(at=datetime.fromtimestamp(at, UTC), detail=detail if isinstance(detail, dict) else {}, **text)


def _failures(ctx: Context, cluster: str, checkins: Mapping[str, Mapping[str, CheckIn]]) -> dict[str, str]:
    """Why nodes failed, by instance, in their own words."""
    failed = sorted((phases["failed"].at, name) for name, phases in checkins.items() if "failed" in phases)
    ids = [name for _, name in failed[-FAILURES_READ:]]

    def why(instance: str) -> str:
        try:
            body = ctx.checkins.read(cluster, instance, "failed").body
        except (NotFoundError, IntegrityError):
            return ""
        return f"in step {body.get('step')}: {body.get('message')}"

    return dict(zip(ids, gather([partial(why, one) for one in ids]), strict=True))
