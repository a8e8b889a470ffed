"""What the command line itself costs: processor time of `hcluster --help` and of `hcluster list`.

``python -m benchmarks.cli`` starts the local cloud's API with dry nodes in a process of its own, gives it clusters,
and measures the user and system time of each command's own process. That is its cost over the API's own time, as a
process that waits for an answer uses none. Of several runs the cheapest counts, because whatever else runs on the
machine only makes them dearer; each is shown as a multiple of what an interpreter that does nothing costs in the same
run, too. ``list`` on a platform without anything shows what the clusters add.

It prints a table, and all figures as one JSON object on its last line. ``--runs 1`` shows that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.api_figures import REGION, Served, served

RUNS = 9
CLUSTERS, NODES = 5, 4
"""How many clusters the full cloud has, and how many nodes each."""
GOALS = {"hcluster --help": 0.2, "hcluster list": 0.5}
"""Seconds of processor time at most."""
BUCKET, PLATFORM = "bench", "bench"
SCRIPT = Path(sys.executable).with_name("hcluster")


@dataclass(frozen=True, slots=True)
class Figure:
    """One command's seconds of processor time."""

    name: str
    least: float
    median: float
    times: float
    """Of the cheapest interpreter that does nothing."""
    goal: float | None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.least <= self.goal


def cpu(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """User and system seconds of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=dict(environment), check=True, stdout=subprocess.DEVNULL, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]], runs: int) -> dict[str, list[float]]:
    """Seconds of each command, by name; the commands take turns, so that a busy moment hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for command, environment in commands.values():
        cpu(command, environment)  # bytecode is written and files are cached now
    for _ in range(runs):
        for name, (command, environment) in commands.items():
            found[name].append(cpu(command, environment))
    return found


def figures(seconds: Mapping[str, Sequence[float]], nothing: str) -> list[Figure]:
    """From seconds to figures; ``nothing`` is the name of the interpreter that does nothing."""
    base = min(seconds[nothing])
    return [
        Figure(
            name, round(min(took), 3), round(statistics.median(took), 3), round(min(took) / base, 1), GOALS.get(name)
        )
        for name, took in seconds.items()
    ]


def environment(server: Served, folder: Path, platform: str) -> dict[str, str]:
    """What a caller's shell holds to reach a platform on a server."""
    aws = folder / "aws"
    aws.mkdir(exist_ok=True)
    (aws / "config").write_text(f"[profile bench]\nregion = {REGION}\nendpoint_url = {server.url}\n")
    access, secret = server.keys
    (aws / "credentials").write_text(f"[bench]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
    file = folder / f"{platform}.yaml"
    place = f"aws: {{profile: bench, directory: {aws}}}"
    file.write_text(f"name: {platform}\nbucket: {platform}\nteams: [analytics]\n{place}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HCLUSTER_", "AWS_", "PYTHON"))}
    # Bytecode is kept, as it is for whoever installs, wherever this runs.
    kept["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    kept["HCLUSTER_STATE"] = str(folder / "state")
    return {**kept, "HCLUSTER_PLATFORM": str(file), "HCLUSTER_USER": "bench", "HCLUSTER_TEAM": "analytics"}


def fill(server: Served, folder: Path) -> None:
    """Give a platform its clusters: claims, nodes and their check-ins, as `up` and the nodes leave them."""
    from hcluster.aws.objects import S3ObjectStore
    from hcluster.aws.session import AwsSession
    from hcluster.cli.wire import SystemClock
    from hcluster.flows.records import Claim
    from hcluster.model import names
    from hcluster.spec.cluster import ClusterSpec

    session = AwsSession("bench", folder / "aws", REGION)
    store = S3ObjectStore(session, PLATFORM, SystemClock())
    store.ensure_bucket({names.TAG_PLATFORM: PLATFORM})
    for number in range(CLUSTERS):
        name = f"cluster-{number}"
        spec = ClusterSpec.model_validate({"name": name, "team": "analytics", "core": {"count": NODES - 1}})
        launch = f"20260101t000000-{number:04d}"
        claim = Claim(name, "analytics", "bench", launch, time.time(), json.loads(spec.to_json()))
        store.put(names.spec_key(name), claim.body())
        for place in range(NODES):
            tags = {
                names.TAG_PLATFORM: PLATFORM,
                names.TAG_CLUSTER: name,
                names.TAG_GROUP: "core" if place else "master",
                names.TAG_TEAM: "analytics",
                names.TAG_LAUNCH: launch,
            }
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            answer = server.ec2.run_instances(
                ImageId=server.image,
                InstanceType="m5.large",
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": listed}],
            )
            for phase in ("booted", "configured", "ready"):
                store.put(names.checkin_key(name, answer["Instances"][0]["InstanceId"], phase), b"{}")


def table(found: Sequence[Figure]) -> Table:
    """For a person."""
    shown = Table("", "least", "median", "x python -c pass", "goal", title="Seconds of processor time")
    for one in found:
        goal = "" if one.goal is None else f"≤ {one.goal:g} {'[green]yes[/]' if one.met else '[red]no[/]'}"
        shown.add_row(one.name, f"{one.least:.3f}", f"{one.median:.3f}", f"{one.times:.1f}", goal)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cli", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each command")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hcluster-cli-") as temporary:
        folder = Path(temporary)
        with served("cloud", folder / "cloud") as server:
            full, empty = (environment(server, folder, name) for name in (PLATFORM, "empty"))
            fill(server, folder)
            nothing = "python -c pass"
            commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
                nothing: ([sys.executable, "-c", "pass"], full),
                "hcluster --help": ([str(SCRIPT), "--help"], full),
                "hcluster list, nothing there": ([str(SCRIPT), "list"], empty),
                "hcluster list": ([str(SCRIPT), "list"], full),
            }
            found = figures(measure(commands, options.runs), nothing)
    Console().print(table(found))
    result: dict[str, Any] = {
        "runs": options.runs,
        "clusters": CLUSTERS,
        "nodes": CLUSTERS * NODES,
        "figures": [asdict(one) for one in found],
        "goals": {one.name: one.met for one in found if one.met is not None},
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
