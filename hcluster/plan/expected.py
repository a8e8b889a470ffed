"""How long a run is likely to take: the median of earlier ones that are most like it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from hcluster.model.actions import Action
from hcluster.model.forecast import Expected, Run

NEWEST = 10
"""Of the runs that are alike, how many count: what was true long ago may not be true any more."""
ABOUT = 1.5
"""Node counts within this factor are about the same."""
_DONE = ("launch", "restore", "tell", "drain", "replace")


def kind_of(actions: Sequence[Action], *, anew: bool) -> str:
    """What the history calls a run of ``up`` with these actions; "" when it does nothing that takes time.

    ``anew``: the cluster has no node yet.
    """
    kinds = [kind for kind in _DONE if any(one.kind == kind for one in actions)]
    if not anew and "launch" in kinds:
        kinds[kinds.index("launch")] = "grow"
    return "+".join(kinds)


def nodes_of(actions: Sequence[Action]) -> int:
    """How many nodes a run of ``up`` with these actions is about."""
    return sum(one.count for one in actions if one.kind in _DONE)


def expected(runs: Sequence[Run], *, kind: str, nodes: int, image: str = "") -> Expected:
    """The median of the newest runs of the same kind: of as many nodes from the same image; failing that, of about as
    many from any; failing that, of any number. ``runs`` in any order; an empty ``kind`` takes no time worth telling."""
    same = [run for run in runs if kind and run.kind == kind]
    of = f"of {nodes} node{'s' if nodes != 1 else ''}"
    tiers = (
        (f"{of} from this image", [run for run in same if run.nodes == nodes and image and run.image == image]),
        (of, [run for run in same if run.nodes == nodes]),
        (f"of about {nodes} nodes", [run for run in same if nodes / ABOUT <= run.nodes <= nodes * ABOUT]),
        ("of other sizes", same),
    )
    like, found = next(((text, some) for text, some in tiers if some), ("", []))
    if not found:
        return Expected(None)
    newest = sorted(found, key=lambda run: run.at, reverse=True)[:NEWEST]
    seconds = [run.seconds for run in newest]
    return Expected(
        round(median(seconds), 1), round(min(seconds), 1), round(max(seconds), 1), len(newest), f"{kind} {like}"
    )
