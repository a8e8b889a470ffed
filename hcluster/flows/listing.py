"""What runs: clusters and their nodes, from tags and check-ins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from hcluster.errors import NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.records import Claim, claimed, read_claim
from hcluster.flows.waiting import latest_phase, platform_tag
from hcluster.model import names
from hcluster.model.node import CheckIn, Instance
from hcluster.model.views import ClusterView, NodeView
from hcluster.plan.state import cluster_state


def clusters(ctx: Context) -> list[ClusterView]:
    """All clusters of the platform by name, also those that are claimed and have no nodes.

    One listing of instances, two calls a cluster; none that grows with the nodes but listings.
    """
    found: dict[str, list[Instance]] = {}
    held: dict[str, Claim] = {}

    def read_instances() -> None:
        for node in ctx.compute.instances(platform_tag(ctx)):
            found.setdefault(node.tags.get(names.TAG_CLUSTER, ""), []).append(node)

    gather([read_instances, lambda: held.update(claimed(ctx.store))])
    wanted = sorted((set(found) | set(held)) - {"", names.PLATFORM_CLUSTER})
    # What has no node has no check-in that would be shown.
    with_nodes = [name for name in wanted if name in found]
    checkins = dict(zip(with_nodes, gather([partial(ctx.checkins.listed, name) for name in with_nodes]), strict=True))
    return [assemble(name, found.get(name, []), checkins.get(name, {}), held.get(name)) for name in wanted]


def show(ctx: Context, name: str) -> ClusterView:
    """One cluster, also one that has a claimed name and no nodes.

    Raises:
        NotFoundError: there is neither.
    """
    found = ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: name})
    view = _view(ctx, name, found)
    if not view.nodes and not view.launch:
        raise NotFoundError(
            f"there is no cluster {name} on platform {ctx.platform.name}",
            hint="`hcluster list` shows what runs, `hcluster up FILE` starts a cluster",
            reference="no-cluster",
        )
    return view


def nodes(ctx: Context, name: str) -> tuple[NodeView, ...]:
    """The nodes of a cluster.

    Raises:
        NotFoundError: there is no such cluster.
    """
    return show(ctx, name).nodes


def node_views(instances: Sequence[Instance], checkins: Mapping[str, Mapping[str, CheckIn]]) -> tuple[NodeView, ...]:
    """Instances joined with their latest check-in, the master first."""
    views = []
    for instance in instances:
        last = latest_phase(checkins.get(instance.id, {}))
        group = instance.tags.get(names.TAG_GROUP, "")
        views.append(NodeView(instance, group, last.phase if last else "", last.at if last else None))
    order = {"master": 0, "platform": 0, "core": 1, "task": 2}
    return tuple(sorted(views, key=lambda view: (order.get(view.group, 3), view.instance.private_ip)))


def _view(ctx: Context, name: str, instances: Sequence[Instance]) -> ClusterView:
    checkins: dict[str, dict[str, CheckIn]] = {}
    held: list[Claim] = []

    def read_checkins() -> None:
        checkins.update(ctx.checkins.listed(name))

    def read_held() -> None:
        found = read_claim(ctx.store, name)
        held.extend([found[0]] if found else [])

    gather([read_checkins, read_held])
    return assemble(name, instances, checkins, held[0] if held else None)


def assemble(
    name: str, instances: Sequence[Instance], checkins: Mapping[str, Mapping[str, CheckIn]], claim: Claim | None
) -> ClusterView:
    """The view of a cluster from what is known of it."""
    views = node_views(instances, checkins)
    tags = views[0].instance.tags if views else {}
    wanted = {
        group: int(value["count"])
        for group in ("master", "core", "task")
        if claim and isinstance(value := claim.spec.get(group), dict) and value.get("count")
    }
    return ClusterView(
        name=name,
        team=claim.team if claim else tags.get(names.TAG_TEAM, ""),
        owner=claim.owner if claim else tags.get(names.TAG_OWNER, ""),
        state=cluster_state(wanted, views),
        launch=claim.launch if claim else tags.get(names.TAG_LAUNCH, ""),
        created=datetime.fromtimestamp(claim.created, UTC) if claim else None,
        wanted=wanted,
        nodes=views,
        master=next((view.instance.private_dns for view in views if view.group == "master"), ""),
        spec=claim.spec if claim else {},
    )
