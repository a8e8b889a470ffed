"""Child processes of minutes: seen while they run, ended in an orderly way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from hcluster.errors import DeadlineError, HclusterError
from hcluster.images import process
from tests.unit.skipped_time import SkippedTime


def test_lines_arrive_in_order_and_the_code_is_returned(tmp_path: Path) -> None:
    seen: list[str] = []
    code = process.run(
        ["sh", "-c", "echo one; echo two >&2; printf three; exit 7"],
        log=tmp_path / "log",
        deadline=10,
        on_line=seen.append,
    )
    assert code == 7
    assert seen == ["one", "two"]  # a line is told when it ends
    assert process.tail(tmp_path / "log", 2) == "two\nthree"


def test_the_child_gets_exactly_the_environment_given(tmp_path: Path) -> None:
    seen: list[str] = []
    environment = {"PATH": os.environ["PATH"], "SECRET": "in here"}
    process.run(["env"], log=tmp_path / "log", deadline=10, on_line=seen.append, env=environment)
    assert "SECRET=in here" in seen
    assert not any(line.startswith("HOME=") for line in seen)


def test_a_missing_program_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(HclusterError, match="no-such-program is not installed") as caught:
        process.run(["no-such-program"], log=tmp_path / "log", deadline=1)
    assert "make setup" in caught.value.hint


PATIENT = """
import signal, sys, time
def stop(*_):
    print("cleaned up", flush=True)
    sys.exit(3)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)
"""


def test_at_the_deadline_the_child_may_clean_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = SkippedTime()
    monkeypatch.setattr("hcluster.images.process.time", skipped)

    def pass_deadline(line: str) -> None:
        if line == "ready":
            skipped.skip(50)

    command = [sys.executable, "-c", PATIENT]
    with pytest.raises(DeadlineError, match="took longer than 50 s") as caught:
        process.run(command, log=tmp_path / "log", deadline=50, on_line=pass_deadline)
    assert "cleaned up" in caught.value.context


def test_an_interrupt_reaches_the_whole_group_and_is_passed_on(tmp_path: Path) -> None:
    """Packer hands its work to a child of its own: that one must hear of Ctrl-C, too."""

    def interrupt(line: str) -> None:
        if line == "ready":
            threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()

    script = f"trap '' INT; {sys.executable} -c '{PATIENT}'; echo parent went on"
    with pytest.raises(KeyboardInterrupt):
        process.run(["bash", "-c", script], log=tmp_path / "log", deadline=20, on_line=interrupt)
    assert "cleaned up" in process.tail(tmp_path / "log")


def test_what_ignores_the_interrupt_is_killed_after_the_grace(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        process.run(["bash", "-c", "trap '' INT; sleep 60 & wait"], log=tmp_path / "log", deadline=0.2, grace=0.2)
    assert time.monotonic() - began < 30, "it would sleep for 60 s"
