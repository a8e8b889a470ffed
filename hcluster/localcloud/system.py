"""Commands of this machine and its kernel, with deadlines and errors that name what failed."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hcluster.errors import LocalCloudError

Result = TypeVar("Result")

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
CLONE_NEWNET = 0x40000000
PR_SET_CHILD_SUBREAPER = 36
NETNS_FOLDER = Path("/run/netns")


def environment() -> dict[str, str]:
    """This process's environment for its children, with the system's folders at the end of PATH: a caller's may lack
    the sbin ones, and messages are read in English."""
    folders = [*os.environ.get("PATH", "").split(":"), *_SYSTEM_FOLDERS]
    return {**os.environ, "PATH": ":".join(dict.fromkeys(filter(None, folders))), "LC_ALL": "C.UTF-8"}


def run(
    argv: Sequence[str], *, stdin: str = "", timeout: float = 60, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, output captured as text; ``timeout`` in seconds.

    Raises:
        LocalCloudError: it is missing, did not end in time, or (with ``check``) ended with a code other than 0.
    """
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=environment()
        )
    except FileNotFoundError as cause:
        raise LocalCloudError(f"the command {argv[0]} is not installed") from cause
    except subprocess.TimeoutExpired as cause:
        raise LocalCloudError(f"`{shlex.join(argv)}` did not end within {timeout:g} s") from cause
    if check and done.returncode != 0:
        detail = (done.stderr or done.stdout).strip()
        raise LocalCloudError(f"`{shlex.join(argv)}` failed with code {done.returncode}: {detail}")
    return done


def in_namespace(namespace: str, action: Callable[[], Result]) -> Result:
    """Call ``action`` with the network of the named namespace, in a thread that ends with it.

    setns(2) moves only the calling thread: sockets made there stay in that namespace, the rest of the process stays
    where it is. Python has os.setns from 3.12 on only, hence ctypes.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            _enter_network(NETNS_FOLDER / namespace)
            results.append(action())
        except BaseException as failure:  # noqa: BLE001 - carried over to the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=enter, name=f"netns-{namespace}")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _enter_network(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise LocalCloudError(f"cannot enter the network namespace {path}: {os.strerror(code)}")
    finally:
        os.close(handle)


def adopt_orphans() -> None:
    """Become the parent of processes whose own parents end, as a node's PID 1 is whose runc has done its work."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise LocalCloudError(f"cannot adopt orphans: {os.strerror(ctypes.get_errno())}")


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none (or only its zombie).

    Together with the pid it names one process for good, since pids are used again.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file whole, so that no reader and no crash ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, mode)
        file.write(text)
    fresh.replace(path)


@contextmanager
def hold(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of that name while the block lasts; its file is gone afterwards.

    Raises:
        LocalCloudError: without ``wait``, another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LocalCloudError(f"another process holds {path}") from None
        if _names(path, handle):
            break
        # Whoever held it removed the file meanwhile: what is locked now has no name any more.
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _names(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
