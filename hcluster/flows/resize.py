"""More nodes for a running cluster, without its YAML at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from hcluster.errors import DeniedError, NotFoundError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.records import expired, read_claim
from hcluster.plan.changes import changes
from hcluster.plan.converge import refuse
from hcluster.plan.words import plainly
from hcluster.spec.cluster import ClusterSpec

GROUPS = ("core", "task")
"""Those whose number of nodes may change; there is one master."""


def resized(ctx: Context, name: str, counts: Mapping[str, int]) -> ClusterSpec:
    """The spec of a cluster with other counts, for ``up``; nothing is changed.

    Raises:
        NotFoundError: there is no such cluster.
        DeniedError: it is another team's.
        UsageError: a group that has no count, or a smaller one than now.
    """
    seen = read_claim(ctx.store, name)
    if seen is None:
        raise NotFoundError(
            f"there is no cluster {name} on platform {ctx.platform.name}",
            hint="`hcluster list` shows what runs, `hcluster up FILE` starts a cluster",
            reference="no-cluster",
        )
    held = seen[0]
    if held.team != ctx.principal.team:
        raise DeniedError(
            f"cluster {name} belongs to team {held.team}, you act for team {ctx.principal.team}",
            hint=f"if that is your team: HCLUSTER_TEAM={held.team} hcluster resize {name} …",
            reference="other-team",
        )
    if expired(held, ctx.clock.now()):
        raise UsageError(
            f"the lifetime of cluster {name} is over, so that there is nothing to resize",
            hint="`hcluster up FILE` starts it anew",
        )
    old = ClusterSpec.from_json(json.dumps(held.spec))
    new = _with(old, counts)
    refuse(name, changes(old, new))
    return new


def _with(old: ClusterSpec, counts: Mapping[str, int]) -> ClusterSpec:
    if unknown := sorted(set(counts) - set(GROUPS)):
        raise UsageError(
            f"{', '.join(unknown)} cannot be resized; the groups that can are {' and '.join(GROUPS)}",
            hint=f"hcluster resize {old.name} core=5",
        )
    values = old.model_dump(mode="json")
    for group, count in counts.items():
        values[group]["count"] = count
    try:
        return ClusterSpec.model_validate(values)
    except ValidationError as cause:
        found = [f"{'.'.join(map(str, one['loc']))}: {plainly(one['msg'])}" for one in cause.errors(include_url=False)]
        raise UsageError(
            f"cluster {old.name} cannot have these counts",
            context="\n".join(found),
            hint=f"hcluster resize {old.name} core=5",
        ) from cause
