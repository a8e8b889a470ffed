"""How files travel over one stream of bytes, in either direction.

This file stands alone: its text is also the program that runs on the node, with nothing but Python's own library, so
that both ends are the same code. A stream is lines of JSON and, after the line of a file, its bytes in chunks:

    {"kind": "plan", "roots": 1, "files": 1, "bytes": 5}
    {"kind": "file", "path": ["a.jar"], "mode": 420}
    <length, 4 bytes> <so many bytes> … <0, 4 bytes>
    {"kind": "checked", "sha256": "…"}
    {"kind": "end"}

A file is written under a name of its own in the folder where it will be, and renamed when all its bytes are there and
have the sender's digest: whatever happens, no half file has the name. Names are bytes that need not be text; JSON holds
what is not UTF-8 in them as lone surrogates, as Python does.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 1 << 20
_PIECE = 1 << 18
_LINE = 1 << 20
"""Longer lines are no lines of ours."""
_NAMED = 100
"""Of what is left out."""
_END = b"\0\0\0\0"

Write = Callable[[bytes], object]
Read = Callable[[int], bytes]
"""Some bytes, at most so many; none at the end."""


class RefusedError(Exception):
    """What cannot be copied, and why, in words for people."""


class Plan:
    """What is about to be sent: its files and folders in order, and how much that is."""

    def __init__(self, roots: Sequence[str], *, recursive: bool) -> None:
        self.roots = len(roots)
        self.bytes = 0
        self.left_out: list[str] = []
        """Sockets, devices, pipes and links to folders, below a folder that is copied."""
        self.entries: list[tuple[tuple[str, ...], Path, os.stat_result]] = []
        for root in roots:
            path = _home(root)
            name = path.resolve().name if path.name in {"", ".."} else path.name
            try:
                status = path.stat()
            except OSError as cause:
                raise _refused("read", path, cause) from cause
            self._add((name or "root",), path, status, recursive=recursive)

    @property
    def files(self) -> int:
        """How many files, folders not counted."""
        return sum(stat.S_ISREG(status.st_mode) for _, _, status in self.entries)

    def _add(self, parts: tuple[str, ...], path: Path, status: os.stat_result, *, recursive: bool) -> None:
        if stat.S_ISREG(status.st_mode):
            self.bytes += status.st_size
            self.entries.append((parts, path, status))
            return
        if not stat.S_ISDIR(status.st_mode):
            raise RefusedError(f"{shown(path)} is neither a file nor a folder")
        if not recursive:
            raise RefusedError(f"{shown(path)} is a folder; --recursive copies folders")
        self.entries.append((parts, path, status))
        try:
            found = sorted(path.iterdir())
        except OSError as cause:
            raise _refused("read", path, cause) from cause
        for below in found:
            try:
                status = below.stat()
            except OSError:
                self.left_out.append(shown(below))  # a link to nothing, or removed a moment ago
                continue
            if stat.S_ISREG(status.st_mode) or (stat.S_ISDIR(status.st_mode) and not below.is_symlink()):
                self._add((*parts, below.name), below, status, recursive=True)
            else:
                self.left_out.append(shown(below))


def send(plan: Plan, write: Write, moved: Callable[[int], object] = lambda _: None) -> None:
    """Write a stream; ``moved`` is told of each piece of a file's bytes.

    Raises:
        RefusedError: a file cannot be read; the other end has been told.
    """
    _say(write, kind="plan", roots=plan.roots, files=plan.files, bytes=plan.bytes, left_out=plan.left_out[:_NAMED])
    for parts, path, status in plan.entries:
        mode = stat.S_IMODE(status.st_mode) & 0o777
        if stat.S_ISDIR(status.st_mode):
            _say(write, kind="folder", path=parts, mode=mode)
            continue
        try:
            with path.open("rb", buffering=0) as source:
                _say(write, kind="file", path=parts, mode=mode)
                _say(write, kind="checked", sha256=_send_bytes(source, write, moved))
        except _UnreadableError as unreadable:
            write(_END)
            raise _told(write, _refused("read", path, unreadable.cause)) from unreadable.cause
        except OSError as cause:
            if cause.filename is None:
                raise  # the stream's own
            raise _told(write, _refused("read", path, cause)) from cause
    _say(write, kind="end")


class _UnreadableError(Exception):
    """A file that ceased to be readable in its middle; apart from errors of the stream."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _send_bytes(source: Any, write: Write, moved: Callable[[int], object]) -> str:
    """What a file holds now, and no more when it grows meanwhile; its digest."""
    digest = hashlib.sha256()
    # Those of /proc say that they are empty.
    left = os.fstat(source.fileno()).st_size or sys.maxsize
    while True:
        try:
            piece = source.read(min(CHUNK, left))
        except OSError as cause:
            raise _UnreadableError(cause) from cause
        if not piece:
            write(_END)
            return digest.hexdigest()
        left -= len(piece)
        digest.update(piece)
        write(len(piece).to_bytes(4, "big"))
        write(piece)
        moved(len(piece))


