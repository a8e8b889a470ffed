"""What a session to a node does, on the fake and over SSH to a server on loopback."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hcluster.errors import CopyError, NotFoundError, UnreachableError
from hcluster.model.node import Instance
from hcluster.ports import Remote
from hcluster.testing import FakeConnector
from tests.unit.sshd import SshServer
from tests.unit.test_remote_session import NODE, connector


def answered(_instance: Instance, command: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


class There:
    """The node's files: real ones below a folder, or those of the fake."""

    def __init__(self, folder: Path, fake: FakeConnector | None) -> None:
        self._folder, self._fake = folder, fake

    def path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def has(self, name: str) -> bytes:
        path = self.path(name)
        return self._fake.files[NODE.id, path] if self._fake else Path(path).read_bytes()

    def hold(self, name: str, body: bytes) -> None:
        if self._fake:
            self._fake.files[NODE.id, self.path(name)] = body
        else:
            Path(self.path(name)).write_bytes(body)


@pytest.fixture(params=["fake", "ssh"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Remote, There]]:
    folder = tmp_path / "node"
    folder.mkdir()
    if request.param == "fake":
        fake = FakeConnector(responder=answered)
        yield fake.connect(NODE, "c"), There(folder, fake)
        return
    with SshServer(folder) as server, connector(server).connect(NODE, "c") as remote:
        yield remote, There(folder, None)


def test_a_command_gives_exit_code_and_both_streams_and_words_are_quoted(session: tuple[Remote, There]) -> None:
    remote, _ = session
    pieces: list[bytes] = []
    words = ["sh", "-c", 'echo "$1"; echo no >&2; exit 3', "x", "a  b; $HOME"]
    code, out, err = remote.run(words, on_output=pieces.append)
    assert (code, out, err) == (3, b"a  b; $HOME\n", b"no\n")
    assert sorted(b"".join(pieces).split(b"\n")) == sorted((out + err).split(b"\n"))
    assert remote.run(f"printf %s {shlex.quote('a b')}") == (0, b"a b", b"")


def test_files_go_there_and_back_below_a_folder_or_as_it(session: tuple[Remote, There], tmp_path: Path) -> None:
    remote, there = session
    there.hold("known", b"here before")
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"678")
    moved: list[tuple[int, int]] = []
    both = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert remote.put(both, there.path("")[:-1], moved=lambda done, of: moved.append((done, of))) == (2, 8, ())
    assert (there.has("a"), there.has("b")) == (b"12345", b"678")
    assert (sum(done for done, _ in moved), {of for _, of in moved}) == (8, {8})
    assert remote.put(both[:1], there.path("c")) == (1, 5, ())
    assert there.has("c") == b"12345"
    (tmp_path / "back").mkdir()
    assert remote.get([there.path("a"), there.path("b")], str(tmp_path / "back")) == (2, 8, ())
    assert (tmp_path / "back" / "b").read_bytes() == b"678"
    assert remote.get([there.path("known")], str(tmp_path / "as")) == (1, 11, ())
    assert (tmp_path / "as").read_bytes() == b"here before"


def test_what_is_not_there_is_told_and_nothing_is_written(session: tuple[Remote, There], tmp_path: Path) -> None:
    remote, there = session
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(NotFoundError, match=r"there is no .*none"):
        remote.put([str(tmp_path / "none")], there.path("x"))
    with pytest.raises(CopyError, match=r"i-1.*: there is no folder .*/nosuch"):
        remote.put([str(tmp_path / "a")], there.path("nosuch/"))
    with pytest.raises(CopyError, match=r"i-1.*: there is no .*/none"):
        remote.get([there.path("none")], str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_a_session_is_alive_until_it_is_closed_and_then_refuses(session: tuple[Remote, There], tmp_path: Path) -> None:
    remote, there = session
    (tmp_path / "a").write_bytes(b"1")
    assert remote.alive()
    remote.close()
    remote.close()
    assert not remote.alive()
    calls: tuple[Callable[[], object], ...] = (
        lambda: remote.run(["true"]),
        lambda: remote.put([str(tmp_path / "a")], there.path("a")),
        lambda: remote.get([there.path("a")], str(tmp_path / "b")),
        lambda: remote.open_channel("127.0.0.1", 1),
    )
    for call in calls:
        with pytest.raises(UnreachableError):
            call()
