"""What a flow is going to do, decided before it begins; `--plan` prints the same values that the run executes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Policy = Literal["live", "replace-nodes", "refused"]
"""What a change of a field asks for: nothing but Puppet or later calls, new nodes, or another cluster."""

Kind = Literal["end", "launch", "tell", "replace", "drain", "restore", "pending", "keep", "remove"]
"""end: nodes that cannot be kept are terminated. launch: missing nodes are started. tell: running nodes are told a new
configuration or release and apply it. replace: nodes are launched, others drained and terminated in their stead.
drain: the latter alone, of nodes whose successors are there. restore: nodes that were being drained serve again.
pending: what `replace` would be, if it were asked for. keep: a node differs from what is wanted and stays as it is.
remove: something other than a node is deleted."""


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan, with its reason; steps are executed in the order of their list."""

    kind: Kind
    group: str
    """master, core, task or platform; "" when it is of the cluster as a whole."""
    count: int
    """How many nodes (or other things) it concerns."""
    what: str
    """What is done, for people, without the reason: ``launch 2 spot nodes (m5.large)``."""
    reason: str
    policy: Policy | Literal[""] = ""
    """By which policy of a field it is done; "" when no changed field asks for it."""
    nodes: tuple[str, ...] = ()
    """Ids of the nodes that it acts upon; () for those that are to be launched."""
    thing: str = ""
    """What is removed: one of ``hcluster.plan.ending.THINGS``; "" for nodes."""
    batches: int = 1
    """In how many runs, one after the other, so that not all of a group are away at once."""
