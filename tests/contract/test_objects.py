"""What ports.ObjectStore and ports.CheckIns promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hcluster.errors import ConflictError, IntegrityError, NotFoundError
from hcluster.model import names
from hcluster.ports import ObjectStore
from tests.contract.world import World


@pytest.fixture
def store(world: World) -> ObjectStore:
    world.store.ensure_bucket(world.tags)
    return world.store


def test_a_bucket_is_made_once_and_adopted_afterwards(world: World) -> None:
    assert not world.store.exists()
    world.store.ensure_bucket(world.tags)
    world.store.put("kept", b"1")
    world.store.ensure_bucket({**world.tags, "more": "tags"})
    assert world.store.exists()
    assert world.store.get("kept")[0] == b"1"


def test_somebody_elses_bucket_is_a_conflict(world: World) -> None:
    with pytest.raises(ConflictError) as caught:
        world.foreign_store().ensure_bucket({})
    assert "another account" in caught.value.message


def test_deleting_a_bucket_takes_its_objects_and_can_be_repeated(store: ObjectStore) -> None:
    for number in range(3):
        store.put(f"deep/{number}", b"x")
    store.delete_bucket()
    store.delete_bucket()
    assert not store.exists()
    store.ensure_bucket({})
    assert list(store.list("")) == []


def test_a_missing_bucket_is_not_found(world: World) -> None:
    for call in (
        lambda: world.store.get("key"),
        lambda: world.store.put("key", b""),
        lambda: list(world.store.list("")),
        lambda: world.store.delete("key"),
        lambda: world.store.delete_prefix("key"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_what_is_put_is_got_with_the_same_etag(store: ObjectStore) -> None:
    etag = store.put("a/b", b"body")
    assert etag
    assert store.get("a/b") == (b"body", etag)
    assert store.put("a/b", b"other") != etag
    assert store.get("a/b")[0] == b"other"


def test_keys_may_hold_any_letter(store: ObjectStore) -> None:
    key = "weird/Zoë + 100%/a=b&c.json"
    store.put(key, b"1")
    assert [found for found, _ in store.list("weird/")] == [key]
    assert store.get(key)[0] == b"1"
    assert store.delete_prefix("weird/") == 1


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.get("no/such/key")
    assert "no/such/key" in caught.value.message


def test_an_object_is_streamed_in_pieces(store: ObjectStore) -> None:
    body = bytes(range(256)) * (10 * 1024)  # 2.5 MiB
    store.put("big", body)
    pieces = list(store.stream("big"))
    assert b"".join(pieces) == body
    assert len(pieces) > 1
    store.put("empty", b"")
    assert b"".join(store.stream("empty")) == b""


def test_a_stream_that_is_left_early_harms_no_later_call(store: ObjectStore) -> None:
    body = b"x" * (3 << 20)
    store.put("big", body)
    for _ in range(3):
        stream = store.stream("big")
        assert next(stream)
        del stream
    assert store.get("big")[0] == body


def test_streaming_a_missing_object_is_not_found_at_the_first_piece(store: ObjectStore) -> None:
    stream = store.stream("no/such/key")
    with pytest.raises(NotFoundError, match="no/such/key"):
        next(stream)


def test_only_the_first_claim_of_a_key_wins(store: ObjectStore) -> None:
    store.put("claim", b"mine", if_none_match=True)
    with pytest.raises(ConflictError):
        store.put("claim", b"yours", if_none_match=True)
    assert store.get("claim")[0] == b"mine"


def test_a_write_on_a_stale_etag_is_a_conflict_and_changes_nothing(store: ObjectStore) -> None:
    first = store.put("pointer", b"1")
    second = store.put("pointer", b"2", if_match=first)
    with pytest.raises(ConflictError):
        store.put("pointer", b"3", if_match=first)
    assert store.get("pointer") == (b"2", second)


def test_a_write_on_the_etag_of_a_deleted_object_is_a_conflict(store: ObjectStore) -> None:
    etag = store.put("pointer", b"1")
    store.delete("pointer")
    with pytest.raises(ConflictError):
        store.put("pointer", b"2", if_match=etag)


def test_deleting_an_object_can_be_repeated(store: ObjectStore) -> None:
    store.put("gone", b"1")
    store.delete("gone")
    store.delete("gone")
    with pytest.raises(NotFoundError):
        store.get("gone")


def test_a_file_of_several_parts_arrives_whole(store: ObjectStore, tmp_path: Path) -> None:
    file = tmp_path / "release.tar.gz"
    body = bytes(range(256)) * (70 * 1024)  # 17.5 MiB: three parts of 8 MiB at most
    file.write_bytes(body)
    sent: list[int] = []
    store.put_file("big", str(file), sent.append)
    assert store.get("big")[0] == body
    assert sum(sent) == len(body)


def test_a_missing_file_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.put_file("key", str(tmp_path / "absent"))
    assert "absent" in caught.value.message


def test_a_listing_tells_keys_below_the_prefix_and_when_they_were_written(world: World, store: ObjectStore) -> None:
    before = world.clock.now()
    for key in ("a/1", "a/2", "ab", "b/1"):
        store.put(key, b"x")
    found = dict(store.list("a/"))
    assert sorted(found) == ["a/1", "a/2"]
    # S3 tells whole seconds.
    assert all(before - 2 <= when <= world.clock.now() + 2 for when in found.values())
    assert list(store.list("nothing/")) == []


def test_folders_are_named_once_and_without_what_is_in_them(store: ObjectStore) -> None:
    for key in (
        "clusters/b/spec.json",
        "clusters/a/spec.json",
        "clusters/a/nodes/i-1/ready",
        "clusters/file",
        "other/x",
    ):
        store.put(key, b"x")
    assert store.folders("clusters/") == ["a", "b"]
    assert store.folders("") == ["clusters", "other"]
    assert store.folders("nothing/") == []


def test_deleting_a_prefix_says_how_many_and_leaves_the_rest(store: ObjectStore) -> None:
    for key in ("a/1", "a/2", "ab"):
        store.put(key, b"x")
    assert store.delete_prefix("a/") == 2
    assert store.delete_prefix("a/") == 0
    assert [key for key, _ in store.list("")] == ["ab"]


def test_check_ins_are_listed_by_instance_and_phase_without_bodies(world: World, store: ObjectStore) -> None:
    for instance, phase in (("i-1", "booted"), ("i-1", "ready"), ("i-2", "booted")):
        store.put(names.checkin_key("c1", instance, phase), json.dumps({"host_keys": ["k"]}).encode())
    store.put(names.checkin_key("c10", "i-9", "ready"), b"{}")
    store.put(names.spec_key("c1"), b"{}")
    found = world.checkins.listed("c1")
    assert {instance: sorted(phases) for instance, phases in found.items()} == {
        "i-1": ["booted", "ready"],
        "i-2": ["booted"],
    }
    one = found["i-1"]["booted"]
    assert (one.instance, one.phase, dict(one.body)) == ("i-1", "booted", {})
    assert abs(one.at.timestamp() - world.clock.now()) < 60
    assert world.checkins.listed("nobody") == {}


def test_a_check_in_is_read_with_its_body(world: World, store: ObjectStore) -> None:
    store.put(names.checkin_key("c1", "i-1", "failed"), json.dumps({"step": "puppet", "message": "no"}).encode())
    one = world.checkins.read("c1", "i-1", "failed")
    assert dict(one.body) == {"step": "puppet", "message": "no"}
    assert one.at == world.checkins.listed("c1")["i-1"]["failed"].at


def test_a_phase_not_reached_is_not_found(world: World, store: ObjectStore) -> None:
    store.put(names.checkin_key("c1", "i-1", "ready-not"), b"{}")
    with pytest.raises(NotFoundError):
        world.checkins.read("c1", "i-1", "ready")


@pytest.mark.parametrize("body", [b"no json", b"[1]"])
def test_a_check_in_that_is_no_object_is_an_integrity_error(world: World, store: ObjectStore, body: bytes) -> None:
    store.put(names.checkin_key("c1", "i-1", "ready"), body)
    with pytest.raises(IntegrityError):
        world.checkins.read("c1", "i-1", "ready")
