"""Whether the daemons of this node are up: what to look at is written by Puppet, not known here."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import DeadlineError, NodeFailedError
from hcluster.node.release import tail

POLL_SECONDS = 0.2
MAX_RESTARTS = 6
"""A daemon may fail a few times while the one it needs comes up; after that it will not come up by waiting."""


@dataclass(frozen=True, slots=True)
class Check:
    """A unit that must be active and a port that must be open; port 0 for a unit that has none."""

    name: str
    unit: str
    host: str
    port: int


def load(path: Path) -> list[Check]:
    """The checks of this node's role."""
    return [Check(**item) for item in json.loads(path.read_text())]


def port_open(check: Check) -> bool:
    """Whether something accepts connections there; True for port 0."""
    if not check.port:
        return True
    try:
        with socket.create_connection((check.host, check.port), timeout=2):
            return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit."""

    active: str
    """active, activating, failed, inactive, …"""
    restarts: int = 0
    """How often it was started again after it had failed."""


def unit_state(unit: str) -> UnitState:
    """Ask systemd."""
    answer = subprocess.run(
        ["systemctl", "show", "--property=ActiveState,NRestarts", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    values = dict(line.partition("=")[::2] for line in answer.stdout.splitlines())
    restarts = values.get("NRestarts", "")
    return UnitState(values.get("ActiveState", ""), int(restarts) if restarts.isdigit() else 0)


def wait(checks: list[Check], deadline_seconds: float, logs: Path = Path("/var/log/hadoop")) -> dict[str, float]:
    """Wait until all checks hold; epoch seconds at which each first did.

    Raises:
        NodeFailedError: a unit failed for good.
        DeadlineError: some did not hold in time; the message names them, the context shows their logs.
    """
    end = time.monotonic() + deadline_seconds
    marks: dict[str, float] = {}
    pending = list(checks)
    while pending:
        for check in list(pending):
            is_open, state = port_open(check), unit_state(check.unit)
            if is_open and state.active == "active":
                marks[check.name] = time.time()
                pending.remove(check)
            elif state.active == "failed":
                raise NodeFailedError(f"{check.unit} failed", context=_log_of(check, logs))
            elif state.restarts >= MAX_RESTARTS:
                raise NodeFailedError(
                    f"{check.unit} was started {state.restarts + 1} times and keeps failing",
                    context=_log_of(check, logs),
                )
        if pending and time.monotonic() > end:
            missing = ", ".join(f"{check.unit} (port {check.port})" if check.port else check.unit for check in pending)
            raise DeadlineError(f"not up after {deadline_seconds:.0f} s: {missing}", context=_log_of(pending[0], logs))
        if pending:
            time.sleep(POLL_SECONDS)
    return marks


def _log_of(check: Check, logs: Path) -> str:
    name = check.unit.removesuffix(".service")
    text = tail(logs / f"{name}.log")
    if text:
        return text
    journal = subprocess.run(
        ["journalctl", "--no-pager", "-n", "40", "-u", check.unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return journal.stdout


def smoke(folder: Path, deadline_seconds: float = 120) -> dict[str, float]:
    """Run every executable of ``folder`` side by side; seconds that each took.

    Raises:
        NodeFailedError: one failed; the context holds its output.
    """
    tests = sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []

    def run(path: Path) -> tuple[str, float]:
        start = time.monotonic()
        try:
            done = subprocess.run(
                [str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=deadline_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as cause:
            raise NodeFailedError(f"smoke test {path.name} took over {deadline_seconds:.0f} s") from cause
        if done.returncode != 0:
            raise NodeFailedError(
                f"smoke test {path.name} failed with exit code {done.returncode}", context=done.stdout[-4000:]
            )
        return path.name, time.monotonic() - start

    if not tests:
        return {}
    with ThreadPoolExecutor(len(tests)) as pool:
        return dict(pool.map(run, tests))
