"""What all clusters of a platform share: bucket, network, groups, roles, the platform node with the metastore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from hcluster.errors import ConflictError, HclusterError, NotFoundError, UsageError
from hcluster.flows import metastore_volume
from hcluster.flows.context import Context
from hcluster.flows.down import remove
from hcluster.flows.dumps import age, last_dump
from hcluster.flows.gather import gather
from hcluster.flows.launch import Ground, GroupPlan, launch, pin_release, resolve_image
from hcluster.flows.listing import node_views
from hcluster.flows.reach import master
from hcluster.flows.records import claimed, launch_id, read_platform, write_platform
from hcluster.flows.waiting import latest_phase, platform_tag, wait_gone, wait_ready
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.platform import PlatformRecord
from hcluster.model.views import DownResult
from hcluster.plan.access import platform_policy, team_policy
from hcluster.plan.nodes import METASTORE_PORT, platform_node_config


def prepare(ctx: Context) -> PlatformRecord:
    """Bucket, network, groups and roles; what exists is adopted. The record has no metastore yet.

    Raises:
        ConflictError: the bucket is somebody else's.
        NotFoundError: the network does not exist.
    """
    tags = platform_tag(ctx)
    ctx.report(Progress("bucket", f"looking for bucket {ctx.store.bucket}"))
    ctx.store.ensure_bucket(tags)
    ctx.report(Progress("bucket", f"bucket {ctx.store.bucket}", state="ok"))
    vpc, cidrs, subnets = network(ctx)
    ctx.report(Progress("network", f"network {vpc} ({', '.join(cidrs)}), {len(subnets)} subnets", state="ok"))
    teams = ctx.platform.teams
    every = [*teams, names.PLATFORM_CLUSTER]

    def group(name: str, allow_from: dict[str, int]) -> str:
        return ctx.compute.ensure_security_group(
            names.resource_name(ctx.platform.name, name),
            vpc=vpc,
            allow_from=allow_from,
            allow_cidrs=cidrs,
            tags={**tags, names.TAG_TEAM: name},
        )

    def profile(name: str) -> str:
        policy_of = platform_policy if name == names.PLATFORM_CLUSTER else team_policy
        policy = policy_of(ctx.store.bucket, ctx.platform.region)
        return ctx.compute.ensure_instance_profile(
            names.resource_name(ctx.platform.name, name, "node"), policy, tags={**tags, names.TAG_TEAM: name}
        )

    groups = dict(zip(teams, gather([lambda team=team: group(team, {}) for team in teams]), strict=True))  # type: ignore[misc]
    groups[names.PLATFORM_CLUSTER] = group(names.PLATFORM_CLUSTER, dict.fromkeys(groups.values(), METASTORE_PORT))
    profiles = dict(zip(every, gather([lambda name=name: profile(name) for name in every]), strict=True))  # type: ignore[misc]
    ctx.report(Progress("teams", f"roles and groups of {len(teams)} teams: {', '.join(teams)}", state="ok"))
    return PlatformRecord(
        name=ctx.platform.name,
        bucket=ctx.store.bucket,
        region=ctx.platform.region,
        vpc=vpc,
        network=cidrs,
        subnets=subnets,
        metastore_uri=ctx.platform.metastore.external,
        metastore_external=bool(ctx.platform.metastore.external),
        groups=groups,
        profiles=profiles,
    )


def network(ctx: Context) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(VPC id, CIDR blocks, subnet ids) that the platform uses: a subnet a zone, as EC2's fleets want it.

    Raises:
        ConflictError: two of the subnets are in one zone.
        NotFoundError: there is no such VPC, or no such subnet.
    """
    wanted = ctx.platform.network
    found = ctx.compute.default_network() if wanted.vpc == "default" else ctx.compute.network(wanted.vpc)
    if found is None:
        raise NotFoundError(
            f"region {ctx.platform.region} has no default VPC",
            hint="name a VPC in platform.yaml: `network: {vpc: vpc-…}`",
            reference="no-network",
        )
    vpc, cidrs, subnets = found
    subnets = wanted.subnets or subnets
    _demand_a_subnet_a_zone(ctx.compute.subnet_zones(subnets))
    return vpc, cidrs, subnets


