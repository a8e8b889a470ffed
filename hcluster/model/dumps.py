"""Dumps of the metastore's database in the bucket: their names, and which of them are kept. Pure.

A dump is one object that is written once. Its name says when it was made and what it must contain, so that there is no
second record that could differ, and the newest is the last name of a listing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PREFIX = "platform/metastore/"
"""Below it lies nothing else: the platform's node may write and delete here."""

HOURLY = 24
"""How many of the newest dumps are kept."""
DAILY = 7
"""On how many of the last days that have dumps the last one of the day is kept, beside the newest."""

_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{64})\.sql\.zst")
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump, as its key tells."""

    at: datetime
    """When it was begun, UTC: it holds what was committed before."""
    sha256: str
    """Of the object's bytes, hex."""

    @property
    def key(self) -> str:
        """Where it lies in the bucket."""
        return f"{PREFIX}{self.at.astimezone(UTC).strftime(_TIME)}-{self.sha256}.sql.zst"


def dump_at(key: str) -> Dump | None:
    """The dump of a key, None for a key of something else."""
    match = _NAME.fullmatch(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
    if match is None:
        return None
    return Dump(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC), match[2])


def newest_first(keys: Iterable[str]) -> list[Dump]:
    """The dumps among ``keys``."""
    found = [dump for key in keys if (dump := dump_at(key))]
    return sorted(found, key=lambda dump: (dump.at, dump.sha256), reverse=True)


def surplus(dumps: Sequence[Dump], hourly: int = HOURLY, daily: int = DAILY) -> list[Dump]:
    """Which of ``dumps`` (newest first) to delete: neither among the newest ``hourly`` nor the last of one of the last
    ``daily`` days on which any was made. The newest is never among them."""
    last_of_day: dict[object, Dump] = {}
    for dump in dumps:
        last_of_day.setdefault(dump.at.astimezone(UTC).date(), dump)
    kept = {*dumps[: max(hourly, 1)], *list(last_of_day.values())[:daily]}
    return [dump for dump in dumps if dump not in kept]
