"""Who acts: a user within a team."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a flow; every tag and record carries both names."""

    user: str
    team: str = "default"
