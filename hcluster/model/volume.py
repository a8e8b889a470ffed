"""A volume that outlives the instances it is attached to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Volume:
    """One EBS volume as DescribeVolumes tells it."""

    id: str
    state: str
    """creating, available, in-use or error."""
    size_gib: int
    zone: str
    holder: str = ""
    """Id of the instance that it is attached to, or still is; "" when it is free."""
    attachment: str = ""
    """attaching, attached, detaching or busy; "" when it is free."""
