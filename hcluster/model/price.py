"""What instances cost by the hour, as the cloud tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ListPrice:
    """The on-demand price of one type in one region: Linux, shared tenancy, US dollars an hour."""

    instance_type: str
    usd: float
    published: datetime
    """When the price list that holds it was published."""


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """What a spot instance of one type costs at present in one zone: Linux, US dollars an hour."""

    instance_type: str
    zone: str
    usd: float
    since: datetime
    """When the price last changed."""
