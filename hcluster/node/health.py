"""Whether the daemons of this node are up: what to look at is written by Puppet, not known here."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import DeadlineError, NodeFailedError
from hcluster.node.release import tail

POLL_SECONDS = 0.2
UNITS_SECONDS = 1.0
"""Between two questions to systemd about units that do not serve yet: each is a process, while daemons want the CPU."""
JOIN_SECONDS = 0.5
"""Between two questions whether this node has been taken in; of many workers they go to one master."""
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
    started: float = 0.0
    """Epoch seconds at which its process began, 0 when it never did."""


@dataclass(frozen=True, slots=True)
class Health:
    """When each daemon of a node began and served, in epoch seconds by the check's name."""

    started: Mapping[str, float]
    up: Mapping[str, float]


_PROPERTIES = "Id,ActiveState,NRestarts,ExecMainStartTimestampMonotonic"


def unit_states(units: Collection[str]) -> dict[str, UnitState]:
    """Ask systemd of several units in one question."""
    answer = subprocess.run(
        ["systemctl", "show", f"--property={_PROPERTIES}", *units],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    # Its own clock is that of the machine's uptime.
    return parse_states(answer.stdout, time.time() - time.monotonic())


def parse_states(text: str, boot: float) -> dict[str, UnitState]:
    """States by unit from what ``systemctl show`` prints; ``boot`` is the epoch second of its clock's zero. Pure."""
    found = {}
    for block in text.split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        restarts, began = values.get("NRestarts", ""), values.get("ExecMainStartTimestampMonotonic", "")
        started = boot + int(began) / 1e6 if began.isdigit() and int(began) else 0.0
        if "Id" in values:
            found[values["Id"]] = UnitState(
                values.get("ActiveState", ""), int(restarts) if restarts.isdigit() else 0, started
            )
    return found


def no_news() -> None:
    """Nothing else has to be watched while waiting."""


def wait(
    checks: Sequence[Check],
    deadline_seconds: float,
    logs: Path = Path("/var/log/hadoop"),
    watch: Callable[[], None] = no_news,
) -> Health:
    """Wait until all checks hold; when each daemon began and served. ``watch`` is called at each look and may raise.

    Raises:
        NodeFailedError: a unit failed for good.
        DeadlineError: some did not hold in time; the message names them, the context shows their logs.
    """
    end = time.monotonic() + deadline_seconds
    started: dict[str, float] = {}
    up: dict[str, float] = {}
    pending = list(checks)
    asked = -UNITS_SECONDS
    while pending:
        watch()
        serving = [check for check in pending if port_open(check)]
        now = time.monotonic()
        due = now - asked >= UNITS_SECONDS
        asked = now if due else asked
        looked_at = pending if due else [check for check in serving if check.port]
        states = unit_states({check.unit for check in looked_at}) if looked_at else {}
        for check in looked_at:
            state = states.get(check.unit, UnitState(""))
            if check in serving and state.active == "active":
                started[check.name], up[check.name] = state.started, time.time()
                pending.remove(check)
            else:
                _demand_hope(check, state, logs)
        if pending and time.monotonic() > end:
            missing = ", ".join(f"{check.unit} (port {check.port})" if check.port else check.unit for check in pending)
            raise DeadlineError(f"not up after {deadline_seconds:.0f} s: {missing}", context=_log_of(pending[0], logs))
        if pending:
            time.sleep(POLL_SECONDS)
    return Health(started, up)


def _demand_hope(check: Check, state: UnitState, logs: Path) -> None:
    """Raise NodeFailedError when a unit will not come up by waiting."""
    if state.active == "failed":
        raise NodeFailedError(f"{check.unit} failed", context=_log_of(check, logs))
    if state.restarts >= MAX_RESTARTS:
        raise NodeFailedError(
            f"{check.unit} was started {state.restarts + 1} times and keeps failing", context=_log_of(check, logs)
        )


@dataclass(frozen=True, slots=True)
class Join:
    """A page that holds a text once the cluster has taken this node in."""

    name: str
    unit: str
    url: str
    text: str


def load_joins(path: Path) -> list[Join]:
    """What this node's role joins; nothing for a release that does not say."""
    return [Join(**item) for item in json.loads(path.read_text())] if path.exists() else []


def joined(join: Join) -> bool:
    """Whether the cluster has taken this node in."""
    request = urllib.request.Request(join.url, headers={"Accept": "application/json"})  # noqa: S310 - Puppet wrote it
    # A proxy of the environment has no business between nodes.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return join.text in answer.read().decode(errors="replace")
    except (OSError, ValueError):
        return False


def wait_joined(
    joins: Sequence[Join], deadline_seconds: float, watch: Callable[[], None] = no_news
) -> dict[str, float]:
    """Wait until the cluster has taken this node in everywhere; epoch seconds at which each had.

    Raises:
        DeadlineError: it had not in time; the message names where.
    """
    end = time.monotonic() + deadline_seconds
    found: dict[str, float] = {}
    while True:
        found |= {join.name: time.time() for join in joins if join.name not in found and joined(join)}
        missing = [join for join in joins if join.name not in found]
        if not missing:
            return found
        watch()
        if time.monotonic() > end:
            raise DeadlineError(
                f"this node runs, but the cluster had not taken it in after {deadline_seconds:.0f} s: "
                f"{', '.join(join.name for join in missing)}",
                context=_log(missing[0].unit, Path("/var/log/hadoop")),
                hint="look at the master: `hcluster logs NAME master`",
            )
        time.sleep(JOIN_SECONDS)


def _log_of(check: Check, logs: Path) -> str:
    return _log(check.unit, logs)


def _log(unit: str, logs: Path) -> str:
    text = tail(logs / f"{unit.removesuffix('.service')}.log")
    if text:
        return text
    journal = subprocess.run(
        ["journalctl", "--no-pager", "-n", "40", "-u", unit],
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


class Smoke:
    """The smoke tests, beside whatever else there is to wait for."""

    def __init__(self, folder: Path, deadline_seconds: float) -> None:
        self._future: Future[dict[str, float]] = Future()
        # A daemon: when the node has failed for another reason, nobody waits for it.
        threading.Thread(target=self._run, args=(folder, deadline_seconds), daemon=True).start()

    def _run(self, folder: Path, deadline_seconds: float) -> None:
        try:
            self._future.set_result(smoke(folder, deadline_seconds))
        except BaseException as cause:  # noqa: BLE001 - it is raised where the result is asked for
            self._future.set_exception(cause)

    def watch(self) -> None:
        """Raise NodeFailedError when a test has failed by now."""
        if self._future.done():
            self._future.result()

    def result(self) -> dict[str, float]:
        """Seconds that each took, when all have ended. Raises NodeFailedError."""
        return self._future.result()
