"""YARN applications as values, and how people name them; pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hcluster.errors import NotFoundError, UsageError

LIVE = ("submitted", "accepted", "running")
STATES = (*LIVE, "succeeded", "failed", "killed", "ended")
"""``ended``: its ApplicationMaster left without saying how it went."""
_OF_YARN = {
    "NEW": "submitted",
    "NEW_SAVING": "submitted",
    "SUBMITTED": "submitted",
    "ACCEPTED": "accepted",
    "RUNNING": "running",
    "FAILED": "failed",
    "KILLED": "killed",
}
_OUTCOMES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "KILLED": "killed"}
_ID = re.compile(r"(?:application|job)_(\d+_\d{4,})")
_TAIL = re.compile(r"(?:\d+_)?\d+")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Application:
    """One application as the ResourceManager tells of it."""

    id: str
    name: str
    user: str
    type: str
    """TEZ, MAPREDUCE or another framework's."""
    queue: str
    state: str
    """submitted, accepted, running, succeeded, failed, killed, or ended without a word on how."""
    progress: float
    """Percent."""
    started: datetime
    ended: datetime | None
    """null while it lives."""
    seconds: float
    """From its start to its end, or until now."""
    containers: int
    """That run now; memory and virtual CPUs are theirs."""
    memory_mib: int
    vcores: int
    diagnostics: str
    """What YARN has to say of it: why it waits, or why it failed."""
    logs: str
    """State of the collection of its logs, in YARN's words."""

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE


def application_of(told: Mapping[str, Any]) -> Application:
    """From an ``app`` of the ResourceManager's REST interface (times in ms; -1 for what an ended one has no more)."""
    ended = int(told.get("finishedTime") or 0)
    return Application(
        id=str(told["id"]),
        name=str(told.get("name") or ""),
        user=str(told.get("user") or ""),
        type=str(told.get("applicationType") or ""),
        queue=str(told.get("queue") or ""),
        state=state_of(str(told.get("state")), str(told.get("finalStatus"))),
        progress=round(float(told.get("progress") or 0), 1),
        started=_moment(int(told.get("startedTime") or 0)),
        ended=_moment(ended) if ended else None,
        seconds=int(told.get("elapsedTime") or 0) / 1000,
        containers=max(0, int(told.get("runningContainers") or 0)),
        memory_mib=max(0, int(told.get("allocatedMB") or 0)),
        vcores=max(0, int(told.get("allocatedVCores") or 0)),
        diagnostics=str(told.get("diagnostics") or "").strip(),
        logs=str(told.get("logAggregationStatus") or ""),
    )


def state_of(state: str, outcome: str) -> str:
    """One word for YARN's two: the state, and how it went once it has finished."""
    return _OF_YARN.get(state) or _OUTCOMES.get(outcome, "ended")


def yarn_states(wanted: Iterable[str]) -> tuple[str, ...]:
    """YARN's states in which an application may be that is in one of ours."""
    found: dict[str, None] = {}
    for state in wanted:
        found.update(dict.fromkeys(yarn for yarn, ours in _OF_YARN.items() if ours == state))
        if state not in LIVE:
            found["FINISHED"] = None
    return tuple(found)


def demand_states(wanted: Sequence[str]) -> tuple[str, ...]:
    """The states as given, in lower case.

    Raises:
        UsageError: there is no such state.
    """
    found = tuple(state.lower() for state in wanted)
    for state in found:
        if state not in STATES:
            raise UsageError(f"{state!r} is no state of an application", hint=f"one of {', '.join(STATES)}")
    return found


def full_id(given: str) -> str:
    """The id that a whole ``application_…`` or ``job_…`` stands for, "" when it is neither."""
    match = _ID.fullmatch(given)
    return f"application_{match[1]}" if match else ""


def meant(given: str, known: Sequence[Application]) -> Application:
    """The application that somebody means by a whole id, its number at the end, or the beginning of an id.

    Raises:
        NotFoundError: none; the hint has those most like it.
        UsageError: several.
    """
    whole = full_id(given)
    found = [one for one in known if one.id == whole]
    if not found and _TAIL.fullmatch(given):
        found = [one for one in known if _ends_with(one.id, given)]
    if not found and not whole and given.startswith("application_"):
        found = [one for one in known if one.id.startswith(given)]
    if not found:
        raise NotFoundError(f"there is no application {given}", hint=_near(given, known), reference="no-application")
    if len(found) > 1:
        raise UsageError(
            f"{given} may be any of these applications: {', '.join(one.id for one in found[:_SHOWN])}"
            f"{', …' if len(found) > _SHOWN else ''}",
            hint="write as much of the id as tells it apart",
            reference="ambiguous-name",
        )
    return found[0]


def _ends_with(known: str, given: str) -> bool:
    """``7``, ``0007`` and ``1700000000000_0007`` end ``application_1700000000000_0007``; ``07`` of 0107 does not."""
    stamp, number = known.removeprefix("application_").split("_")
    *before, last = given.split("_")
    return int(number) == int(last) and before in ([], [stamp])


def _near(given: str, known: Sequence[Application]) -> str:
    listing = "`hcluster job list NAME --all` lists them"
    close = difflib.get_close_matches(given, [one.id for one in known], n=3, cutoff=0.8)
    by_name = [one.id for one in known if one.name == given]
    shown = list(dict.fromkeys([*by_name, *close]))[:3]
    return f"did you mean {' or '.join(shown)}?\n{listing}" if shown else listing


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
