"""The metastore's volume: it outlives its node, and its state is nobody's memory but the cloud's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hcluster.errors import ConflictError, DeadlineError, NotFoundError, RemoteCommandError
from hcluster.flows import dumps, platform
from hcluster.model import names
from hcluster.model.dumps import Dump
from hcluster.model.node import Instance
from hcluster.model.volume import Volume
from hcluster.spec.platform import MetastoreSpec, NetworkSpec
from hcluster.testing import CrashPoint, NodeScript
from hcluster.testing.probes import Crash, Moment, no_probe
from tests.unit.test_flows import PLATFORM, World

MINE = {names.TAG_PLATFORM: "test", names.TAG_VOLUME: "metastore"}
OWN = {names.TAG_PLATFORM: "test", names.TAG_CLUSTER: names.PLATFORM_CLUSTER}


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    return made


def the_volume(world: World) -> Volume:
    (volume,) = world.cloud.compute.find_volumes(MINE)
    return volume


def node(world: World) -> Instance:
    (found,) = world.cloud.compute.instances(OWN)
    return found


def told(world: World) -> list[str]:
    return [event.text for event in world.told]


def test_the_node_is_told_its_volume_which_is_attached_in_its_zone(world: World) -> None:
    volume = the_volume(world)
    assert (volume.holder, volume.attachment, volume.size_gib) == (node(world).id, "attached", 20)
    assert volume.zone == node(world).zone
    key = next(key for key, _ in world.cloud.store.list("clusters/platform/launches/"))
    assert f'"metastore_volume": "{volume.id}"'.encode() in world.cloud.store.get(key)[0]
    assert platform.status(world.context())["metastore_volume"] == volume.id


def test_a_node_that_was_lost_is_replaced_on_the_same_volume(world: World) -> None:
    before, lost = the_volume(world), node(world).id
    world.cloud.compute.end(lost, "Client.UserInitiatedShutdown")
    platform.up(world.context(user="bob"))
    after = the_volume(world)
    assert after.id == before.id
    assert after.holder == node(world).id != lost


def test_a_volume_that_a_dying_node_still_holds_is_waited_for(world: World) -> None:
    world.scripts = lambda _: NodeScript(shutting_down=40.0)
    world.cloud.compute.end(node(world).id, "Client.UserInitiatedShutdown")
    platform.up(world.context())
    before = the_volume(world)
    world.cloud.compute.terminate([node(world).id])
    platform.up(world.context())
    assert the_volume(world).id == before.id
    assert the_volume(world).holder == node(world).id


@pytest.mark.parametrize("kind", ["failed", "switched off"])
def test_a_node_that_was_ready_and_fails_at_a_later_boot_is_replaced(world: World, kind: str) -> None:
    first = node(world).id
    if kind == "failed":
        world.cloud.clock.sleep(1)
        world.cloud.store.write_as_node(names.checkin_key("platform", first, "failed"), {"step": "health"})
    else:
        world.cloud.compute.switch_off(first)
    platform.up(world.context())
    assert node(world).id != first
    assert the_volume(world).holder == node(world).id


def test_down_keeps_the_volume_and_the_next_up_adopts_it_in_its_zone(world: World) -> None:
    before = the_volume(world)
    platform.down(world.context(), delete_data=False)
    assert the_volume(world).state == "available"
    subnets = world.cloud.compute.default_network()
    assert subnets is not None
    other = PLATFORM.model_copy(update={"network": NetworkSpec.model_construct(subnets=tuple(reversed(subnets[2])))})
    platform.up(replace(world.context(), platform=other))
    assert the_volume(world).id == before.id
    assert node(world).zone == before.zone


def test_no_subnet_in_the_volumes_zone_is_an_error_that_names_it(world: World) -> None:
    platform.down(world.context(), delete_data=False)
    subnets = world.cloud.compute.default_network()
    assert subnets is not None
    elsewhere = PLATFORM.model_copy(update={"network": NetworkSpec.model_construct(subnets=(subnets[2][2],))})
    with pytest.raises(NotFoundError, match=the_volume(world).zone):
        platform.up(replace(world.context(), platform=elsewhere))


def test_down_with_its_data_deletes_the_volume_and_the_dumps(world: World) -> None:
    world.cloud.store.put("platform/metastore/x", b"dump")
    result = platform.down(world.context(), delete_data=True)
    assert result.volumes == 1
    assert world.cloud.compute.find_volumes(MINE) == []
    assert not world.cloud.store.exists()


def test_down_dumps_once_more_and_goes_on_when_that_fails(world: World) -> None:
    def fail(moment: Moment, name: str) -> None:
        if (moment, name) == ("before", "catalog.dump"):
            raise RemoteCommandError("disk full")

    platform.down(world.context(), delete_data=False)
    assert world.cloud.catalog.dumps == 1
    platform.up(world.context())
    world.cloud.watch(fail)
    platform.down(world.context(), delete_data=False)
    assert "no last dump: disk full; its volume is kept" in told(world)
    assert the_volume(world).state == "available"


def test_a_volume_that_is_gone_is_replaced_by_another_and_that_is_said(world: World) -> None:
    before = the_volume(world)
    world.cloud.compute.end(node(world).id, "Server.InternalError")
    world.cloud.compute.delete_volumes(MINE)
    platform.up(world.context())
    assert the_volume(world).id != before.id
    assert any(f"volume {before.id} with the metastore's tables is gone" in line for line in told(world))


def test_a_volume_that_somebody_attached_elsewhere_is_a_conflict_with_the_cure(world: World) -> None:
    platform.down(world.context(), delete_data=False)
    world.cloud.compute.volumes[the_volume(world).id].holder = "i-somebodys"
    with pytest.raises(ConflictError, match="attached to i-somebodys") as raised:
        platform.up(world.context())
    assert "aws ec2 detach-volume" in raised.value.hint
    assert world.cloud.compute.instances(OWN) == []


def test_a_volume_that_an_ended_node_never_lets_go_is_a_deadline_with_the_cure(world: World) -> None:
    lost = node(world).id
    world.cloud.compute.end(lost, "Server.InternalError")
    world.cloud.compute.volumes[the_volume(world).id].holder = lost
    with pytest.raises(DeadlineError, match=f"to {lost}") as raised:
        platform.up(world.context())
    assert "detach-volume --force" in raised.value.hint


def test_two_volumes_are_told_apart_by_the_record_and_refused_without_one(world: World) -> None:
    kept = the_volume(world).id
    world.cloud.compute.volumes["vol-other"] = type(world.cloud.compute.volumes[kept])("vol-other", dict(MINE))
    world.cloud.compute.end(node(world).id, "Server.InternalError")
    platform.up(world.context())
    assert world.cloud.compute.volumes[kept].holder == node(world).id
    platform.down(world.context(), delete_data=False)
    with pytest.raises(ConflictError, match="several volumes"):
        platform.up(world.context())


def test_an_external_metastore_has_no_volume() -> None:
    world = World()
    outside = PLATFORM.model_copy(update={"metastore": MetastoreSpec(external="thrift://elsewhere:9083")})
    ctx = replace(world.context(), platform=outside)
    record = platform.up(ctx)
    assert record.metastore_volume == ""
    assert world.cloud.compute.find_volumes(MINE) == []
    assert platform.status(ctx)["dump"] is None
    assert "external" in dumps.look_at_dumps(ctx).message


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["create_volume", "attach_volume", "create_fleet", "ensure_interface"])
def test_an_up_cut_off_around_a_call_goes_on_with_one_volume(call: str, moment: Moment) -> None:
    world = World()
    world.cloud.watch(CrashPoint(f"compute.{call}", moment))
    with pytest.raises(Crash):
        platform.up(world.context())
    world.cloud.watch(no_probe)
    platform.up(world.context())
    assert the_volume(world).holder == node(world).id


@pytest.mark.slow
def test_a_replacement_cut_off_anywhere_goes_on_with_the_same_volume() -> None:
    for nth in range(1, 400):
        world = World()
        platform.up(world.context())
        before = the_volume(world).id
        world.cloud.compute.end(node(world).id, "Server.InternalError")
        left = [nth]

        def cut(_moment: Moment, name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Crash(name)

        world.cloud.watch(cut)
        try:
            platform.up(world.context())
            done = True
        except Crash:
            done = False
        world.cloud.watch(no_probe)
        platform.up(world.context())
        assert (the_volume(world).id, the_volume(world).holder) == (before, node(world).id)
        if done:
            break
    assert nth > 20


def test_a_down_with_its_data_cut_off_anywhere_can_be_repeated() -> None:
    for nth in range(1, 200):
        world = World()
        platform.up(world.context())
        left = [nth]

        def cut(_moment: Moment, name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Crash(name)

        world.cloud.watch(cut)
        try:
            platform.down(world.context(), delete_data=True)
            done = True
        except Crash:
            done = False
        world.cloud.watch(no_probe)
        platform.down(world.context(), delete_data=True)
        assert world.cloud.compute.find_volumes(MINE) == []
        if done:
            break
    assert nth > 10


def test_status_and_doctor_tell_the_age_of_the_last_dump(world: World) -> None:
    ctx = world.context()
    assert platform.status(ctx)["dump"] is None
    new = dumps.look_at_dumps(ctx)
    assert (new.warning, new.message) == (False, "none yet: the platform's node is new, and makes one every hour")
    world.cloud.clock.sleep(4 * 3600)
    never = dumps.look_at_dumps(ctx)
    assert (never.warning, never.message) == (True, "the metastore was never dumped")
    assert "hcluster-node dump" in never.cure
    made = Dump(datetime.fromtimestamp(int(ctx.clock.now()), UTC), "a" * 64)
    world.cloud.store.put(made.key, b"dump")
    world.cloud.clock.sleep(600)
    shown = platform.status(ctx)["dump"]
    assert isinstance(shown, dict)
    assert (shown["age"], shown["key"]) == (600, made.key)
    fresh = dumps.look_at_dumps(ctx)
    assert (fresh.warning, fresh.message) == (False, "the last one is 0:10:00 old")
    world.cloud.clock.sleep(4 * 3600)
    old = dumps.look_at_dumps(ctx)
    assert (old.warning, old.message) == (True, "the last one is 4:10:00 old")
