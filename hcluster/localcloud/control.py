"""Start, stop, look at and remove local clouds: what the command line and tests call."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud import apt_sources, base_image, leftovers, preflight
from hcluster.localcloud.network import routed_networks
from hcluster.localcloud.settings import CloudSettings, derive, record
from hcluster.localcloud.system import environment, hold, start_time
from hcluster.model.events import Progress, Report, silent

START_TIMEOUT = 150.0
STOP_TIMEOUT = 90.0
_POLL = 0.05
_LOG_LINES = 25
_LOG_LIMIT = 8 << 20
_DRY = "dry-nodes"
"""A file in the folder of a cloud whose nodes are dry."""


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """What is known of a local cloud."""

    name: str
    state: str
    """running, starting, stopping, stopped, crashed (its daemon is gone but parts are left) or absent."""
    running: bool
    endpoint: str
    network: str
    proxy: str
    profile: str
    directory: str
    """Folder of the AWS ``config`` and ``credentials``."""
    log: str
    pid: int = 0
    since: float = 0.0
    """Epoch seconds of the daemon's start, 0 when there is none."""
    nodes: int = 0
    image_id: str = ""
    image_name: str = ""
    dry_nodes: bool = False
    """Its instances are records only: no process stands behind them."""
    left: tuple[str, ...] = ()
    """What a killed daemon left, one line each; the next start or stop removes it."""


def status(name: str, state: Path) -> CloudStatus:
    """Look, and change nothing."""
    settings = derive(name, state)
    facts = _daemon(settings)
    left: tuple[str, ...] = ()
    if facts:
        doing = {"ready": "running"}.get(str(facts["state"]), str(facts["state"]))
    else:
        left = tuple(leftovers.find(settings)) if os.geteuid() == 0 else ()
        doing = "crashed" if left else "stopped" if settings.folder.is_dir() else "absent"
    bundles = settings.runtime / "bundles"
    return CloudStatus(
        name=name,
        state=doing,
        running=doing == "running",
        endpoint=settings.endpoint_url,
        network=settings.cidr,
        proxy=settings.proxy_url,
        profile=settings.profile,
        directory=str(settings.aws_folder),
        log=str(settings.log),
        pid=int(str(facts.get("pid", 0))),
        since=float(str(facts.get("since", 0))),
        nodes=sum(1 for _ in bundles.iterdir()) if facts and bundles.is_dir() else 0,
        image_id=str(facts.get("image_id", "")),
        image_name=str(facts.get("image_name", "")),
        dry_nodes=(settings.folder / _DRY).exists(),
        left=left,
    )


def start(name: str, state: Path, report: Report = silent, *, dry_nodes: bool = False) -> CloudStatus:
    """Start the cloud, or do nothing when it runs; the base image is built first when the cache has none.

    ``dry_nodes``: no process stands behind an instance. A cloud has either real nodes or dry ones, for ever.

    Raises:
        LocalCloudError: this machine cannot run one, the cloud has nodes of the other kind, or the daemon ended or was
            not ready in 150 s (log attached).
    """
    preflight.check()
    settings = derive(name, state, routed_networks())
    with hold(_lock(settings)):
        _check_kind(settings, dry_nodes=dry_nodes)
        facts = _daemon(settings)
        if facts.get("state") == "stopping":
            _end(int(str(facts["pid"])), int(str(facts["start"])))
            facts = {}
        if not facts:
            if not dry_nodes:
                base_image.ensure(settings.cache, apt_sources.read_sources(), report)
                base_image.prune(settings.cache, settings.folder.parent, time.time())
            # One start at a time chooses a network: its routes are what tells the others that it is taken.
            with hold(settings.runtime.with_name("networks.lock")):
                settings = _place(name, state)
                report(Progress("local-cloud", f"local cloud {name}: starting on {settings.cidr}"))
                _wait_until_ready(settings, _spawn(settings, state, dry_nodes=dry_nodes))
        found = status(name, state)
    report(Progress("local-cloud", f"local cloud {name}: running at {found.endpoint}", state="ok"))
    return found


def stop(name: str, state: Path, report: Report = silent) -> CloudStatus:
    """End the cloud and all its nodes; instances, images and objects are kept. Stopped already is fine.

    Raises:
        LocalCloudError: something of it could not be removed.
    """
    preflight.check()
    settings = derive(name, state)
    with hold(_lock(settings)):
        _stop(settings, report)
        return status(name, state)


