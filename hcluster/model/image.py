"""Machine images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the account."""

    id: str
    name: str
    state: str
    created: str
    """ISO 8601, as EC2 gives it."""
    tags: Mapping[str, str] = field(default_factory=dict)
