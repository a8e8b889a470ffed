"""From the marks that nodes put into their check-ins to the phases of a launch. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hcluster.model.node import CheckIn, Instance

_PHASES = {
    "boot": "boot",
    "identity": "identity",
    "lifetime": "identity",
    "check-in": "identity",
    "fetch": "release",
    "puppet": "puppet",
    "scripts": "scripts",
    "smoke": "smoke tests",
    "health": "daemons",
    "joining": "joining",
    "smoke-rest": "smoke tests",
}
"""The phase that begins with each mark of a node."""
_LEAST = 0.001
"""Seconds below which a phase is none: nothing was to be done in it."""
_ORDER = {"master": 0, "platform": 0, "core": 1, "task": 2}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time; seconds since the node's origin."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class NodeTimings:
    """How one node came up."""

    instance: str
    group: str
    phase: str
    """Its latest check-in; "" before the first one."""
    origin: datetime
    """From when its seconds are counted: the start of `up`, or its own launch when it came later."""
    ready: float | None
    """Seconds until it was ready; null when it is not."""
    phases: tuple[Span, ...]
    """One after the other without gaps: what it was waited for."""
    beside: tuple[Span, ...]
    """What ran beside them: each daemon until it served, what the node joined, each smoke test."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """All of them."""
        return self.phases + self.beside


@dataclass(frozen=True, slots=True)
class Timings:
    """How a launch came up."""

    cluster: str
    launch: str
    began: datetime
    """When `up` claimed the name."""
    ready: float | None
    """Seconds until the last of its first nodes was ready; null while some are not."""
    nodes: tuple[NodeTimings, ...]


def node_timings(instance: Instance, group: str, checkin: CheckIn | None, origin: datetime) -> NodeTimings:
    """The phases of a node, from the body of its latest check-in; what that holds is not trusted."""
    if checkin is None:
        return NodeTimings(instance.id, group, "", origin, None, (), ())
    zero = origin.timestamp()

    def seconds(part: str) -> dict[str, float]:
        return {name: round(max(0.0, at - zero), 3) for name, at in _numbers(checkin.body.get(part)).items()}

    marks = seconds("marks")
    ready = marks.get("ready") if checkin.phase == "ready" else None
    end = ready if ready is not None else max(0.0, checkin.at.timestamp() - zero)
    launched = max(0.0, (instance.launched.timestamp() - zero))
    began = {name: at for name, at in marks.items() if name in _PHASES}
    known = sorted(began.items(), key=lambda item: (item[1], list(_PHASES).index(item[0])))
    steps = [("launch", 0.0), *([] if "boot" in began else [("boot", launched)])]
    steps += [(_PHASES[name], at) for name, at in known]
    return NodeTimings(
        instance.id,
        group,
        checkin.phase,
        origin,
        ready,
        _chained(steps, end),
        _beside(marks, seconds("started"), seconds("daemons"), seconds("joined"), _numbers(checkin.body.get("smoke"))),
    )


def slowest(nodes: Sequence[NodeTimings]) -> list[NodeTimings]:
    """Of each group the node that was ready last, or is not yet; the master first."""
    found: dict[str, NodeTimings] = {}
    for node in nodes:
        other = found.get(node.group)
        if other is None or _ready(node) > _ready(other):
            found[node.group] = node
    return sorted(found.values(), key=lambda node: (_ORDER.get(node.group, 3), node.group))


def _ready(node: NodeTimings) -> float:
    return math.inf if node.ready is None else node.ready


def _numbers(values: object) -> dict[str, float]:
    """Names and finite numbers among what a node wrote."""
    found = values.items() if isinstance(values, Mapping) else ()
    return {
        name: float(value)
        for name, value in found
        if isinstance(name, str)
        and name.isprintable()
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def _chained(steps: Sequence[tuple[str, float]], end: float) -> tuple[Span, ...]:
    """Each step until the next begins; steps of one name that follow each other are one, and empty ones are none."""
    spans: list[Span] = []
    bounds = [*(at for _, at in steps[1:]), end]
    for (name, begin), until in zip(steps, bounds, strict=True):
        at, to = round(begin, 3), round(max(begin, until), 3)
        if spans and (spans[-1].name == name or to - at < _LEAST):
            # What is too short to be told belongs to the step before it, so that none is missing between two.
            spans[-1] = Span(spans[-1].name, spans[-1].begin, to)
        elif to - at >= _LEAST:
            spans.append(Span(name, at, to))
    return tuple(spans)


def _beside(
    marks: Mapping[str, float],
    started: Mapping[str, float],
    daemons: Mapping[str, float],
    joined: Mapping[str, float],
    smoke: Mapping[str, float],
) -> tuple[Span, ...]:
    """Daemons in the order of their start, then what was joined, then the smoke tests."""
    health = marks.get("health", 0.0)
    # One whose process had begun before this boot of the program says nothing about this launch.
    spans = [Span(name, min(started.get(name, health) or health, up), up) for name, up in daemons.items()]
    spans.sort(key=lambda span: (span.begin, span.end))
    joining = marks.get("joining", health)
    spans += [
        Span(f"joined {name}", min(joining, at), at) for name, at in sorted(joined.items(), key=lambda item: item[1])
    ]
    tested = marks.get("smoke", health)
    spans += [Span(f"smoke {name}", tested, tested + max(0.0, took)) for name, took in sorted(smoke.items())]
    return tuple(Span(span.name, round(span.begin, 3), round(span.end, 3)) for span in spans)
