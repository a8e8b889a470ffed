"""The cache of what can be built again stays small, and nobody loses what is in use."""

from __future__ import annotations

import os
from pathlib import Path

from hcluster.images import prune

DAY = 86400.0
NOW = 100 * DAY


def entry(path: Path, age: float) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text("x")
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_the_newest_stay_and_whatever_was_used_of_late(tmp_path: Path) -> None:
    old = [entry(tmp_path / "node" / f"old{number}", (10 + number) * DAY) for number in range(3)]
    new = [entry(tmp_path / "node" / f"new{number}", number * 100) for number in range(5)]
    removed = prune.prune(tmp_path, now=NOW)
    assert sorted(removed) == old
    assert sorted((tmp_path / "node").iterdir()) == new


def test_the_newest_stay_however_old_they_are(tmp_path: Path) -> None:
    entries = [entry(tmp_path / "dist" / str(number), (10 + number) * DAY) for number in range(5)]
    (tmp_path / "dist" / ".lock").touch()
    (tmp_path / "dist" / "current").symlink_to("0")
    assert sorted(prune.prune(tmp_path, now=NOW)) == entries[3:]
    assert (tmp_path / "dist" / "current" / "file").exists()
    assert (tmp_path / "dist" / ".lock").exists()


def test_what_is_used_counts_as_new(tmp_path: Path) -> None:
    entries = [entry(tmp_path / "node" / str(number), (10 + number) * DAY) for number in range(4)]
    entries[3].touch()
    assert prune.prune(tmp_path, now=entries[3].stat().st_mtime) == [entries[2]]


def test_an_entry_that_another_bake_removes_meanwhile_is_no_error(tmp_path: Path) -> None:
    entries = [entry(tmp_path / "node" / str(number), (10 + number) * DAY) for number in range(4)]
    away = entries[3].with_name(".gone-3")
    away.mkdir()
    (away / "half").touch()
    prune.prune(tmp_path, now=NOW)
    assert prune.prune(tmp_path / "nowhere", now=NOW) == []


def test_what_killed_bakes_left_goes_once_no_bake_can_use_it(tmp_path: Path) -> None:
    old = [entry(tmp_path / name, 2 * DAY) for name in (".bake-x", "dist/.building-x", "jars/.fetching-x")]
    lock = tmp_path / "bake-hcluster-hadoop-1.lock"
    lock.touch()
    os.utime(lock, (NOW - 2 * DAY, NOW - 2 * DAY))
    young = entry(tmp_path / ".bake-y", 100)
    assert sorted(prune.prune(tmp_path, now=NOW)) == sorted([*old, lock])
    assert (young / "file").exists()
    assert not any(path.exists() for path in old)
