"""What happened to a cluster, by whom: notes that the verbs leave in the bucket, each a small object of its own.

They outlive the cluster, so that what became of it can be read after `down`, too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hcluster.errors import HclusterError
from hcluster.flows.context import Context
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import CheckIn, Instance

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
            "phases": {phase: one.at.isoformat() for phase, one in ((checkins or {}).get(node.id) or {}).items()},
        }
        for node in nodes
    ]
