"""Copies to and from a real SSH server on loopback, and what a stream may and may not hold."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hcluster.errors import CopyError, DeadlineError, NotFoundError, UnreachableError
from hcluster.remote import copying
from hcluster.remote.session import SshRemote
from tests.unit.sshd import SshServer
from tests.unit.test_remote_session import NODE, connector


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def remote(server: SshServer) -> Iterator[SshRemote]:
    with connector(server).connect(NODE, "c") as session:
        yield session


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def names(folder: Path) -> list[bytes]:
    return [os.fsencode(path.name) for path in folder.iterdir()]


def test_bytes_and_permissions_arrive_both_ways_and_nothing_else_stays(
    remote: SshRemote, here: Path, there: Path
) -> None:
    (here / "a.sh").write_bytes(body := os.urandom(3_000_000))
    (here / "a.sh").chmod(0o751)
    (there / "a.sh").write_bytes(b"an older one")
    moved: list[tuple[int, int]] = []
    copied = remote.put([str(here / "a.sh")], str(there / "a.sh"), moved=lambda done, of: moved.append((done, of)))
    assert copied == (1, 3_000_000, ())
    assert (there / "a.sh").read_bytes() == body
    assert stat.S_IMODE((there / "a.sh").stat().st_mode) == 0o751
    assert (sum(done for done, _ in moved), {of for _, of in moved}) == (3_000_000, {3_000_000})
    moved.clear()
    assert remote.get([str(there / "a.sh")], str(here), moved=lambda done, of: moved.append((done, of))) == copied
    assert (here / "a.sh").read_bytes() == body
    assert stat.S_IMODE((here / "a.sh").stat().st_mode) == 0o751
    assert (sum(done for done, _ in moved), {of for _, of in moved}) == (3_000_000, {3_000_000})
    assert (listed(here), listed(there)) == (["a.sh"], ["a.sh"])


STRANGE = [
    b"two words",
    b'it\'s "quoted" $HOME `id` \\',
    b"line one\nline two",
    b"-rf",
    b"--help",
    "Größe-木-🐘".encode(),
    b"not-utf8-\xff\xfe",
    b"tab\tand\x1b[31mescape",
    b"*?[a]{b,c}",
    b"~",
    b"colon:name",
    b" ",
    b"x" * 255,
]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_any_name_that_a_file_may_have_is_copied_under_that_name(
    remote: SshRemote, here: Path, there: Path, name: bytes
) -> None:
    text = os.fsdecode(name)
    (here / text).write_bytes(name)
    (here / "back").mkdir()
    remote.put([str(here / text)], str(there))
    assert names(there) == [name]
    remote.put([str(here / text)], str(there / text))
    assert names(there) == [name]
    remote.get([str(there / text)], str(here / "back"))
    assert names(here / "back") == [name]
    assert (here / "back" / text).read_bytes() == name


def test_several_files_go_below_a_folder_and_only_there(remote: SshRemote, here: Path, there: Path) -> None:
    for name in ("a", "b"):
        (here / name).write_text(name)
    sources = [str(here / "a"), str(here / "b")]
    assert remote.put(sources, str(there)) == (2, 2, ())
    assert listed(there) == ["a", "b"]
    with pytest.raises(CopyError, match=f"i-1 of c: there is no folder {there}/none"):
        remote.put(sources, str(there / "none"))
    with pytest.raises(CopyError, match=f"there is no folder {there}/none"):
        remote.put(sources[:1], f"{there}/none/")
    assert listed(there) == ["a", "b"]


def test_without_a_target_files_go_where_sessions_begin(remote: SshRemote, server: SshServer, here: Path) -> None:
    (here / "a").write_text("home")
    remote.put([str(here / "a")], "")
    assert (server.folder / "a").read_text() == "home"
    remote.get(["a"], str(here / "b"))
    assert (here / "b").read_text() == "home"


def test_a_folder_is_copied_with_all_that_is_in_it_and_what_is_no_file_is_named(
    remote: SshRemote, here: Path, there: Path
) -> None:
    tree = here / "conf"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "a").write_text("1")
    (tree / "sub" / "b").write_text("22")
    (tree / "link").symlink_to("a")
    (tree / "loop").symlink_to(tree)
    (tree / "nowhere").symlink_to("nothing")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tree / "socket"))
    (tree / "sub").chmod(0o555)
    with pytest.raises(NotFoundError, match="conf is a folder; --recursive copies folders"):
        remote.put([str(tree)], str(there))
    left_out = tuple(str(tree / name) for name in ("loop", "nowhere", "pipe", "socket"))
    assert remote.put([str(tree)], str(there), recursive=True) == (3, 4, left_out)
    wanted = ["a", "link", "sub", "sub/b", "sub/empty"]
    assert listed(there / "conf") == wanted
    assert not (there / "conf" / "link").is_symlink()
    assert stat.S_IMODE((there / "conf" / "sub").stat().st_mode) == 0o555
    with pytest.raises(CopyError, match=r"i-1 of c: .*conf is a folder; --recursive copies folders"):
        remote.get([str(there / "conf")], str(here / "back"))
    assert remote.get([str(there / "conf")], str(here / "back"), recursive=True) == (3, 4, ())
    assert listed(here / "back") == wanted


def test_what_is_missing_or_in_the_way_is_named_and_nothing_is_written(
    remote: SshRemote, here: Path, there: Path
) -> None:
    (here / "a").write_text("1")
    with pytest.raises(NotFoundError, match=r"there is no .*/none \(on this machine\)"):
        remote.put([str(here / "none")], str(there))
    with pytest.raises(NotFoundError, match=r"/dev/null is neither a file nor a folder \(on this machine\)"):
        remote.put(["/dev/null"], str(there))
    with pytest.raises(CopyError, match=r"i-1 of c: cannot write /nosuch/x: no such file or directory"):
        remote.put([str(here / "a")], "/nosuch/x")
    with pytest.raises(CopyError, match=r"i-1 of c: there is no /nothing"):
        remote.get(["/nothing"], str(here / "b"))
    (there / "a").write_text("1")
    with pytest.raises(CopyError, match=r"cannot write /nosuch/b: no such file or directory"):
        remote.get([str(there / "a")], "/nosuch/b")
    (there / "sub" / "a").mkdir(parents=True)
    with pytest.raises(CopyError, match=r"cannot write .*/sub/a: there is a folder of that name"):
        remote.put([str(here / "a")], str(there / "sub"))
    assert (listed(here), listed(there)) == (["a"], ["a", "sub", "sub/a"])


def test_a_lost_connection_leaves_no_half_file_and_no_part_of_it(tmp_path: Path, here: Path, there: Path) -> None:
    (here / "big").write_bytes(bytes(20_000_000))
    (there / "big").write_text("older")
    for direction in ("to", "from"):
        (tmp_path / direction).mkdir()
        with SshServer(tmp_path / direction) as server, connector(server).connect(NODE, "c") as session:

            def drop(_done: int, _of: int, server: SshServer = server) -> None:
                server.drop()

            copy = session.put if direction == "to" else session.get
            with pytest.raises(UnreachableError, match="connection to i-1 of c ended"):
                copy([str(here / "big")], str(there / "big"), moved=drop)
            for process in server.processes:
                process.wait(60)
        assert listed(there) == ["big"]
        assert (there / "big").read_text() == "older"


@pytest.mark.parametrize("verb", ["put", "get"])
def test_a_copy_without_an_answer_ends_at_its_deadline(tmp_path: Path, here: Path, there: Path, verb: str) -> None:
    (here / "a").write_text("1")
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "c") as session:
        server.mute_at = "exec"
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="i-1 of c: no answer in time"):
            getattr(session, verb)([str(here / "a")], str(there / "a"), timeout=0.5)
        assert time.monotonic() - began < 20, "the server is mute for 30 s"
    assert listed(there) == []


def test_silence_in_the_middle_of_a_copy_ends_it(
    remote: SshRemote, there: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hcluster.remote.session._SILENT_SECONDS", 0.5)
    monkeypatch.setattr("hcluster.remote.copies.command", lambda *_: b"exec sleep 30")
    with pytest.raises(DeadlineError, match="copying from i-1 of c: no answer in time"):
        remote.get(["/x"], str(there / "x"))
    (here / "big").write_bytes(bytes(30_000_000))
    with pytest.raises(DeadlineError, match="copying to i-1 of c: no answer in time"):
        remote.put([str(here / "big")], str(there / "x"))
    assert listed(there) == []


def test_a_node_without_python_says_so(remote: SshRemote, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hcluster.remote.copies.command", lambda *_: b"echo no python >&2; exit 127")
    (here / "a").write_text("1")
    for verb in (remote.put, remote.get):
        with pytest.raises(CopyError) as caught:
            verb([str(here / "a")], str(here / "b"))
        assert caught.value.context == "no python"


# The stream itself


def stream_of(*paths: Path) -> bytes:
    out = io.BytesIO()
    copying.send(copying.Plan([str(path) for path in paths], recursive=True), out.write)
    return out.getvalue()


def reader(data: bytes, piece: int = 7) -> Callable[[int], bytes]:
    source = io.BytesIO(data)
    return lambda count: source.read(min(count, piece))


def test_a_stream_may_come_in_pieces_of_any_size(here: Path, there: Path) -> None:
    (here / "a").write_bytes(body := os.urandom(2500))
    for piece in (1, 2, 3, 1000, 1 << 20):
        assert copying.receive(str(there), reader(stream_of(here / "a"), piece))["bytes"] == 2500
        assert (there / "a").read_bytes() == body


def test_a_stream_cut_off_anywhere_leaves_nothing(here: Path, there: Path) -> None:
    (here / "a").write_bytes(b"some bytes")
    whole = stream_of(here / "a")
    for length in range(whole.rindex(b"{")):
        with pytest.raises(copying.RefusedError):
            copying.receive(str(there), reader(whole[:length]))
        assert listed(there) == [], length


def test_bytes_that_changed_on_the_way_are_refused(here: Path, there: Path) -> None:
    (here / "a").write_bytes(b"some bytes")
    with pytest.raises(copying.RefusedError, match="digest differs"):
        copying.receive(str(there), reader(stream_of(here / "a").replace(b"some bytes", b"some bytez")))
    assert listed(there) == []


@pytest.mark.parametrize("path", [["..", "x"], ["/etc/x"], ["a", ".."], ["a/../../x"], [""], [], ["."], ["a\0b"], "x"])
def test_a_node_cannot_make_us_write_elsewhere(there: Path, path: object) -> None:
    (there / "in").mkdir()
    for kind in ("file", "folder"):
        lines = [
            {"kind": "plan", "roots": 1, "files": 1, "bytes": 0},
            {"kind": kind, "path": path, "mode": 0o600},
        ]
        forged = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + bytes(4)
        with pytest.raises(copying.RefusedError, match="sends a file with the path"):
            copying.receive(str(there / "in"), reader(forged))
    assert listed(there) == ["in"]


@pytest.mark.parametrize("said", [b"Welcome to Debian!\n", b"[]\n", b'{"kind": "end"}\n', b"x" * (3 << 20)])
def test_what_is_no_stream_is_refused(there: Path, said: bytes) -> None:
    with pytest.raises(copying.RefusedError, match="sends something else than files"):
        copying.receive(str(there), reader(said, 1 << 20))


def test_a_link_is_replaced_and_not_written_through(here: Path, there: Path) -> None:
    (here / "a").write_text("new")
    (there / "elsewhere").write_text("kept")
    (there / "a").symlink_to("elsewhere")
    copying.receive(str(there), reader(stream_of(here / "a")))
    assert (there / "elsewhere").read_text() == "kept"
    assert (there / "a").read_text() == "new"


def test_of_a_file_that_grows_as_much_is_sent_as_it_had(here: Path, there: Path) -> None:
    (here / "log").write_bytes(b"x" * copying.CHUNK)
    out = io.BytesIO()

    def grow(_count: int) -> None:
        if (here / "log").stat().st_size < copying.CHUNK + 100:
            with (here / "log").open("ab") as log:
                log.write(b"more")

    copying.send(copying.Plan([str(here / "log")], recursive=False), out.write, grow)
    assert copying.receive(str(there), reader(out.getvalue(), 1 << 20))["bytes"] == copying.CHUNK


def test_files_of_proc_say_that_they_are_empty_and_are_copied(there: Path) -> None:
    assert copying.receive(str(there), reader(stream_of(Path("/proc/self/status"))))["bytes"] > 100


def test_a_file_that_ceases_to_be_readable_is_told_to_the_other_end(
    here: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "a").write_bytes(bytes(copying.CHUNK + 1))
    plan = copying.Plan([str(here / "a")], recursive=False)

    class Broken(io.FileIO):
        def read(self, _size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(errno.EIO, "Input/output error")
            return super().read(copying.CHUNK) or b""

    monkeypatch.setattr(Path, "open", lambda path, *_words, **_more: Broken(path))
    out = io.BytesIO()
    with pytest.raises(copying.RefusedError, match=r"cannot read .*/a: input/output error"):
        copying.send(plan, out.write)
    monkeypatch.undo()
    with pytest.raises(copying.RefusedError, match=r"cannot read .*/a: input/output error"):
        copying.receive(str(there), reader(out.getvalue(), 1 << 20))
    assert listed(there) == []


def test_a_disk_that_takes_no_more_is_told_and_what_was_written_is_removed(here: Path, there: Path) -> None:
    """A limit of the file's size stands for the full disk: both end a write in its middle."""
    (here / "big").write_bytes(bytes(5_000_000))
    program = f"ulimit -f 1000; exec {sys.executable} {copying.__file__} receive {there}"
    done = subprocess.run(["sh", "-c", program], input=stream_of(here / "big"), capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == {
        "kind": "refused",
        "message": f"cannot write {there}/big: file too large",
    }
    assert listed(there) == []


def test_a_signal_removes_what_was_written(here: Path, there: Path) -> None:
    (here / "big").write_bytes(bytes(5_000_000))
    command = [sys.executable, copying.__file__, "receive", str(there)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(stream_of(here / "big")[:4_000_000])
        process.stdin.flush()
        ends = time.monotonic() + 60
        while not listed(there) and time.monotonic() < ends:
            time.sleep(0.01)
        assert listed(there)[0].endswith(".part")
        process.terminate()
        assert process.wait(60) == 128 + 15
    assert listed(there) == []
