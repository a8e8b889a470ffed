"""On a master: workers that are to go are emptied first. HDFS copies their blocks, YARN lets their work end."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hcluster.errors import NodeFailedError

POLL_SECONDS = 2.0
PROGRAM = "/usr/local/bin/hcluster-node"
NAMENODE = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"
NODES = "/ws/v1/cluster/nodes?states=NEW,RUNNING,UNHEALTHY,DECOMMISSIONING"
_DONE = "excluded"
Excluded = Mapping[str, Sequence[str]]
Ask = Callable[[str], Any]


def commands(excluded: Excluded, seconds: int) -> list[list[str]]:
    """What lets HDFS and YARN read their lists again. Pure.

    YARN waits on the server's side: work that has not ended after ``seconds`` is run again elsewhere.
    """
    graceful = ["-g", str(seconds), "-server"] if excluded.get("yarn") else []
    return [["hdfs", "dfsadmin", "-refreshNodes"], ["yarn", "rmadmin", "-refreshNodes", *graceful]]


def refresh(excluded: Excluded, seconds: int, var: Path) -> None:
    """Let both daemons read their lists, when these are others than the last time.

    Raises:
        NodeFailedError: one of them refused.
    """
    noted, now = var / _DONE, json.dumps({kind: sorted(excluded.get(kind, ())) for kind in ("hdfs", "yarn")})
    before = noted.read_text() if noted.exists() else json.dumps({"hdfs": [], "yarn": []})
    if before == now:
        return
    for command in commands(excluded, seconds):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as cause:
            raise NodeFailedError(f"{' '.join(command)} did not end", context=str(cause)) from cause
        if done.returncode != 0:
            raise NodeFailedError(f"{' '.join(command)} failed", context=f"{done.stdout}\n{done.stderr}"[-4000:])
    var.mkdir(parents=True, exist_ok=True)
    noted.write_text(now)


def remaining(excluded: Excluded, namenode: Mapping[str, Any], nodes: Mapping[str, Any]) -> list[str]:
    """What still keeps nodes from being empty, for people; [] when nothing does. Pure.

    Args:
        excluded: addresses by ``hdfs``, host names by ``yarn``.
        namenode: the NameNode's bean ``NameNodeInfo``.
        nodes: the ResourceManager's answer about the nodes that it has not given up.
    """
    live = {_address(one): one for one in json.loads(namenode["LiveNodes"]).values()}
    dead = {_address(one) for one in json.loads(namenode["DeadNodes"]).values()}
    left = []
    for address in excluded.get("hdfs", ()):
        state = str(live[address]["adminState"]) if address in live else "" if address in dead else "unknown"
        if state not in ("Decommissioned", ""):
            left.append(f"HDFS: {address} is {state}")
    return left + [
        f"YARN: {one['nodeHostName']} is {one['state']} with {one.get('numContainers', 0)} containers"
        for one in (nodes.get("nodes") or {}).get("node") or ()
        if one["nodeHostName"] in excluded.get("yarn", ())
    ]


def _address(one: Mapping[str, Any]) -> str:
    return str(one.get("xferaddr", "")).rpartition(":")[0]


def ask(url: str) -> Any:
    """JSON from a daemon of this cluster."""
    # A proxy from the environment must never come between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return json.load(answer)


def start(mark: str) -> None:
    """Watch over the draining in a unit of its own: it may take longer than any run of Puppet.

    Raises:
        NodeFailedError: systemd refused.
    """
    unit = f"hcluster-drain-{mark}"
    command = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", PROGRAM, "drain"]
    running = subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False, timeout=20)
    if running.returncode == 0:
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise NodeFailedError("the draining cannot be watched", context=done.stderr)


def watch(
    values: Mapping[str, Any],
    answer: str,
    still_told: Callable[[], bool],
    check_in: Callable[[str, Mapping[str, object]], None],
    *,
    ask: Ask = ask,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Check in once the nodes are empty; 0 then and when something else is told meanwhile, 1 after the deadline.

    Args:
        values: this node's Hiera layer.
        answer: the phase with which it answers.
        still_told: whether it is told the same still.
        check_in: how it answers.
        ask: reads JSON from a URL.
        sleep: lets seconds pass.
        clock: seconds.
    """
    excluded, host = values["hcluster::excluded"], values["hcluster::master_host"]
    end, said = clock() + float(values["hcluster::drain_seconds"]) + 600.0, ""
    while clock() < end and still_told():
        try:
            beans = ask(f"http://{host}:9870{NAMENODE}")["beans"]
            left = remaining(excluded, beans[0], ask(f"http://{host}:8088{NODES}"))
        except (OSError, ValueError, LookupError) as cause:
            left = [f"asking failed: {cause}"]
        if not left:
            check_in(answer, {})
            return 0
        if "; ".join(left) != said:
            said = "; ".join(left)
            print(f"hcluster: draining: {said}", flush=True)
        sleep(POLL_SECONDS)
    return 1 if still_told() else 0
