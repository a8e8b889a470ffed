"""The verbs over the in-memory cloud: what they make, what they leave when cut off anywhere, how they go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hcluster.errors import (
    CapacityError,
    ConflictError,
    DeadlineError,
    DeniedError,
    HclusterError,
    NodeFailedError,
    NotFoundError,
    UsageError,
)
from hcluster.flows import doctor, listing, platform, reach, up
from hcluster.flows import down as down_flow
from hcluster.flows.context import Context
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.principal import Principal
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.platform import MetastoreSpec, PlatformSpec
from hcluster.testing import Crash, FakeCloud, NodeScript
from hcluster.testing.probes import Moment, no_probe

PLATFORM = PlatformSpec(name="test", bucket="hcluster-test", teams=("analytics", "science"))


class World:
    """A fake cloud with an image and a release, and the contexts of callers."""

    def __init__(self, scripts: Callable[[Instance], NodeScript] | None = None) -> None:
        self.scripts = scripts or (lambda _: NodeScript())
        self.cloud = FakeCloud(scripts=lambda node: self.scripts(node))  # noqa: PLW0108 - a test may change it
        tags = {names.TAG_PLATFORM: "test", names.TAG_IMAGE_NAME: "hadoop"}
        self.image = self.cloud.images.register("hcluster-hadoop-1", tags=tags)
        self.cloud.store.ensure_bucket({})
        self.cloud.store.put(names.release_key("d" * 64), b"packed")
        self.cloud.store.put(names.channel_key("stable"), json.dumps({"digest": "d" * 64}).encode())
        self.told: list[Progress] = []

    def context(self, team: str = "analytics", user: str = "ann") -> Context:
        return Context(
            platform=PLATFORM,
            principal=Principal(user, team),
            compute=self.cloud.compute,
            account=self.cloud.account,
            prices=self.cloud.prices,
            images=self.cloud.images,
            store=self.cloud.store,
            checkins=self.cloud.checkins,
            connector=self.cloud.connector,
            catalog=self.cloud.catalog,
            clock=self.cloud.clock,
            report=self.told.append,
        )

    def inventory(self) -> dict[str, int]:
        return self.cloud.compute.inventory({names.TAG_PLATFORM: "test", names.TAG_CLUSTER: "flights"})


def flights(**fields: object) -> ClusterSpec:
    return ClusterSpec.model_validate({"name": "flights", "team": "analytics", **fields})


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    return made


NOTHING = {"instances": 0, "interfaces": 0, "templates": 0, "groups": 0, "volumes": 0}


def test_platform_up_makes_bucket_groups_roles_and_a_ready_node(world: World) -> None:
    ctx = world.context()
    status = platform.status(ctx)
    node = status["node"]
    assert isinstance(node, dict)
    assert node["phase"] == "ready"
    uri = str(status["metastore_uri"])
    assert uri.startswith("thrift://ip-")
    assert world.cloud.catalog.registries == {(uri, "hcluster-test")}
    groups = status["groups"]
    assert isinstance(groups, dict)
    assert set(groups) == {"analytics", "science", "platform"}


def test_platform_up_again_changes_nothing(world: World) -> None:
    before = world.cloud.compute.inventory({names.TAG_PLATFORM: "test"})
    first = platform.up(world.context())
    assert platform.up(world.context()) == first
    assert world.cloud.compute.inventory({names.TAG_PLATFORM: "test"}) == before


def test_platform_down_is_refused_while_clusters_run_and_leaves_nothing_after(world: World) -> None:
    ctx = world.context()
    up.up(ctx, flights())
    with pytest.raises(ConflictError, match="flights"):
        platform.down(ctx, delete_data=False)
    down_flow.down(ctx, "flights")
    platform.down(ctx, delete_data=False)
    assert world.cloud.compute.inventory({names.TAG_PLATFORM: "test"}) == {**NOTHING, "volumes": 1}
    assert ctx.store.exists()
    platform.up(ctx)
    platform.down(ctx, delete_data=True)
    assert world.cloud.compute.inventory({names.TAG_PLATFORM: "test"}) == NOTHING
    assert not ctx.store.exists()


def test_a_failed_platform_node_is_replaced_by_the_next_up() -> None:
    world = World(lambda _: NodeScript.failing("puppet", "no such package"))
    with pytest.raises(NodeFailedError) as raised:
        platform.up(world.context())
    assert "hcluster platform down" in raised.value.hint
    world.scripts = lambda _: NodeScript()
    platform.up(world.context())
    node = platform.status(world.context())["node"]
    assert isinstance(node, dict)
    assert node["phase"] == "ready"


def test_a_lost_platform_node_is_replaced_by_the_next_up_of_anybody(world: World) -> None:
    first = platform.up(world.context())
    world.cloud.compute.end(first.metastore_node, "Server.InternalError")
    second = platform.up(world.context(user="bob"))
    assert second.metastore_node != first.metastore_node
    assert second.metastore_uri == first.metastore_uri


def test_a_shortage_of_the_platforms_type_is_over_when_there_is_capacity() -> None:
    world = World()
    world.cloud.compute.limit("t3.large")
    with pytest.raises(CapacityError):
        platform.up(world.context())
    world.cloud.compute.limit("t3.large", 1)
    assert platform.up(world.context()).metastore_node


def test_the_metastore_may_not_be_moved_out(world: World) -> None:
    moved = PLATFORM.model_copy(update={"metastore": MetastoreSpec(external="thrift://elsewhere:9083")})
    with pytest.raises(UsageError, match="cannot be changed"):
        platform.up(replace(world.context(), platform=moved))


def test_up_makes_a_ready_cluster_with_its_row(world: World) -> None:
    view = up.up(world.context(), flights())
    assert (view.state, view.ready_nodes, view.wanted) == ("ready", 3, {"master": 1, "core": 2})
    assert view.master.startswith("ip-")
    markets = {node.group: node.instance.market for node in view.nodes}
    assert markets == {"master": "on-demand", "core": "spot"}
    row = json.loads(world.cloud.store.get(names.registry_key("flights", view.launch))[0])
    assert (row["state"], row["team"], row["owner"], row["workers"]) == ("ready", "analytics", "ann", 2)


def test_the_calls_of_up_do_not_grow_with_the_nodes() -> None:
    def calls(count: int) -> list[str]:
        one = World()
        platform.up(one.context())
        start = {id(port): len(port.calls) for port in (one.cloud.compute, one.cloud.store, one.cloud.images)}
        up.up(one.context(), flights(core={"count": count}))
        ports = (one.cloud.compute, one.cloud.store, one.cloud.images)
        return sorted(name for port in ports for name in port.calls[start[id(port)] :])

    assert calls(2) == calls(200)


def test_up_again_with_another_count_launches_only_what_is_missing(world: World) -> None:
    first = up.up(world.context(), flights())
    second = up.up(world.context(), flights(core={"count": 4}))
    assert second.launch == first.launch
    assert {node.instance.id for node in first.nodes} < {node.instance.id for node in second.nodes}
    assert second.ready_nodes == 5


def test_a_refused_change_names_the_field_and_why(world: World) -> None:
    up.up(world.context(), flights(core={"count": 4}))
    with pytest.raises(UsageError, match="core") as raised:
        up.up(world.context(), flights(core={"count": 2}))
    assert "comes with elasticity" in raised.value.context


def test_the_team_of_the_spec_must_be_the_callers(world: World) -> None:
    with pytest.raises(DeniedError) as raised:
        up.up(world.context(team="science"), flights())
    assert "HCLUSTER_TEAM=analytics" in raised.value.hint


def test_a_taken_name_is_refused_and_its_holder_named(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(ConflictError, match="taken by ann of team analytics"):
        up.up(world.context(user="bob"), flights())


def test_up_without_platform_image_or_release_says_which_command_makes_it(world: World) -> None:
    empty = World()
    with pytest.raises(NotFoundError) as raised:
        up.up(empty.context(), flights())
    assert "hcluster platform up" in raised.value.hint
    with pytest.raises(NotFoundError) as raised:
        up.up(world.context(), flights(image="spark"))
    assert "hcluster ami bake" in raised.value.hint
    with pytest.raises(NotFoundError) as raised:
        up.up(world.context(), flights(puppet={"channel": "nightly"}))
    assert "hcluster puppet publish --channel nightly" in raised.value.hint
    assert world.inventory() == NOTHING


def test_a_failed_node_fails_up_and_the_next_up_replaces_it(world: World) -> None:
    world.scripts = lambda node: (
        NodeScript.failing("puppet", "no such package") if node.market == "spot" else NodeScript()
    )
    with pytest.raises(NodeFailedError, match="no such package") as raised:
        up.up(world.context(), flights())
    assert "3 instances" in raised.value.hint
    assert "hcluster down flights" in raised.value.hint
    world.scripts = lambda _: NodeScript()
    view = up.up(world.context(), flights())
    assert (view.state, len(view.nodes)) == ("ready", 3)


def test_a_cured_spec_replaces_nodes_that_are_still_on_their_way_with_the_old_one(world: World) -> None:
    world.scripts = lambda node: (
        NodeScript.failing("scripts", "exit code 7", at=30.0)
        if node.market == "spot"
        else NodeScript.failing("scripts", "exit code 7", at=300.0)
    )
    script = {"name": "tools", "script": "#!/bin/sh\nexit 7\n"}
    with pytest.raises(NodeFailedError):
        up.up(world.context(), flights(bootstrap=[script]))
    before = {node.id for node in reach.alive(world.context(), "flights")}
    world.scripts = lambda _: NodeScript()
    view = up.up(world.context(), flights(bootstrap=[{**script, "script": "#!/bin/sh\n"}]))
    assert (view.state, len(view.nodes)) == ("ready", 3)
    assert not before & {node.instance.id for node in view.nodes}


def test_a_silent_node_is_named_with_the_end_of_its_console(world: World) -> None:
    def scripts(node: Instance) -> NodeScript:
        if node.market == "spot":
            world.cloud.compute.consoles[node.id] = "Kernel panic\n"
            return NodeScript(phases=())
        return NodeScript()

    world.scripts = scripts
    with pytest.raises(DeadlineError, match=r"2 of 3 nodes.*never heard of") as raised:
        up.up(world.context(), flights(), timeout=120)
    assert raised.value.context == "Kernel panic"


def test_a_node_that_ends_while_it_boots_fails_up_with_the_clouds_reason(world: World) -> None:
    world.scripts = lambda node: NodeScript(phases=(), ends=10) if node.market == "spot" else NodeScript()
    with pytest.raises(NodeFailedError, match="SpotInstanceTermination"):
        up.up(world.context(), flights())


def test_a_shortage_keeps_what_was_launched_and_the_next_up_asks_anew(world: World) -> None:
    world.cloud.compute.limit("m5.large", 1, ["spot"])
    with pytest.raises(CapacityError) as raised:
        up.up(world.context(), flights())
    assert "core: 1 of 2 nodes; InsufficientInstanceCapacity" in raised.value.context
    with pytest.raises(CapacityError):
        up.up(world.context(), flights())
    world.cloud.compute.limit("m5.large", 5, ["spot"])
    assert up.up(world.context(), flights()).ready_nodes == 3


def test_a_launch_whose_lifetime_is_over_is_followed_by_a_new_one(world: World) -> None:
    first = up.up(world.context(), flights(lifetime="1h"))
    assert first.created is not None
    for node in first.nodes:
        world.cloud.compute.end(node.instance.id, "Client.InstanceInitiatedShutdown")
    world.cloud.clock.sleep(3600)
    second = up.up(world.context(), flights(lifetime="1h"))
    assert second.launch != first.launch
    assert (second.state, len(second.nodes)) == ("ready", 3)


def test_down_twice_is_fine_and_closes_the_row(world: World) -> None:
    launch = up.up(world.context(), flights()).launch
    result = down_flow.down(world.context(), "flights")
    assert (result.terminated, result.interfaces, result.templates) == (3, 1, 2)
    assert down_flow.down(world.context(), "flights").nothing
    row = json.loads(world.cloud.store.get(names.registry_key("flights", launch))[0])
    assert (row["state"], row["ended_by"]) == ("ended", "ann")
    with pytest.raises(NotFoundError):
        listing.show(world.context(), "flights")


def test_down_of_another_teams_cluster_is_refused(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(DeniedError, match="belongs to team analytics"):
        down_flow.down(world.context(team="science"), "flights")


def test_changed_tags_keep_the_master_and_tell_new_workers_of_it(world: World) -> None:
    first = up.up(world.context(), flights())
    second = up.up(world.context(), flights(core={"count": 3}, tags={"project": "x"}))
    assert second.master == first.master
    assert world.inventory()["interfaces"] == 4
    configs = [key for key, _ in world.cloud.store.list("clusters/flights/launches/") if key.endswith(".nodes.json")]
    assert {json.loads(world.cloud.store.get(key)[0])["master_host"] for key in configs} == {first.master}


def test_a_second_up_keeps_what_the_row_says_of_the_first(world: World) -> None:
    launch = up.up(world.context(), flights()).launch
    before = json.loads(world.cloud.store.get(names.registry_key("flights", launch))[0])
    tags = {names.TAG_PLATFORM: "test", names.TAG_IMAGE_NAME: "hadoop"}
    world.cloud.clock.sleep(60)
    world.cloud.images.register("hcluster-hadoop-2", tags=tags)
    up.up(world.context(), flights(core={"count": 3}))
    after = json.loads(world.cloud.store.get(names.registry_key("flights", launch))[0])
    assert (after["image"], after["ready"], after["workers"]) == (before["image"], before["ready"], 3)


def test_a_cluster_that_lost_its_master_is_not_given_another_one(world: World) -> None:
    view = up.up(world.context(), flights())
    world.cloud.compute.end(view.nodes[0].instance.id, "Server.InternalError")
    with pytest.raises(NodeFailedError, match="lost its master") as raised:
        up.up(world.context(), flights())
    assert "hcluster down flights" in raised.value.hint


def test_a_master_that_failed_before_it_was_ready_is_replaced_with_its_workers(world: World) -> None:
    world.scripts = lambda node: (
        NodeScript() if node.market == "spot" else NodeScript.failing("smoke", "no bucket", at=60.0)
    )
    with pytest.raises(NodeFailedError, match="no bucket"):
        up.up(world.context(), flights())
    before = {node.id for node in reach.alive(world.context(), "flights")}
    world.scripts = lambda _: NodeScript()
    view = up.up(world.context(), flights())
    assert not before & {node.instance.id for node in view.nodes}
    assert (view.state, len(view.nodes)) == ("ready", 3)


def at_call(wanted: str, action: Callable[[], object]) -> Callable[[Moment, str], None]:
    """A probe that does something once, right before a call."""
    left = [action]

    def probe(moment: Moment, name: str) -> None:
        if (moment, name) == ("before", wanted) and left:
            left.pop()()

    return probe


@pytest.mark.parametrize("call", ["compute.ensure_interface", "compute.ensure_template", "compute.create_fleet"])
def test_a_down_beside_an_up_stops_it_and_what_it_made_is_found(world: World, call: str) -> None:
    world.cloud.watch(at_call(call, lambda: down_flow.down(world.context(), "flights")))
    with pytest.raises(HclusterError):
        up.up(world.context(), flights())
    down_flow.down(world.context(), "flights")
    assert world.inventory() == NOTHING


def test_an_up_whose_nodes_boot_while_it_is_taken_down_ends_with_an_error(world: World) -> None:
    world.cloud.watch(at_call("checkins.listed", lambda: down_flow.down(world.context(), "flights")))
    with pytest.raises(HclusterError):
        up.up(world.context(), flights())
    assert world.inventory() == NOTHING


def test_an_up_of_a_cluster_that_is_being_taken_down_is_refused(world: World) -> None:
    up.up(world.context(), flights())

    def try_up() -> None:
        with pytest.raises(ConflictError, match="being taken down"):
            up.up(world.context(), flights())

    world.cloud.watch(at_call("compute.terminate", try_up))
    down_flow.down(world.context(), "flights")
    assert world.inventory() == NOTHING


def test_a_slow_second_down_leaves_the_next_holders_cluster_alone(world: World) -> None:
    up.up(world.context(), flights())
    science = flights(team="science")

    def others() -> None:
        down_flow.down(world.context(), "flights")
        up.up(world.context(team="science"), science)

    world.cloud.watch(at_call("compute.delete_templates", others))
    down_flow.down(world.context(), "flights")
    shown = listing.show(world.context(), "flights")
    assert (shown.team, shown.state, shown.ready_nodes) == ("science", "ready", 3)


def test_a_claim_without_nodes_is_listed_and_keeps_the_platform(world: World) -> None:
    assert cut_off(world, Cut("compute.create_fleet"), lambda: up.up(world.context(), flights()))
    assert [(view.name, view.state) for view in listing.clusters(world.context())] == [("flights", "claimed")]
    with pytest.raises(ConflictError) as raised:
        platform.down(world.context(), delete_data=True)
    assert raised.value.hint == "hcluster down flights"


def test_a_release_that_is_gone_is_told_before_anything_is_launched(world: World) -> None:
    world.cloud.store.delete(names.release_key("d" * 64))
    with pytest.raises(NotFoundError, match="which is not in bucket"):
        up.up(world.context(), flights())
    assert world.inventory() == NOTHING


class Cut:
    """Kills the flow at its n-th moment, counted over all ports, or right before one call."""

    def __init__(self, where: int | str) -> None:
        self.left = where if isinstance(where, int) else 0
        self.name = where if isinstance(where, str) else ""
        self.at = ""

    def __call__(self, moment: Moment, name: str) -> None:
        self.left -= 1
        if self.left == 0 or (moment == "before" and name == self.name):
            self.at = f"{moment} {name}"
            raise Crash(self.at)


def cut_off(world: World, cut: Cut, flow: Callable[[], object]) -> str:
    """Run a flow that is killed; where that was, "" when it ended before."""
    world.cloud.watch(cut)
    try:
        flow()
    except Crash:
        pass
    finally:
        world.cloud.watch(no_probe)
    return cut.at


@pytest.mark.slow
def test_up_killed_at_any_moment_goes_on_and_down_leaves_nothing() -> None:
    moments = []
    for nth in range(1, 400):
        world = World()
        platform.up(world.context())
        at = cut_off(world, Cut(nth), lambda world=world: up.up(world.context(), flights()))  # type: ignore[misc]
        view = up.up(world.context(), flights())
        assert (view.state, len(view.nodes)) == ("ready", 3), at
        down_flow.down(world.context(), "flights")
        assert world.inventory() == NOTHING, at
        if not at:
            break
        moments.append(at)
    assert "after compute.create_fleet" in moments
    assert "before objects.put" in moments or any("put" in moment for moment in moments)


@pytest.mark.slow
def test_up_killed_at_any_moment_and_down_right_after_leaves_nothing() -> None:
    for nth in range(1, 400):
        world = World()
        platform.up(world.context())
        at = cut_off(world, Cut(nth), lambda world=world: up.up(world.context(), flights()))  # type: ignore[misc]
        down_flow.down(world.context(), "flights")
        assert world.inventory() == NOTHING, at
        assert list(world.cloud.store.list(names.spec_key("flights"))) == [], at
        if not at:
            break
    assert nth > 20


def test_down_killed_at_any_moment_can_be_repeated() -> None:
    for nth in range(1, 200):
        world = World()
        platform.up(world.context())
        up.up(world.context(), flights())
        at = cut_off(world, Cut(nth), lambda world=world: down_flow.down(world.context(), "flights"))  # type: ignore[misc]
        down_flow.down(world.context(), "flights")
        assert world.inventory() == NOTHING, at
        if not at:
            break
    assert nth > 10


@pytest.mark.slow
def test_platform_up_killed_at_any_moment_goes_on_with_one_node() -> None:
    for nth in range(1, 400):
        world = World()
        at = cut_off(world, Cut(nth), lambda world=world: platform.up(world.context()))  # type: ignore[misc]
        platform.up(world.context())
        own = {names.TAG_PLATFORM: "test", names.TAG_CLUSTER: names.PLATFORM_CLUSTER}
        nodes = world.cloud.compute.instances(own)
        assert len(nodes) == 1, at
        volumes = world.cloud.compute.find_volumes({names.TAG_PLATFORM: "test", names.TAG_VOLUME: "metastore"})
        assert [volume.holder for volume in volumes] == [nodes[0].id], at
        platform.down(world.context(), delete_data=True)
        assert world.cloud.compute.inventory({names.TAG_PLATFORM: "test"}) == NOTHING, at
        if not at:
            break
    assert nth > 20


def test_listing_shows_every_teams_clusters(world: World) -> None:
    up.up(world.context(), flights())
    up.up(world.context(team="science", user="eve"), flights(name="reader", team="science"))
    shown = {view.name: (view.team, view.owner, view.state) for view in listing.clusters(world.context())}
    assert shown == {"flights": ("analytics", "ann", "ready"), "reader": ("science", "eve", "ready")}


def test_targets_are_found_by_id_name_and_group(world: World) -> None:
    up.up(world.context(), flights())
    ctx = world.context()
    nodes = reach.alive(ctx, "flights")
    assert nodes[0].tags[names.TAG_GROUP] == "master"
    assert reach.targets(ctx, "flights", instance=nodes[1].private_dns.split(".")[0]) == [nodes[1]]
    assert len(reach.targets(ctx, "flights", group="core")) == 2
    assert reach.targets(ctx, "flights", instance="core") == [nodes[1]]
    with pytest.raises(NotFoundError, match="i-nosuch"):
        reach.targets(ctx, "flights", instance="i-nosuch")


def test_a_node_that_cannot_be_reached_does_not_hide_the_others(world: World) -> None:
    up.up(world.context(), flights())
    ctx = world.context()
    nodes = reach.alive(ctx, "flights")
    world.cloud.compute.end(nodes[2].id, "Server.SpotInstanceTermination")
    gone = next(
        node
        for node in ctx.compute.instances({names.TAG_CLUSTER: "flights"}, alive_only=False)
        if node.id == nodes[2].id
    )
    answers = reach.run_on(ctx, "flights", [nodes[0], gone], ["true"])
    assert [code for _, code, _, _ in answers] == [0, 255]


def test_doctor_names_a_cure_for_each_finding_and_raises_nothing() -> None:
    world = World()
    findings = {finding.check: finding for finding in doctor.doctor(world.context(), flights())}
    assert findings["credentials"].ok
    assert findings["image"].ok
    assert not findings["platform"].ok
    assert "hcluster platform up" in findings["platform"].cure
    assert all(finding.cure for finding in findings.values() if not finding.ok)


def test_a_fleet_takes_one_subnet_a_zone_so_two_in_one_are_refused_before_anything_is_made() -> None:
    world = World()
    a, b = (world.cloud.compute.default_network() or ("", (), ()))[2][:2]
    zones = world.cloud.compute.subnet_zones([a, b])
    assert len(set(zones.values())) == 2
    world.cloud.compute.subnet_zones = lambda subnets: dict.fromkeys(subnets, "us-east-1a")  # type: ignore[method-assign]
    with pytest.raises(ConflictError) as refused:
        platform.up(world.context())
    assert refused.value.reference == "two-subnets-in-a-zone"
    assert world.inventory() == dict.fromkeys(world.inventory(), 0)


def test_doctor_judges_clock_bucket_quotas_routes_and_programs(world: World) -> None:
    account = world.cloud.account
    account.offset, account.public_policy, account.limits["spot"] = 400.0, True, 1
    account.denied = {"ec2:CreateFleet"}
    account.shut = set((world.cloud.compute.default_network() or ("", (), ()))[2])
    findings = {
        finding.check: finding
        for finding in doctor.doctor(world.context(), flights(), installed=lambda name: name != "packer")
    }
    for check in ("clock", "bucket's policy", "spot quota", "network paths"):
        assert not findings[check].ok, check
        assert findings[check].cure
    assert findings["on-demand quota"].ok
    assert findings["local packages"].warning
    assert findings["operator's rights"].warning
    assert "ec2:CreateFleet" in findings["operator's rights"].message
    assert not findings["publisher's rights"].warning
    assert findings["image's age"].ok


def test_data_keys_stay_in_the_platforms_bucket_and_out_of_its_state(world: World, tmp_path: Path) -> None:
    from hcluster.flows import data

    file = tmp_path / "a.csv"
    file.write_text("1,2\n")
    assert data.put(world.context(), file, "data/in/") == "s3a://hcluster-test/data/in/a.csv"
    assert b"".join(data.cat(world.context(), "s3a://hcluster-test/data/in/a.csv")) == b"1,2\n"
    for wrong in ("s3://other/data/x", "clusters/flights/spec.json", "/platform/platform.json", "http://x/data/y"):
        with pytest.raises(HclusterError):
            data.checked_key(wrong, "hcluster-test")