class Stream:
    """Reads what ``send`` wrote."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept = b""

    def line(self) -> dict[str, Any]:
        """The next line."""
        while b"\n" not in self._kept:
            if len(self._kept) > _LINE:
                raise RefusedError("the other end sends something else than files")
            self._kept += self._more(_PIECE)
        line, _, self._kept = self._kept.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RefusedError("the other end sends something else than files")
        return found

    def chunks(self) -> Iterator[bytes]:
        """A file's bytes."""
        while left := int.from_bytes(b"".join(self._exactly(4)), "big"):
            yield from self._exactly(left)

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self._kept[:count] or self._more(min(count, _PIECE))
            self._kept = self._kept[count:]
            count -= len(piece)
            yield piece

    def _more(self, count: int) -> bytes:
        piece = self._read(count)
        if not piece:
            raise RefusedError("the connection ended before all bytes were there")
        return piece


def receive(target: str, read: Read, moved: Callable[[int, int], object] = lambda _done, _of: None) -> dict[str, Any]:
    """Write what a stream holds to ``target``: below it when it is a folder, else as it.

    ``moved`` is told how many bytes came last, and of how many in all. Returns how many ``files`` and ``bytes`` came,
    and what the sender ``left_out``.

    Raises:
        RefusedError: something cannot be written, the sender could not read something, or the stream ended early.
        What was complete before that stays.
    """
    stream = Stream(read)
    plan = _told_line(stream, "plan")
    place = _place(target, roots=int(plan["roots"]))
    modes: list[tuple[Path, int]] = []
    files = total = 0
    while (entry := _told_line(stream, "file", "folder", "end"))["kind"] != "end":
        path = place(_parts(entry["path"]))
        if entry["kind"] == "folder":
            if _make_folder(path):
                modes.append((path, int(entry["mode"])))
            continue
        came = _write_file(path, int(entry["mode"]) & 0o777, stream, lambda count: moved(count, int(plan["bytes"])))
        files, total = files + 1, total + came
    for path, mode in reversed(modes):
        with suppress(OSError):
            path.chmod(mode & 0o777)
    return {"files": files, "bytes": total, "left_out": plan.get("left_out") or []}


def _place(target: str, *, roots: int) -> Callable[[tuple[str, ...]], Path]:
    """Where each path of the stream goes, as with ``cp``."""
    place = _home(target)
    if place.is_dir():
        return lambda parts: place.joinpath(*parts)
    if roots > 1 or target.endswith("/"):
        raise RefusedError(f"there is no folder {shown(place)}")
    return lambda parts: place.joinpath(*parts[1:])


def _make_folder(path: Path) -> bool:
    """Whether it was not there; until all is in it, its owner may write in it whatever its mode will be."""
    try:
        path.mkdir(0o700)
    except FileExistsError:
        if not path.is_dir():
            raise RefusedError(f"cannot write {shown(path)}: there is a file of that name") from None
        return False
    except OSError as cause:
        raise _refused("write", path, cause) from cause
    return True


