"""Whether daemons start from the class-data archives of their image."""

from __future__ import annotations

from functools import partial

from hcluster.errors import NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.waiting import platform_tag
from hcluster.model import names
from hcluster.model.node import Instance
from hcluster.model.views import Finding

CHECK = "class archives"


def look_at_archives(ctx: Context) -> Finding:
    """The line of ``doctor`` about them: what one node of each group wrote into its check-in when it became ready.

    Without its archive a daemon serves as well, seconds later, so this is a warning.
    """
    groups: dict[tuple[str, str], Instance] = {}
    for node in ctx.compute.instances(platform_tag(ctx)):
        cluster = node.tags.get(names.TAG_CLUSTER, "")
        if node.alive and cluster:
            groups.setdefault((cluster, node.tags.get(names.TAG_GROUP, "")), node)
    told = gather([partial(_without, ctx, cluster, node) for (cluster, _), node in groups.items()])
    slow = [f"{cluster} {group}: {why}" for (cluster, group), why in zip(groups, told, strict=True) if why]
    if not slow:
        return Finding(CHECK, ok=True, message="every daemon that was looked at started from its archive")
    return Finding(CHECK, ok=True, message="; ".join(slow), cure="`hcluster ami bake --force`", warning=True)


def _without(ctx: Context, cluster: str, node: Instance) -> str:
    """What a node told of the first daemon without its archive; "" when it told of none, or nothing yet."""
    try:
        found = ctx.checkins.read(cluster, node.id, "ready").body.get("archives")
    except NotFoundError:
        return ""
    return next((f"{unit}: {why}" for unit, why in found.items()), "") if isinstance(found, dict) else ""
