"""What a run is going to do, what that costs by the hour and how long it is likely to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hcluster.model.actions import Action


@dataclass(frozen=True, slots=True)
class Amount:
    """US dollars an hour: from ``low`` to ``high`` where the cloud chooses type or zone, both the same otherwise."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GroupCost:
    """What the nodes of one group cost by the hour; None where a price is not known."""

    group: str
    nodes_before: int
    nodes_after: int
    before: Amount | None
    """Of the nodes that are there, in the market of each."""
    after: Amount | None
    """Of the nodes that are there when all actions are done."""
    difference: Amount | None
    on_demand: Amount | None
    """What the nodes after would cost if all were on-demand."""
    spot: Amount | None
    """And what they would cost at the present spot prices."""


@dataclass(frozen=True, slots=True)
class Cost:
    """By group, and altogether; the last of ``groups`` is the total."""

    groups: tuple[GroupCost, ...]
    listed: datetime | None = None
    """When the price list was published; the oldest day when there are several, None without any price."""
    spot_at: datetime | None = None
    """When the spot prices were asked for."""
    unknown: tuple[str, ...] = ()
    """Why prices are missing."""
    not_included: tuple[str, ...] = ("EBS volumes", "S3", "data transfer", "the platform's own node")


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a run is likely to take, from earlier ones."""

    seconds: float | None
    """The median; None without history, or when nothing is done."""
    shortest: float | None = None
    longest: float | None = None
    runs: int = 0
    """Of how many earlier runs."""
    like: str = ""
    """What these runs have in common with this one, for people."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What ``--plan`` tells."""

    cluster: str
    verb: str
    actions: tuple[Action, ...]
    cost: Cost
    expected: Expected


@dataclass(frozen=True, slots=True)
class Run:
    """One earlier run of a verb, as the platform's history keeps it."""

    kind: str
    """launch (of a cluster), grow, tell, replace, or down; several in one run are joined by +."""
    cluster: str
    launch: str
    nodes: int
    """How many were launched, told, replaced or ended."""
    image: str
    seconds: float
    at: float
    """When it ended, in epoch seconds."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Of the slowest node: seconds from its launch until each phase."""