def _write_file(path: Path, mode: int, stream: Stream, moved: Callable[[int], object]) -> int:
    """The stream's next file; how many bytes it has."""
    part = path.parent / f".hcluster-{secrets.token_hex(8)}.part"
    made = False
    try:
        if path.is_dir():
            raise RefusedError(f"cannot write {shown(path)}: there is a folder of that name")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        made = True
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            count = _receive_bytes(file, stream, moved)
            os.fchmod(file.fileno(), mode)
            if os.fstat(file.fileno()).st_size != count:
                raise RefusedError(f"{shown(path)} has not the size of what was sent")
        part.replace(path)
        made = False
    except OSError as cause:
        if cause.errno is None or isinstance(cause, TimeoutError):
            raise  # the stream's own
        raise _refused("write", path, cause) from cause
    finally:
        if made:
            with suppress(OSError):
                part.unlink()
    return count


def _receive_bytes(file: Any, stream: Stream, moved: Callable[[int], object]) -> int:
    digest, count = hashlib.sha256(), 0
    for piece in stream.chunks():
        digest.update(piece)
        view = memoryview(piece)
        while view:
            view = view[file.write(view) :]
        count += len(piece)
        moved(len(piece))
    if _told_line(stream, "checked")["sha256"] != digest.hexdigest():
        raise RefusedError("its bytes were changed on the way: their digest differs from the sender's")
    return count


def _parts(path: object) -> tuple[str, ...]:
    """A relative path as the other end names it, which must not lead elsewhere."""
    found = tuple(path) if isinstance(path, list) else ()
    if not found or any(
        not isinstance(part, str) or part in {"", ".", ".."} or "/" in part or "\0" in part for part in found
    ):
        raise RefusedError(f"the other end sends a file with the path {path!r}")
    return found


def _told_line(stream: Stream, *kinds: str) -> dict[str, Any]:
    line = stream.line()
    if line.get("kind") == "refused":
        raise RefusedError(str(line.get("message")))
    if line.get("kind") not in kinds:
        raise RefusedError("the other end sends something else than files")
    return line


def shown(path: Path) -> str:
    """A path on one line, in quotes when it holds more than what names usually do."""
    text = str(path)
    return text if text.isprintable() and text == text.strip() else repr(text)


def _home(path: str) -> Path:
    """``~`` is the home folder; a path without a slash at its front is below that, too: it is where sessions begin."""
    return Path(path).expanduser() if path == "~" or path.startswith("~/") else Path(path)


def _refused(verb: str, path: Path, cause: OSError) -> RefusedError:
    reason = (cause.strerror or str(cause)).lower()
    if cause.errno == errno.ENOENT and verb == "read":
        return RefusedError(f"there is no {shown(path)}")
    return RefusedError(f"cannot {verb} {shown(path)}: {reason}")


def _told(write: Write, refused: RefusedError) -> RefusedError:
    with suppress(OSError):
        _say(write, kind="refused", message=str(refused))
    return refused


def _say(write: Write, **line: object) -> None:
    write(json.dumps(line).encode() + b"\n")


def main(arguments: Sequence[str]) -> int:
    """The node's end: ``send ROOT…``, ``send-all ROOT…`` or ``receive TARGET`` over the standard streams."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for one in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(one, leave)
    out: BinaryIO = sys.stdout.buffer
    verb, *words = arguments
    try:
        if verb == "receive":
            _say(out.write, kind="received", **receive(words[0], lambda count: os.read(0, count)))
        else:
            send(Plan(words, recursive=verb == "send-all"), out.write)
        out.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more, and the interpreter would complain of it
    except RefusedError as refused:
        _say(out.write, kind="refused", message=str(refused))
        with suppress(OSError):
            out.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
