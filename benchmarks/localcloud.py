"""What the local cloud costs and how fast it is, beside plain moto in the same run.

``python -m benchmarks.localcloud`` measures, each server in a process of its own:

- real nodes: seconds from the launch call until every one of 1, 3 and 10 nodes answers on its SSH port (needs root;
  ``--no-nodes`` leaves them out);
- the idle cost of that cloud, its own processes together, over a minute;
- the API with 5,000 recorded instances, with dry nodes (``benchmarks.api_figures``);
- S3 (``benchmarks.localcloud_s3``).

It prints a table, and all figures as one JSON object on its last line. ``--quick`` is the same with small numbers and
no nodes: it shows that the measurement works, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import api_figures, localcloud_s3

NODES = (1, 3, 10)
IDLE_SECONDS = 60.0
NAME = "bench"
_SSH = 22
_PATIENCE = 180.0
Scale = Sequence[tuple[ModuleType, Mapping[str, Any]]]
QUICK: Scale = (
    (api_figures, {"BATCH": 20, "_ROUNDS": 2}),
    (
        localcloud_s3,
        {
            "KEYS": 50,
            "BIG": 1 << 20,
            "BODY": b"x" * (1 << 20),
            "MEASUREMENTS": [replace(one, count=min(one.count, 16), times=1) for one in localcloud_s3.MEASUREMENTS],
        },
    ),
)
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    unit: str
    ours: float
    moto: float | None = None
    goal: float | None = None
    """At most so much; without one and with moto's figure, the goal is to be no worse than moto."""
    more_is_better: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        bound = self.goal if self.goal is not None else self.moto
        if bound is None:
            return None
        return self.ours >= bound if self.more_is_better else self.ours <= bound


# Real nodes


@contextmanager
def real_cloud(name: str, state: Path) -> Iterator[Any]:
    """(boto3 EC2 client, status) of a new cloud; it is deleted at the end."""
    from hcluster.aws.session import AwsSession
    from hcluster.localcloud import control

    control.reset(name, state)
    found = control.start(name, state)
    try:
        yield AwsSession(found.profile, Path(found.directory), "us-east-1").client("ec2"), found
    finally:
        control.reset(name, state)