def reset(name: str, state: Path, report: Report = silent) -> CloudStatus:
    """Stop the cloud and delete everything it kept; caches that other clouds share stay.

    Raises:
        LocalCloudError: something of it could not be removed.
    """
    preflight.check()
    settings = derive(name, state)
    with hold(_lock(settings)):
        _stop(settings, report)
        if settings.folder.exists():
            report(Progress("local-cloud", f"local cloud {name}: deleting {settings.folder}"))
            shutil.rmtree(settings.folder)
        report(Progress("local-cloud", f"local cloud {name}: removed", state="ok"))
        return status(name, state)


def _place(name: str, state: Path) -> CloudSettings:
    """Settings with a network that nothing else on this machine has; what a killed daemon left is removed first."""
    earlier = derive(name, state)
    with hold(earlier.lock, wait=False):
        leftovers.clean(earlier)
    routes = routed_networks()
    settings = derive(name, state, routes)
    # Only a recorded network can be taken, and it cannot change: the instances have addresses in it.
    if any(IPv4Network(settings.cidr).overlaps(route) for route in routes):
        raise LocalCloudError(
            f"the network {settings.cidr} of the local cloud {name} is in use on this machine",
            context="perhaps by a local cloud of another state folder (HCLUSTER_STATE)",
            hint=f"end that one, or give this one another network: hcluster local reset --name {name}",
        )
    record(settings)
    return settings


def _lock(settings: CloudSettings) -> Path:
    return settings.runtime.with_name(f"{settings.key}.control")


def _daemon(settings: CloudSettings) -> dict[str, object]:
    """What the daemon told of itself; {} when it does not live."""
    try:
        facts: dict[str, object] = json.loads((settings.runtime / "daemon.json").read_text())
    except (FileNotFoundError, PermissionError):
        return {}
    return facts if start_time(int(str(facts["pid"]))) == facts["start"] else {}


def _check_kind(settings: CloudSettings, *, dry_nodes: bool) -> None:
    """Dry nodes cannot become real ones, nor real ones dry: their image and their disks would be missing."""
    marker = settings.folder / _DRY
    if not (settings.folder / "cloud.json").exists():
        if dry_nodes:
            settings.folder.mkdir(parents=True, exist_ok=True)
            marker.touch()
        else:
            marker.unlink(missing_ok=True)
        return
    if marker.exists() != dry_nodes:
        name, other = settings.name, "" if dry_nodes else " --dry-nodes"
        raise LocalCloudError(
            f"the local cloud {name} has {'real' if dry_nodes else 'dry'} nodes",
            hint=f"hcluster local start --name {name}{other}, or remove it first: hcluster local reset --name {name}",
        )


def _spawn(settings: CloudSettings, state: Path, *, dry_nodes: bool) -> subprocess.Popen[bytes]:
    if settings.log.is_file() and settings.log.stat().st_size > _LOG_LIMIT:
        settings.log.replace(settings.log.with_suffix(".log.1"))
    command = [
        sys.executable,
        "-P",
        "-m",
        "hcluster.localcloud.daemon",
        "--name",
        settings.name,
        "--state",
        str(state.absolute()),
        *(["--dry-nodes"] if dry_nodes else []),
    ]
    with settings.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=environment(),
        )


def _wait_until_ready(settings: CloudSettings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if _daemon(settings).get("state") == "ready":
            return
        if process.poll() is not None:
            leftovers.clean(settings)
            raise _failure(
                settings, f"the local cloud {settings.name} ended while it started (code {process.returncode})"
            )
        time.sleep(_POLL)
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    leftovers.clean(settings)
    raise _failure(settings, f"the local cloud {settings.name} was not ready within {START_TIMEOUT:g} s")


def _failure(settings: CloudSettings, message: str) -> LocalCloudError:
    lines = settings.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return LocalCloudError(message, context="\n".join(lines), hint=f"its whole log: {settings.log}")


def _stop(settings: CloudSettings, report: Report) -> None:
    facts = _daemon(settings)
    if facts:
        report(Progress("local-cloud", f"local cloud {settings.name}: shutting its nodes down"))
        _end(int(str(facts["pid"])), int(str(facts["start"])))
    with hold(settings.lock, wait=False):
        leftovers.clean(settings)
    left = leftovers.find(settings)
    if left:
        raise LocalCloudError(
            f"parts of the local cloud {settings.name} could not be removed",
            context="\n".join(left),
            hint=f"hcluster local stop --name {settings.name}",
        )
    report(Progress("local-cloud", f"local cloud {settings.name}: stopped", state="ok"))


def _end(pid: int, started: int) -> None:
    """SIGTERM, and SIGKILL when it has not ended in time; the pid is ours as long as its start time is."""
    for number, patience in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, 10.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if start_time(pid) != started:
                return
            time.sleep(_POLL)
