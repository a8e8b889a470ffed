"""What happened to a cluster, put together from what verbs noted, what nodes reported and what EC2 says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hcluster.model import names
from hcluster.model.node import CheckIn, Instance

_CAUSES = (
    ("SpotInstanceTermination", "spot interruption"),
    ("SpotInstanceShutdown", "spot interruption"),
    ("InstanceInitiatedShutdown", "it powered itself off"),
    ("UserInitiated", "by an API call"),
    ("User initiated", "by an API call"),
    ("Server.", "its host failed"),
    ("Client.", "it could not be started"),
)
"""Beginnings of EC2's reasons, and what they mean; the first that is found counts.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
"""
LISTED_WITHIN = timedelta(minutes=10)
"""EC2's listings have an instance long before that."""
GONE = "gone"
_ORDER = ("launch", "change", "resize", "launched", "booted", "joined", "node failed", "replace", "lost", "ended")
"""Of what happened within the same second; all else stands behind these."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a verb wrote down."""

    at: datetime
    """By S3's clock, as check-ins are."""
    kind: str
    text: str
    user: str = ""
    team: str = ""
    command: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: datetime
    kind: str
    """launch, ready, failed, change, replace, resize, expired or down: what verbs did. launched, joined, node failed,
    lost or ended: what became of one node."""
    text: str
    exact: bool = True
    """Whether it happened at that time; otherwise before it, since this is when it was seen."""
    user: str = ""
    team: str = ""
    command: str = ""
    """By whom and with which verb; empty for what nodes and EC2 did."""
    instance: str = ""
    group: str = ""
    launch: str = ""


@dataclass(frozen=True, slots=True)
class _Node:
    """What is known of a node, from EC2, from its check-ins, and from notes when both have forgotten it."""

    id: str
    group: str = ""
    type: str = ""
    market: str = ""
    zone: str = ""
    launch: str = ""
    launched: datetime | None = None
    state: str = "running"
    reason: str = ""
    ended: datetime | None = None
    seen: datetime | None = None
    """When somebody looked; None: now."""
    phases: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.state in {"pending", "running"}

    @property
    def what(self) -> str:
        return " ".join(part for part in (self.type, self.market, self.zone) if part)


def timeline(
    notes: Sequence[Note],
    instances: Sequence[Instance],
    checkins: Mapping[str, Mapping[str, CheckIn]],
    failures: Mapping[str, str],
    now: datetime,
) -> list[Event]:
    """All that is known, the oldest first.

    ``failures`` says of nodes that reported one why; those of which EC2 and notes know nothing any more are told with
    what they reported themselves.
    """
    removed = _removed(notes)
    events = [
        Event(
            note.at,
            note.kind,
            note.text,
            user=note.user,
            team=note.team,
            command=note.command,
            launch=str(note.detail.get("launch") or ""),
        )
        for note in notes
    ]
    for node in _nodes(notes, instances, checkins, now - LISTED_WITHIN).values():
        events += _of_node(node, failures.get(node.id, ""), removed, now)
    return sorted(events, key=lambda event: (event.at.replace(microsecond=0), _rank(event.kind), event.at))


def cause(reason: str) -> str:
    """What EC2's reason for an instance's end means, with its own words."""
    for beginning, meaning in _CAUSES:
        if beginning in reason:
            return f"{meaning} ({reason})"
    return reason or "EC2 gives no reason"


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _removed(notes: Sequence[Note]) -> dict[str, Note]:
    """Which verb took a node away, by instance: those that a note of it names while they ran."""
    found: dict[str, Note] = {}
    for note in notes:
        if note.kind in {"replace", "resize", "down"}:
            for one in note.detail.get("nodes") or ():
                identity = str(one.get("id")) if isinstance(one, Mapping) else str(one)
                if not isinstance(one, Mapping) or one.get("state") in {"pending", "running"}:
                    found.setdefault(identity, note)
    return found


def _nodes(
    notes: Sequence[Note],
    instances: Sequence[Instance],
    checkins: Mapping[str, Mapping[str, CheckIn]],
    forgotten: datetime,
) -> dict[str, _Node]:
    """By instance; EC2 knows best, then the newest note. Of what nobody else knows, and whose last check-in was before
    ``forgotten``, EC2 has forgotten the end; what checked in after that may not be in its listing yet."""
    found: dict[str, _Node] = {}
    for note in notes:
        for one in note.detail.get("nodes") or ():
            if isinstance(one, Mapping) and one.get("id"):
                node = _noted(one, note)
                earlier = found.get(node.id)
                # Who saw it first that a node had ended knows best when that was.
                found[node.id] = replace(node, seen=earlier.seen) if earlier and not earlier.alive else node
    for instance in instances:
        earlier = found.get(instance.id)
        found[instance.id] = _Node(
            instance.id,
            instance.tags.get(names.TAG_GROUP, ""),
            instance.type,
            instance.market,
            instance.zone,
            instance.tags.get(names.TAG_LAUNCH, ""),
            instance.launched,
            instance.state,
            instance.reason,
            instance.ended,
            earlier.seen if earlier and not earlier.alive else None,
            earlier.phases if earlier else {},
        )
    for identity, phases in checkins.items():
        times = {phase: one.at for phase, one in phases.items()}
        node = found.get(identity) or _Node(identity, state=GONE if max(times.values()) < forgotten else "running")
        found[identity] = replace(node, phases={**node.phases, **times})
    return found


def _noted(one: Mapping[str, Any], note: Note) -> _Node:
    return _Node(
        id=str(one["id"]),
        group=str(one.get("group") or ""),
        type=str(one.get("type") or ""),
        market=str(one.get("market") or ""),
        zone=str(one.get("zone") or ""),
        launch=str(note.detail.get("launch") or ""),
        launched=_moment(one.get("launched")),
        state=str(one.get("state") or "running"),
        reason=str(one.get("reason") or ""),
        ended=_moment(one.get("ended")),
        seen=note.at,
        phases={
            str(phase): at for phase, text in dict(one.get("phases") or {}).items() if (at := _moment(text)) is not None
        },
    )


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _of_node(node: _Node, failure: str, removed: Mapping[str, Note], now: datetime) -> Iterator[Event]:
    def event(at: datetime, kind: str, text: str, *, exact: bool = True, note: Note | None = None) -> Event:
        return Event(
            at,
            kind,
            text,
            exact,
            note.user if note else "",
            note.team if note else "",
            note.command if note else "",
            node.id,
            node.group,
            node.launch,
        )

    if node.launched:
        yield event(node.launched, "launched", node.what)
    if ready := node.phases.get("ready"):
        took = f", {round((ready - node.launched).total_seconds())} s after its launch" if node.launched else ""
        yield event(ready, "joined", f"ready{took}")
    if failed := node.phases.get("failed"):
        yield event(failed, "node failed", failure or "it reported a failure")
    if node.alive:
        return
    note = removed.get(node.id)
    at = node.ended or (note.at if note else None) or node.seen or now
    if note:
        yield event(at, "ended", f"by `{note.kind}`", exact=bool(node.ended), note=note)
    else:
        why = "EC2 has forgotten why" if node.state == GONE else cause(node.reason)
        yield event(at, "lost", f"{node.state}: {why}", exact=bool(node.ended))
