"""Calls side by side, commands on many nodes, and Ctrl-C in the middle of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hcluster.errors import DeadlineError, UnreachableError
from hcluster.flows import reach
from hcluster.flows.gather import MAX_PARALLEL, gather
from hcluster.model.node import Instance

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Script = Callable[["Session"], int]


def node(identity: str) -> Instance:
    return Instance(identity, "running", "10.64.0.1", "n.internal", "m5.large", "a", "spot", "ami-1", NOW)


class Session:
    """A remote whose command does what a test says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.closed = threading.Event()
        self.out: Callable[[bytes], None] = lambda _: None
        self.err: Callable[[bytes], None] = lambda _: None

    def run(
        self,
        _command: Sequence[str],
        *,
        timeout: float,
        on_output: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
    ) -> tuple[int, bytes, bytes]:
        assert timeout == 600
        self.out, self.err = on_output, on_stderr
        return self.script(self), b"", b""

    def close(self) -> None:
        self.closed.set()


def context(script: Script, sessions: list[Session] | None = None) -> Any:
    def connect(_node: Instance, _name: str) -> Session:
        made = Session(script)
        if sessions is not None:
            sessions.append(made)
        return made

    return SimpleNamespace(connector=SimpleNamespace(connect=connect))


def run_on(script: Script, count: int = 2, sessions: list[Session] | None = None) -> list[tuple[int, bytes, bytes]]:
    nodes = [node(f"i-{number}") for number in range(count)]
    answers = reach.run_on(context(script, sessions), "c", nodes, ["true"])
    assert [one.id for one, *_ in answers] == [one.id for one in nodes]
    return [(code, out, err) for _, code, out, err in answers]


def interrupt_when(ready: threading.Event) -> threading.Thread:
    def press() -> None:
        assert ready.wait(60)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_results_come_in_order_from_more_calls_than_threads() -> None:
    wanted = list(range(3 * MAX_PARALLEL))
    assert gather([lambda value=value: value for value in wanted]) == wanted  # type: ignore[misc]
    assert gather([]) == []


def test_all_are_awaited_before_the_first_error_is_raised() -> None:
    ended = []

    def late() -> None:
        time.sleep(0.2)
        ended.append(1)

    def bad(message: str) -> None:
        raise UnreachableError(message)

    with pytest.raises(UnreachableError, match="first"):
        gather([lambda: bad("first"), late, lambda: bad("second")])
    assert ended == [1]


def test_ctrl_c_is_raised_at_once_and_calls_in_the_queue_are_never_made() -> None:
    started: list[int] = []
    ready, free = threading.Event(), threading.Event()

    def wait() -> None:
        started.append(1)
        if len(started) == MAX_PARALLEL:
            ready.set()
        free.wait(60)

    interrupt_when(ready)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather([wait] * (MAX_PARALLEL + 5))
    assert time.monotonic() - began < 30
    free.set()
    time.sleep(0.1)
    assert len(started) == MAX_PARALLEL


def test_a_process_ends_after_ctrl_c_though_calls_are_under_way() -> None:
    script = (
        "import os, time\nfrom hcluster.flows.gather import gather\n"
        "def call():\n  os.write(1, b'up\\n')\n  time.sleep(60)\n"
        "try:\n  gather([call, call])\nexcept KeyboardInterrupt:\n  print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    for _ in range(2):
        assert process.stdout.readline() == b"up\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == b"interrupted\n"
    assert process.returncode == 0
    assert time.monotonic() - began < 30


def test_ctrl_c_closes_the_sessions_to_all_nodes() -> None:
    sessions: list[Session] = []
    ready = threading.Event()
    ended = threading.Semaphore(0)

    def wait(session: Session) -> int:
        if len(sessions) == 3:
            ready.set()
        assert session.closed.wait(20)
        ended.release()
        raise UnreachableError("the connection ended")

    interrupt_when(ready)
    with pytest.raises(KeyboardInterrupt):
        run_on(wait, 3, sessions)
    for _ in range(3):
        assert ended.acquire(timeout=30)


def test_output_of_each_node_comes_back_and_the_sessions_are_closed() -> None:
    sessions: list[Session] = []

    def say(session: Session) -> int:
        session.out(b"a")
        session.err(b"no")
        session.out(b"b\n")
        return 3

    assert run_on(say, 2, sessions) == [(3, b"ab\n", b"no")] * 2
    assert all(session.closed.is_set() for session in sessions)


def test_of_each_stream_the_last_4_mib_are_kept_and_what_is_cut_is_said() -> None:
    def chatter(session: Session) -> int:
        for _ in range(5):
            session.out(b"x" * (1 << 20))
        session.out(b"end\n")
        session.err(b"warning")
        return 0

    ((code, out, err),) = run_on(chatter, 1)
    assert (code, len(out), out[-5:]) == (0, 4 << 20, b"xend\n")
    cut = (1 << 20) + 4
    assert err == f"warning\nhcluster: stdout was cut, its first {cut} of {(5 << 20) + 4} bytes are not shown".encode()


def test_what_a_command_said_before_its_deadline_is_not_lost() -> None:
    def slow(session: Session) -> int:
        session.out(b"half")
        session.err(b"hm\n")
        raise DeadlineError("too slow")

    assert run_on(slow, 1) == [(255, b"half", b"hm\ntoo slow")]
