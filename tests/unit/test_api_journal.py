"""Writes that several callers share, and what becomes of those that fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.changes import Changes, Kept, watch
from hcluster.localcloud.api.journal import Journal
from hcluster.localcloud.api.rows import decode, encode
from hcluster.localcloud.api.store import Store, StoreError


class _Store(Store):
    """Remembers what it was given; fails and waits when told to."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self.kept: dict[str, bytes | None] = {}
        self.writes = 0
        self.problem = ""
        self.gate = threading.Event()
        self.gate.set()

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        assert self.gate.wait(10)
        self.writes += 1
        if self.problem:
            raise StoreError(self.problem)
        self.kept.update(changes)


class _World:
    """A journal and what changes."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.store = _Store()
        self.changed: dict[str, bytes] = {}
        self.journal = Journal(self.store, self.lock, self._stage)

    def _stage(self) -> dict[str, bytes | None]:
        staged: dict[str, bytes | None] = dict(self.changed)
        self.changed.clear()
        return staged

    def change(self, name: str) -> None:
        with self.lock:
            self.changed[name] = name.encode()


def test_callers_that_wait_meanwhile_share_the_next_write() -> None:
    world = _World()
    world.store.gate.clear()
    done: list[str] = []

    def call(name: str) -> None:
        world.change(name)
        world.journal.settle()
        assert world.store.kept[name] == name.encode(), "acknowledged, so written"
        done.append(name)

    first = threading.Thread(target=call, args=("first",))
    first.start()
    while not world.journal._begun:
        time.sleep(0.001)
    others = [threading.Thread(target=call, args=(f"n{number}",)) for number in range(20)]
    for thread in others:
        thread.start()
    while len(world.changed) < 20:
        time.sleep(0.001)
    assert not done, "nobody is answered before the disk has it"
    world.store.gate.set()
    for thread in (first, *others):
        thread.join(10)
    assert len(done) == 21
    assert world.store.writes == 2


def test_a_write_that_fails_is_told_to_its_callers_and_taken_along_by_the_next() -> None:
    world = _World()
    world.store.problem = "disk full"
    world.change("a")
    with pytest.raises(StoreError, match="disk full"):
        world.journal.settle()
    with pytest.raises(StoreError, match="disk full"):
        world.journal.ready()
    world.store.problem = ""
    world.journal._tried -= 10
    world.journal.ready()
    assert world.store.kept == {"a": b"a"}


def test_what_nobody_waits_for_is_written_soon_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hcluster.localcloud.api.journal.PAUSE", 0.01)
    monkeypatch.setattr("hcluster.localcloud.api.journal.RETRY", 0.01)
    world = _World()
    world.journal.start()
    world.store.problem = "disk full"
    world.change("a")
    world.journal.changed()
    deadline = time.monotonic() + 10
    while world.store.writes < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    world.store.problem = ""
    while "a" not in world.store.kept:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    world.journal.stop()


def test_rows_are_read_in_the_order_in_which_they_first_came(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.write({"b": b"1", "a": b"1", "gone": b"1"})
    store.write({"c": b"1", "b": b"2", "gone": None})
    store.close()
    assert dict(Store(tmp_path / "rows.sqlite").rows()) == {"b": b"2", "a": b"1", "c": b"1"}
    assert [name for name, _ in Store(tmp_path / "rows.sqlite").rows()] == ["b", "a", "c"]
    assert (tmp_path / "rows.sqlite").stat().st_mode & 0o077 == 0, "it holds keys"


def test_a_damaged_file_names_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    store = Store(path)
    store.write({str(number): b"x" * 3000 for number in range(20)})
    store.close()
    content = bytearray(path.read_bytes())
    content[9000:20000] = b"?" * 11000
    path.write_bytes(content)
    with pytest.raises(LocalCloudError, match="cannot be read") as error:
        list(Store(path).rows())
    assert "reset" in error.value.hint


class _Thing:
    def __init__(self, other: Any = None) -> None:
        self.other = other


class _Backend:
    def __init__(self) -> None:
        self.enis: Any = {}
        self.volumes: Any = {}


def test_records_that_know_each_other_are_rows_of_their_own() -> None:
    changes, backend = Changes(), _Backend()
    changes.homes[id(backend)] = ("ec2",)
    backend.enis = Kept(("ec2", "enis"), changes)
    backend.volumes = Kept(("ec2", "volumes"), changes)
    one, two = _Thing(), _Thing()
    one.other, two.other = two, one
    backend.enis["e"], backend.volumes["v"] = one, two
    rows = [
        encode(("ec2", "enis", "e"), one, changes.homes),
        encode(("ec2", "volumes", "v"), two, changes.homes),
    ]
    restored = decode(rows, {"ec2": _Backend()})
    read = restored.entries["ec2", "enis"]["e"]
    assert read.other.other is read
    assert read.other is restored.entries["ec2", "volumes"]["v"]


def test_what_is_set_put_and_removed_is_noted() -> None:
    class Watched:
        """A record whose attributes are watched."""

        size = 0

    changes = Changes()
    watch(Watched, changes)
    kept = Kept(("ec2", "volumes"), changes)
    thing = Watched()
    thing.size = 1
    assert not changes.unwritten, "it is no record yet"
    kept["v"] = thing
    changes.unwritten.clear()
    thing.size = 2
    assert list(changes.unwritten) == [("ec2", "volumes", "v")]
    changes.unwritten.clear()
    assert kept.pop("v") is thing
    assert list(changes.unwritten) == [("ec2", "volumes", "v")]
    changes.unwritten.clear()
    thing.size = 3
    assert not changes.unwritten, "it is no record any more"