def _demand_a_subnet_a_zone(zones: Mapping[str, str]) -> None:
    """CreateFleet takes no two overrides of the same type and zone (InvalidFleetConfig)."""
    for zone in sorted(set(zones.values())):
        there = [subnet for subnet, its in zones.items() if its == zone]
        if len(there) > 1:
            raise ConflictError(
                f"the subnets {' and '.join(there)} are all in {zone}; a fleet takes one a zone",
                hint="name one subnet of each zone in platform.yaml: `network: {subnets: [subnet-…, subnet-…]}`",
                reference="two-subnets-in-a-zone",
            )


def up(ctx: Context, *, timeout: float = 600) -> PlatformRecord:
    """Make or adopt everything that clusters need, and wait for the metastore; safe to repeat.

    Raises:
        NotFoundError: no network, image or Puppet release.
        UsageError: the metastore was moved in or out.
        NodeFailedError, DeadlineError: the platform node did not come up.
    """
    try:
        # The record is written before the node exists: from here on, doctor and `down` know what there is.
        record = _take_up(ctx, prepare(ctx))
        node, record = _platform_node(ctx, record, timeout)
        remote = ctx.connector.connect(node, names.PLATFORM_CLUSTER)
        try:
            ctx.catalog.ensure_registry(remote, record.metastore_uri, ctx.store.bucket)
        finally:
            remote.close()
    except HclusterError as cause:
        lines = [cause.hint] if cause.hint else []
        lines += ["continue: the same `hcluster platform up` again", "remove: `hcluster platform down`"]
        cause.hint = "\n".join(lines)
        raise
    ctx.report(Progress("registry", "table hcluster.clusters", state="ok"))
    return record


def _take_up(ctx: Context, record: PlatformRecord) -> PlatformRecord:
    """Join what was just made with what an earlier ``up`` of this platform wrote, and store it.

    Raises:
        UsageError: the metastore was moved in or out, and tables would be left behind.
    """
    try:
        earlier = read_platform(ctx.store)
    except NotFoundError:
        earlier = replace(record, launch=launch_id(ctx.clock.now()))
    if earlier.metastore_external != record.metastore_external or (
        record.metastore_external and earlier.metastore_uri != record.metastore_uri
    ):
        raise UsageError(
            f"platform {ctx.platform.name} uses the metastore {earlier.metastore_uri or 'of its own node'}; "
            "`metastore.external` cannot be changed",
            hint="tables would be left behind: move them, then make another platform",
            reference="change-refused",
        )
    kept = replace(
        record,
        launch=earlier.launch or launch_id(ctx.clock.now()),
        attempt=earlier.attempt,
        metastore_uri=earlier.metastore_uri,
        metastore_node=earlier.metastore_node,
        metastore_volume=earlier.metastore_volume,
    )
    write_platform(ctx.store, kept)
    return kept


