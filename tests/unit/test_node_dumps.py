"""Dumps on a node: written whole or not at all, the newest one verified, only as many kept as are told."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hcluster.errors import DeniedError, IntegrityError, NodeFailedError
from hcluster.model.dumps import PREFIX, Dump, dump_at, newest_first, surplus
from hcluster.node import dumps, main
from hcluster.node.bucket import Bucket
from hcluster.node.dumps import Places

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


class Store(Bucket):
    """A bucket in memory."""

    def __init__(self) -> None:
        super().__init__("lake", "us-east-1", "http://127.0.0.1:9")
        self.objects: dict[str, bytes] = {}
        self.refuses = ""

    def keys(self, prefix: str) -> list[str]:
        self._demand("list")
        return sorted(key for key in self.objects if key.startswith(prefix))

    def get_file(self, key: str, path: Path) -> None:
        self._demand("get")
        path.write_bytes(self.objects[key])

    def put_file(self, key: str, path: Path) -> None:
        self._demand("put")
        self.objects.setdefault(key, path.read_bytes())

    def delete(self, key: str) -> None:
        self._demand("delete")
        self.objects.pop(key, None)

    def hold(self, count: int, every: timedelta = timedelta(hours=1)) -> list[Dump]:
        """Dumps from START on; newest first."""
        for number in range(count):
            body = f"dump {number}".encode()
            made = Dump(START + number * every, hashlib.sha256(body).hexdigest())
            self.objects[made.key] = body
        return newest_first(self.objects)

    def _demand(self, call: str) -> None:
        if self.refuses == call:
            raise DeniedError(f"{call} refused")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "node.yaml", tmp_path / "program", tmp_path / "scratch")
    say(made, "echo tables")
    return made


def say(places: Places, script: str) -> None:
    places.program.write_text(f"#!/bin/sh\n{script}\n")
    places.program.chmod(0o755)


def left_over(places: Places) -> list[Path]:
    return list(places.scratch.glob(".dump-*"))


def test_a_dump_lies_under_a_name_that_tells_its_time_and_its_digest(places: Places) -> None:
    store = Store()
    made = dumps.dump(places, store)
    assert store.objects == {made.key: b"tables\n"}
    assert made.sha256 == hashlib.sha256(b"tables\n").hexdigest()
    assert abs(datetime.now(UTC) - made.at) < timedelta(seconds=20)
    assert dump_at(made.key) == made
    assert left_over(places) == []


@pytest.mark.parametrize("script", ["echo half; echo no database >&2; exit 3", "true"])
def test_a_dump_that_fails_or_is_empty_is_not_written_and_deletes_nothing(places: Places, script: str) -> None:
    store = Store()
    store.hold(60)
    before = dict(store.objects)
    say(places, script)
    with pytest.raises(NodeFailedError) as raised:
        dumps.dump(places, store)
    assert store.objects == before
    assert "exit" not in script or "no database" in raised.value.context
    assert left_over(places) == []


def test_a_bucket_that_takes_none_keeps_what_it_has(places: Places) -> None:
    store = Store()
    store.hold(60)
    before, store.refuses = dict(store.objects), "put"
    with pytest.raises(DeniedError):
        dumps.dump(places, store)
    assert store.objects == before
    assert left_over(places) == []


def test_after_a_dump_only_the_last_ones_and_the_last_of_each_day_are_left(places: Places) -> None:
    store = Store()
    store.hold(24 * 20)
    store.objects[f"{PREFIX}notes.txt"] = b"not a dump"
    made = dumps.dump(places, store)
    left = newest_first(store.objects)
    assert left[0] == made
    days = {dump.at.date() for dump in left}
    assert len(left) == 24 + 5
    assert len(days) == 7
    assert f"{PREFIX}notes.txt" in store.objects


def test_the_newest_is_kept_even_when_none_is_to_be() -> None:
    found = Store().hold(3)
    assert surplus(found, 0, 0) == found[1:]
    assert surplus([]) == []
    assert surplus(found) == []


@pytest.mark.parametrize(
    "key",
    [
        "platform/platform.json",
        f"{PREFIX}x.sql.zst",
        f"{PREFIX}20260301T000000Z-abc.sql.zst",
        f"other/20260301T000000Z-{'a' * 64}.sql.zst",
        f"{PREFIX}deep/20260301T000000Z-{'a' * 64}.sql.zst",
    ],
)
def test_other_objects_are_no_dumps(key: str) -> None:
    assert dump_at(key) is None


def test_the_newest_dump_is_fetched_whole(places: Places, tmp_path: Path) -> None:
    store = Store()
    newest = store.hold(3)[0]
    assert dumps.fetch(tmp_path / "got", places, store) == newest
    assert (tmp_path / "got").read_bytes() == b"dump 2"


def test_a_damaged_dump_is_refused_by_name_and_no_older_one_is_taken_for_it(places: Places, tmp_path: Path) -> None:
    store = Store()
    newest = store.hold(3)[0]
    store.objects[newest.key] += b"x"
    with pytest.raises(IntegrityError, match="is damaged") as raised:
        dumps.fetch(tmp_path / "got", places, store)
    assert newest.key in raised.value.message
    assert not (tmp_path / "got").exists()


def test_no_dump_is_told_apart_from_not_knowing(places: Places, tmp_path: Path) -> None:
    store = Store()
    assert dumps.fetch(tmp_path / "got", places, store) is None
    store.refuses = "list"
    with pytest.raises(DeniedError):
        dumps.fetch(tmp_path / "got", places, store)


def test_the_commands_exit_codes_say_which_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[object] = [None, Dump(START, "a" * 64), DeniedError("no access")]

    def fetch(_target: Path) -> Dump | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert answer is None or isinstance(answer, Dump)
        return answer

    monkeypatch.setattr(dumps, "fetch", fetch)
    assert [main.main(["fetch-dump", str(tmp_path / "x")]) for _ in range(3)] == [4, 0, 1]
    assert "no access" in capsys.readouterr().err
    assert main.main(["fetch-dump"]) == main.main(["dump", "x"]) == main.main([]) == 2


def test_the_bucket_is_known_from_the_nodes_own_facts(places: Places) -> None:
    places.node.write_text(
        '{"hcluster::bucket": "lake", "hcluster::region": "eu-west-1", "hcluster::s3_endpoint": "http://s3"}'
    )
    assert dumps.bucket_of(places.node).name == "lake"