def open_group(ec2: Any) -> str:
    """A security group whose members are reached on the SSH port."""
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = str(ec2.create_security_group(GroupName="bench", Description="bench", VpcId=vpc)["GroupId"])
    rule = {"IpProtocol": "tcp", "FromPort": _SSH, "ToPort": _SSH, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return group


def boot(ec2: Any, image: str, group: str, count: int) -> float:
    """Seconds from the launch call until every node has greeted on its SSH port; the nodes are ended."""
    begun = time.perf_counter()
    launched = ec2.run_instances(
        ImageId=image, InstanceType="t3.micro", MinCount=count, MaxCount=count, SecurityGroupIds=[group]
    )["Instances"]
    waiting = {str(one["PrivateIpAddress"]) for one in launched}
    while waiting:
        if time.perf_counter() - begun > _PATIENCE:
            raise RuntimeError(f"{sorted(waiting)} did not answer within {_PATIENCE:.0f} s")
        waiting -= {address for address in waiting if _greets(address)}
        time.sleep(0.02)
    took = time.perf_counter() - begun
    ids = [one["InstanceId"] for one in launched]
    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 180})
    return took


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, _SSH), timeout=0.5) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """A process and its descendants, without those of the nodes (which have process namespaces of their own)."""
    own = Path(f"/proc/{pid}/ns/pid").readlink()
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                same = (entry / "ns/pid").readlink() == own
            except OSError:
                continue  # it ended meanwhile
            if same:
                children.setdefault(parent, []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        left += children.get(one, [])
    return found


def cost(pids: Sequence[int]) -> tuple[float, float]:
    """(MiB that processes hold, processor seconds that they have used)."""
    memory = seconds = 0.0
    for pid in pids:
        try:
            memory += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / (1 << 20)
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / _TICK
    return memory, seconds


def idle(pid: int, seconds: float) -> dict[str, float]:
    """Memory and share of a core of a cloud's own processes while nobody asks anything of it."""
    pids = family(pid)
    _, before = cost(pids)
    time.sleep(seconds)
    memory, after = cost(pids)
    return {"rss_mib": round(memory, 1), "core": round((after - before) / seconds, 5), "processes": len(pids)}


def nodes(name: str, state: Path, counts: Sequence[int], seconds: float) -> dict[str, Any]:
    """Boot times and idle cost of a cloud with real nodes."""
    with real_cloud(name, state) as (ec2, found):
        group = open_group(ec2)
        boots = {str(count): round(boot(ec2, found.image_id, group, count), 2) for count in counts}
        time.sleep(5)  # what is still being tidied up after the last one
        return {"boot_to_ssh_s": boots, "idle": idle(found.pid, seconds)}


# The API


@contextmanager
def scaled(values: Scale) -> Iterator[None]:
    """Smaller numbers in the modules that measure."""
    before = [(module, {name: getattr(module, name) for name in names}) for module, names in values]
    try:
        for module, names in values:
            vars(module).update(names)
        yield
    finally:
        for module, names in before:
            vars(module).update(names)


def api(recorded: int) -> dict[str, Any]:
    """EC2's figures of both servers."""
    return {kind: api_figures.figures(kind, recorded) for kind in ("cloud", "moto")}


def s3() -> list[dict[str, Any]]:
    """S3's figures of both servers."""
    return [
        {"name": ours.name, "unit": ours.unit, "cloud": round(ours.value, 4), "moto": round(theirs.value, 4)}
        for ours, theirs in localcloud_s3.compare()
    ]


def rows(found: Mapping[str, Any]) -> list[Row]:
    """The table's lines."""
    made: list[Row] = []
    real = found.get("nodes") or {}
    for count, took in (real.get("boot_to_ssh_s") or {}).items():
        made.append(Row(f"boot to ssh, {count} nodes", "s", took))
    quiet = found["idle"]
    made += [
        Row("idle, memory", "MiB", quiet["rss_mib"], goal=250),
        Row("idle, share of a core", "%", quiet["core"] * 100, goal=1),
    ]
    ours, moto = found["api"]["cloud"], found["api"]["moto"]
    recorded = f"{ours['recorded']:,} recorded"
    batch = found["batch"]

    def both(name: str, key: str, scale: float, unit: str, goal: float | None = None) -> Row:
        return Row(name, unit, ours[key] * scale, moto[key] * scale, goal)

    made += [
        both(f"DescribeInstances by tag, {recorded}", "describe_few_raw", 1000, "ms", 50),
        both("the same through boto3", "describe_few_boto3", 1000, "ms"),
        both("DescribeInstances, a page of 1,000", "describe_page_of_1000_raw", 1000, "ms"),
        Row(
            f"RunInstances of {batch:,}, dry",
            "s",
            ours["run_instances_1000_raw"]["first"],
            moto["run_instances_1000_raw"]["first"],
            1,
        ),
        Row(
            f"the same, {recorded}",
            "s",
            ours["run_instances_1000_raw"]["last"],
            moto["run_instances_1000_raw"]["last"],
            1,
        ),
        both(f"TerminateInstances of {batch:,}", "terminate_1000", 1, "s"),
        both(f"memory, {recorded}", "rss_full_mib", 1, "MiB"),
    ]
    made += [
        Row(f"S3 {one['name']}", one["unit"], one["cloud"], one["moto"], more_is_better=one["unit"] == "1/s")
        for one in found["s3"]
    ]
    return made


def table(lines: Sequence[Row]) -> Table:
    """For a person."""
    shown = Table("", "local cloud", "plain moto", "goal", "unit", title="Local cloud")
    for line in lines:
        sign = "≥" if line.more_is_better else "≤"
        goal = f"{sign} {line.goal:g}" if line.goal is not None else f"{sign} moto" if line.moto is not None else ""
        mark = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[line.met]
        theirs = "" if line.moto is None else f"{line.moto:,.2f}"
        shown.add_row(line.name, f"{line.ours:,.2f}", theirs, f"{goal} {mark}".strip(), line.unit)
    return shown


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "quick": options.quick}
    if options.nodes:
        found["nodes"] = nodes(NAME, options.state, options.nodes, options.seconds)
        found["idle"] = found["nodes"]["idle"]
    else:
        found["idle"] = api_figures.idle(options.seconds)
    found["batch"] = api_figures.BATCH
    found["api"] = api(60 if options.quick else api_figures.RECORDED)
    found["s3"] = s3()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localcloud", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, no nodes: does it work?")
    parser.add_argument("--no-nodes", dest="nodes", action="store_const", const=(), default=NODES)
    parser.add_argument("--seconds", type=float, default=IDLE_SECONDS, help="how long the idle cloud is watched")
    default = Path(os.environ.get("HCLUSTER_STATE", Path(__file__).parents[1] / ".state"))
    parser.add_argument("--state", type=Path, default=default, help="state folder of the cloud with real nodes")
    options = parser.parse_args(arguments)
    if options.quick:
        options.nodes, options.seconds = (), min(options.seconds, 1.0)
    with scaled(QUICK if options.quick else ()):
        found = measure(options)
        lines = rows(found)
    found["goals"] = {line.name: line.met for line in lines if line.met is not None}
    Console().print(table(lines))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