def _platform_node(ctx: Context, record: PlatformRecord, timeout: float) -> tuple[Instance, PlatformRecord]:
    own = {**platform_tag(ctx), names.TAG_CLUSTER: names.PLATFORM_CLUSTER}
    known = ctx.compute.instances(own, alive_only=False)
    alive = _without_failed(ctx, known, record)
    if alive and alive[0].id == record.metastore_node:
        wait_ready(ctx, names.PLATFORM_CLUSTER, [alive[0].id], timeout=timeout)
        ctx.report(Progress("nodes", f"platform node {alive[0].id} is ready", 1, 1, "ok"))
        return alive[0], record
    image, release = gather(
        [lambda: resolve_image(ctx, ctx.platform.images.name), lambda: pin_release(ctx, ctx.platform.puppet.channel)]
    )
    volume = None if record.metastore_external else metastore_volume.ensure_volume(ctx, record, known)
    subnet = metastore_volume.subnet_in(ctx, record, volume.zone) if volume else record.subnets[0]
    if volume and volume.id != record.metastore_volume:
        record = replace(record, metastore_volume=volume.id)
        write_platform(ctx.store, record)
    if not alive:
        # Counted before the call: each node that is asked for is another one, also after the last was lost.
        record = replace(record, attempt=record.attempt + 1)
        write_platform(ctx.store, record)
    tags = {**own, names.TAG_LAUNCH: record.launch, names.TAG_TEAM: names.PLATFORM_CLUSTER}
    interface, _, host = ctx.compute.ensure_interface(
        subnet=subnet,
        groups=[record.groups[names.PLATFORM_CLUSTER]],
        description=f"platform node of hcluster platform {ctx.platform.name}",
        client_token=f"hc-{ctx.platform.name}-{record.launch}",
        tags={**own, names.TAG_GROUP: "platform"},
        more_tags={**tags, "Name": f"{ctx.platform.name}-platform"},
    )
    # Its own metastore is where its interface is, whatever an earlier record says.
    told = record if record.metastore_external else replace(record, metastore_uri="")
    config = platform_node_config(told, node_host=host)
    record = replace(record, metastore_uri=str(config["metastore_uri"]))
    ground = _ground(ctx, record, image, release, tags)
    plan = _plan(ctx, alive, known, interface)
    instances = launch(ctx, ground, [plan], config)
    if volume:
        # The node waits for it, and restores the last dump when there is nothing on it.
        metastore_volume.attach(ctx, volume, instances[0])
    wait_ready(ctx, names.PLATFORM_CLUSTER, instances, timeout=timeout)
    ctx.report(Progress("nodes", f"platform node {instances[0]} is ready", 1, 1, "ok"))
    node = master(ctx, names.PLATFORM_CLUSTER)
    record = replace(record, metastore_node=instances[0])
    write_platform(ctx.store, record)
    return node, record


def _ground(ctx: Context, record: PlatformRecord, image: str, release: str, tags: Mapping[str, str]) -> Ground:
    """What its node stands on."""
    return Ground(
        cluster=names.PLATFORM_CLUSTER,
        launch=record.launch,
        image=image,
        profile=record.profiles[names.PLATFORM_CLUSTER],
        security_group=record.groups[names.PLATFORM_CLUSTER],
        subnets=record.subnets,
        release=release,
        tags={**tags, names.TAG_OWNER: ctx.principal.user},
        attempt=record.attempt,
    )


def _plan(ctx: Context, alive: Sequence[Instance], known: Sequence[Instance], interface: str) -> GroupPlan:
    """One node, unless it is there."""
    return GroupPlan(
        group="platform",
        role="platform",
        missing=0 if alive else 1,
        types=(ctx.platform.metastore.type,),
        market="on-demand",
        disks=(),
        alive=tuple(node.id for node in alive),
        known=tuple(node.id for node in known),
        interface=interface,
    )


def _without_failed(ctx: Context, known: Sequence[Instance], record: PlatformRecord) -> list[Instance]:
    """The nodes that live, without those that cannot serve: they are ended, so that another one takes their place.

    A node that reported a failure before it ever was ready holds no data. When the data is on a volume, none does: one
    that failed at a later boot, or was switched off, is replaced, too.
    """
    going = [node for node in known if node.state == "shutting-down"]
    if going:
        wait_gone(ctx, going)
    alive = [node for node in known if node.alive]
    holds_nothing = bool(record.metastore_volume) or record.metastore_external
    checkins = ctx.checkins.listed(names.PLATFORM_CLUSTER) if alive else {}
    failed = [node for node in known if node.state in ("stopping", "stopped") and holds_nothing]
    for node in alive:
        phases = checkins.get(node.id, {})
        last = latest_phase(phases)
        if last and last.phase == "failed" and (holds_nothing or "ready" not in phases):
            failed.append(node)
    if failed:
        ctx.compute.terminate([node.id for node in failed])
        wait_gone(ctx, failed)
    return [node for node in alive if node not in failed]


