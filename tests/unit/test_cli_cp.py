"""`hcluster cp`: which way, which nodes, where files of several go, and what is told of those that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hcluster.cli import copy
from hcluster.errors import CopyError, UnreachableError, UsageError
from hcluster.model.events import Progress
from hcluster.plan import words
from hcluster.testing import FakeRemote
from tests.unit.cli_world import FLIGHTS, Cli


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """Flights: a master and two core nodes."""
    cli.prepare()
    assert cli("up", FLIGHTS) == 0, cli.err
    return cli


@pytest.mark.parametrize(
    ("paths", "order"),
    [
        (["a", "b", "c1:/x"], copy.Order("c1", ["a", "b"], "/x", there=True)),
        (["a", "c1:"], copy.Order("c1", ["a"], "", there=True)),
        (["c1:/x", "c1:y:z", "."], copy.Order("c1", ["/x", "y:z"], ".", there=False)),
        (["./a:b", "c1:/x"], copy.Order("c1", ["./a:b"], "/x", there=True)),
        (["/data/a:b", "c1:new\nline"], copy.Order("c1", ["/data/a:b"], "new\nline", there=True)),
    ],
)
def test_which_way_is_told_by_where_the_clusters_name_is(paths: list[str], order: copy.Order) -> None:
    assert copy.parse(paths) == order


@pytest.mark.parametrize(
    "paths", [["a"], ["c1:x"], ["a", "b"], ["c1:x", "c1:y"], ["c1:x", "c2:y", "."], ["a", "c1:x", "."]]
)
def test_what_is_neither_way_is_refused(paths: list[str]) -> None:
    with pytest.raises(UsageError, match="from here to one cluster, or from one cluster to here"):
        copy.parse(paths)


def test_a_file_goes_to_the_nodes_that_were_chosen(ready: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"12345")
    assert ready("cp", str(tmp_path / "a.jar"), "flights:/tmp/b.jar", "-g", "core") == 0
    assert ready.out.startswith("2 files, 10 bytes, 2 nodes, ")
    files = ready.cloud.connector.files
    assert [(path, body) for (_, path), body in files.items()] == [("/tmp/b.jar", b"12345")] * 2
    done = ready.json("cp", str(tmp_path / "a.jar"), "flights:")
    assert [(one["files"], one["bytes"], one["left_out"], one["error"]) for one in done] == [(1, 5, [], "")] * 3
    assert len(files) == 5


def test_files_of_several_nodes_come_into_a_folder_for_each(ready: Cli, tmp_path: Path) -> None:
    nodes = ready.json("nodes", "flights")
    for one in nodes:
        ready.cloud.connector.files[one["instance"]["id"], "/var/log/x"] = one["group"].encode()
    assert ready("cp", "flights:/var/log/x", str(tmp_path / "all")) == 0, ready.err
    for one in nodes:
        assert (tmp_path / "all" / one["instance"]["private_ip"] / "x").read_text() == one["group"]
    assert ready("cp", "flights:/var/log/x", str(tmp_path / "one"), "-i", "master") == 0
    assert (tmp_path / "one").read_text() == "master"
    assert ready("cp", "flights:/var/log/x", str(tmp_path / "one")) == 2
    assert "one is a file; what 3 nodes have goes into a folder" in ready.err
    (tmp_path / "all" / nodes[0]["instance"]["private_ip"] / "x").unlink()


def test_a_cluster_may_be_named_by_its_beginning(ready: Cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    assert ready("cp", str(tmp_path / "a"), "fli:") == 0
    assert "fli is cluster flights" in ready.err
    assert ready("cp", str(tmp_path / "a"), "nosuch:") == 1
    assert "no cluster nosuch" in ready.err


def test_what_is_not_here_is_told_before_any_node_is_asked(ready: Cli, tmp_path: Path) -> None:
    before = len(ready.cloud.connector.remotes)
    assert ready("cp", str(tmp_path / "none"), "flights:") == 1
    assert f"there is no file {tmp_path}/none here" in ready.err
    assert ready("cp", str(tmp_path), "flights:") == 2
    assert "--recursive" in ready.err
    assert len(ready.cloud.connector.remotes) == before


def test_a_node_that_fails_is_named_and_the_others_have_the_file(
    ready: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    put = FakeRemote.put
    lost, full, fine = (one["instance"] for one in ready.json("nodes", "flights"))

    def failing(self: FakeRemote, *words: Any, **more: Any) -> Any:
        if self.instance.id == lost["id"]:
            raise UnreachableError("the SSH connection ended")
        if self.instance.id == full["id"]:
            raise CopyError("cannot write /x: no space left on device")
        return put(self, *words, **more)

    monkeypatch.setattr(FakeRemote, "put", failing)
    assert ready("cp", str(tmp_path / "a"), "flights:/x") == 1
    assert ready.out.startswith("1 file, 1 bytes, ")
    assert f"{lost['private_ip']}: the SSH connection ended\n" in ready.err
    assert f"{full['private_ip']}: cannot write /x: no space left on device\n" in ready.err
    assert [instance for instance, _ in ready.cloud.connector.files] == [fine["id"]]
    assert ready("cp", str(tmp_path / "a"), "flights:/x", "--output", "json") == 1
    assert [one["error"] for one in json.loads(ready.out)][2] == ""
    assert ready("cp", str(tmp_path / "a"), "flights:/x", "-i", full["id"]) == 1
    assert "copy-failed" in ready.err
    assert ready.out == ""


def test_progress_counts_the_bytes_of_all_nodes(ready: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hcluster.flows import copies, reach

    (tmp_path / "a").write_bytes(bytes(3 << 20))
    told: list[Progress] = []
    context = ready.context(None, told.append)  # type: ignore[arg-type]
    nodes = reach.alive(context, "flights")
    copies.copy_to(context, "flights", nodes, [str(tmp_path / "a")], "/x")
    assert [(one.done, one.total) for one in told[:-1]] == [(3, 9), (6, 9), (9, 9)]
    assert (told[-1].state, told[-1].text) == ("ok", "copying to 3 nodes")


def test_amounts_are_for_people() -> None:
    assert [words.amount(size) for size in (0, 1023, 1024, 5 << 20, 2 << 30)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "5.0 MiB",
        "2.0 GiB",
    ]
