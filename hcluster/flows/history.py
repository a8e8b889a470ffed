"""How long earlier runs took: one small object in the bucket, from which `--plan` and people expect how long the next
one takes. What a run did never depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime

from hcluster.errors import ConflictError, HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.forecast import Run
from hcluster.model.node import PHASES, CheckIn, Instance

KEPT = 50
"""Of each kind of run."""
TRIES = 3
"""Against others who write at the same time; a run that is not noted down is no loss."""
_FORMAT = 1


def runs(ctx: Context) -> list[Run]:
    """Earlier runs on this platform, oldest first: one call. None when the object is absent or cannot be read."""
    try:
        return _parsed(ctx.store.get(names.HISTORY_KEY)[0])
    except NotFoundError:
        return []


def record(ctx: Context, run: Run) -> None:
    """Note a run down: two calls, however many nodes it had. It never fails the verb that it stands in."""
    try:
        for _ in range(TRIES):
            try:
                _append(ctx, run)
            except ConflictError:
                continue
            return
    except HclusterError as cause:
        ctx.report(Progress("history", f"its seconds were not written down: {cause.message}", state="failed"))


def phases(nodes: Iterable[Instance], checkins: Mapping[str, Mapping[str, CheckIn]]) -> dict[str, float]:
    """Seconds from the launch of the slowest node until each phase that it reached. Pure."""
    slowest: dict[str, float] = {}
    for node in nodes:
        known = checkins.get(node.id, {})
        own = {phase: _after(node.launched, known[phase].at) for phase in PHASES if phase in known}
        if "ready" in own and own["ready"] >= slowest.get("ready", 0):
            slowest = own
    return slowest


def _after(start: datetime, end: datetime) -> float:
    # S3 and EC2 tell whole seconds, each by its own clock.
    return max(0.0, round((end - start).total_seconds(), 1))


def _append(ctx: Context, run: Run) -> None:
    try:
        body, etag = ctx.store.get(names.HISTORY_KEY)
    except NotFoundError:
        body, etag = b"", ""
    # The same run may be told twice: by who launched and by who waited for it.
    told = (run.kind, run.cluster, run.launch, run.nodes)
    every = [one for one in _parsed(body) if (one.kind, one.cluster, one.launch, one.nodes) != told] + [run]
    kept = [one for kind in dict.fromkeys(one.kind for one in every) for one in _newest(every, kind)]
    text = json.dumps({"format": _FORMAT, "runs": [asdict(one) for one in kept]}, sort_keys=True)
    ctx.store.put(names.HISTORY_KEY, text.encode(), if_none_match=not etag, if_match=etag)


def _newest(every: Iterable[Run], kind: str) -> list[Run]:
    return sorted((one for one in every if one.kind == kind), key=lambda one: one.at)[-KEPT:]


def _parsed(body: bytes) -> list[Run]:
    """The runs of an object; what does not look like one is left out."""
    try:
        entries = json.loads(body)["runs"]
    except (ValueError, KeyError, TypeError):
        return []
    return [one for entry in entries if (one := _run(entry))] if isinstance(entries, list) else []


def _run(entry: object) -> Run | None:
    if not isinstance(entry, dict):
        return None
    try:
        return Run(
            kind=str(entry["kind"]),
            cluster=str(entry["cluster"]),
            launch=str(entry["launch"]),
            nodes=int(entry["nodes"]),
            image=str(entry["image"]),
            seconds=float(entry["seconds"]),
            at=float(entry["at"]),
            phases={str(phase): float(after) for phase, after in dict(entry.get("phases") or {}).items()},
        )
    except (KeyError, TypeError, ValueError):
        return None