def status(ctx: Context) -> dict[str, object]:
    """The platform's record, its node with its phase, the last dump of its metastore with its age in seconds, and how
    many clusters and nodes run.

    Raises:
        NotFoundError: there is no platform yet.
    """
    record = read_platform(ctx.store)
    instances = ctx.compute.instances(platform_tag(ctx))
    own = [node for node in instances if node.tags.get(names.TAG_CLUSTER) == names.PLATFORM_CLUSTER]
    views = node_views(own, ctx.checkins.listed(names.PLATFORM_CLUSTER))
    dump = None if record.metastore_external else last_dump(ctx.store)
    others = {node.tags.get(names.TAG_CLUSTER) for node in instances} - {names.PLATFORM_CLUSTER, None}
    return {
        **asdict(record),
        "node": {"instance": views[0].instance.id, "state": views[0].instance.state, "phase": views[0].phase}
        if views
        else None,
        "dump": {"at": dump.at.isoformat(), "age": int(age(dump, ctx.clock.now()).total_seconds()), "key": dump.key}
        if dump
        else None,
        "clusters": len(others),
        "nodes": len(instances) - len(own),
    }


def down(ctx: Context, *, delete_data: bool) -> DownResult:
    """End the platform node and remove groups and roles. The bucket and the volume with the metastore's tables are
    kept, and the next ``up`` adopts them; with ``delete_data`` both are deleted, and the dumps with the bucket.

    Raises:
        ConflictError: clusters still run on it, or their names are still claimed.
        DeadlineError: the node does not end, or does not let its volume go.
    """
    found = ctx.compute.instances(platform_tag(ctx), alive_only=False)
    running = {node.tags.get(names.TAG_CLUSTER, "") for node in found if node.alive}
    clusters = sorted((running | set(claimed(ctx.store))) - {names.PLATFORM_CLUSTER, ""})
    if clusters:
        raise ConflictError(
            f"clusters still stand on platform {ctx.platform.name}: {', '.join(clusters)}",
            hint="\n".join(f"hcluster down {name}" for name in clusters),
            reference="platform-in-use",
        )
    own = [node for node in found if node.tags.get(names.TAG_CLUSTER) == names.PLATFORM_CLUSTER]
    if not delete_data:
        _dump(ctx, own)
    removed = remove(ctx, {**platform_tag(ctx), names.TAG_CLUSTER: names.PLATFORM_CLUSTER}, own)
    ctx.compute.delete_security_groups(platform_tag(ctx))
    ctx.compute.delete_instance_profiles(platform_tag(ctx))
    ctx.report(Progress("teams", "roles and groups removed", state="ok"))
    volumes = removed.volumes + (metastore_volume.delete(ctx) if delete_data else 0)
    _forget(ctx, delete_data=delete_data)
    return DownResult(ctx.platform.name, removed.terminated, removed.interfaces, removed.templates, volumes)


def _dump(ctx: Context, own: Sequence[Instance]) -> None:
    """Let a node that was ready dump its metastore once more. The tables are on the volume, too: a node that cannot
    does not hold up its end."""
    checkins = ctx.checkins.listed(names.PLATFORM_CLUSTER) if own else {}
    node = next((one for one in own if one.alive and "ready" in checkins.get(one.id, {})), None)
    if node is None or read_platform(ctx.store).metastore_external:
        return
    ctx.report(Progress("metastore", "dumping the metastore"))
    try:
        remote = ctx.connector.connect(node, names.PLATFORM_CLUSTER)
        try:
            ctx.catalog.dump(remote)
        finally:
            remote.close()
    except HclusterError as cause:
        ctx.report(Progress("metastore", f"no last dump: {cause.message}; its volume is kept", state="failed"))
        return
    ctx.report(Progress("metastore", "metastore dumped into the bucket; its volume is kept", state="ok"))


def _forget(ctx: Context, *, delete_data: bool) -> None:
    if delete_data:
        ctx.store.delete_bucket()
        ctx.report(Progress("bucket", f"bucket {ctx.store.bucket} and everything in it deleted", state="ok"))
        return
    try:
        ctx.store.delete_prefix(names.checkins_prefix(names.PLATFORM_CLUSTER))
        ctx.store.delete(names.PLATFORM_KEY)
    except NotFoundError:
        return
    ctx.report(Progress("bucket", f"bucket {ctx.store.bucket} keeps its data", state="ok"))
