"""How long an `up` takes to a finished small job, beside the floor: the same nodes, daemons and job, started by hand.

``python -m benchmarks.up`` needs a platform that is up (``HCLUSTER_PLATFORM``) and measures, in each of three runs:

- `hcluster up` of a master and two workers, then `hcluster job run` of the examples' pi with 2 maps, from the first
  command's start to the second one's end;
- on the nodes of that cluster, whose daemons were stopped and whose HDFS and YARN were emptied: all daemons started at
  once by systemd over connections that are open already, the NameNode formatted from the same template, and the same
  job submitted by the same client as soon as HDFS takes files and YARN has a worker.

It prints what stands between the two, phase by phase, and all figures as one JSON object on its last line. ``--quick``
counts the calls of `up` alone and needs no platform.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hcluster.ports import Remote

NAME = "bench-up"
WORKERS = 2
JOB = ("pi", "2", "10")
EXAMPLES = "/opt/hadoop/examples/hadoop-mapreduce-examples.jar"
WANTED, AIM = 2.0, 1.25
BEFORE_READY = ("launch", "boot", "identity", "release", "puppet", "scripts", "daemons", "joining", "smoke tests")
AFTER_READY = ("noticing", "submission", "job", "result")
_HCLUSTER = str(Path(sys.executable).parent / "hcluster")
_UNITS = 'python3 -c \'import json; print(*(c["unit"] for c in json.load(open("/etc/hcluster/health.json"))))\''
STOP = f"""
set -eu
systemctl stop hcluster-converge.timer hadoop-checkpoint.timer 2>/dev/null || true
systemctl stop $({_UNITS})
rm -rf /var/lib/hadoop/*
"""
START = f"systemctl start --no-block $({_UNITS})"
"""On each node, at the same moment."""
SUBMIT = f"""
me=$(hostname --fqdn)
hdfs="http://$me:9870/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
until curl -s "$hdfs" | grep -q Operational; do sleep 0.1; done
until curl -s "http://$me:8088/ws/v1/cluster/metrics" | grep -q '"activeNodes":[1-9]'; do sleep 0.1; done
echo "SUBMIT $(date +%s.%N)"
HADOOP_USER_NAME=bench /usr/local/bin/hadoop jar {EXAMPLES} {" ".join(JOB)} 2>&1
echo "END $(date +%s.%N)"
"""
"""On the master, as early as it can be: HDFS is out of safe mode, and YARN has a node."""
APPLICATION = 'curl -s "http://$(hostname --fqdn):8088/ws/v1/cluster/apps/%s"'
_SUBMITTED = re.compile(r"Submitted application (application_\d+_\d+)")


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds of each phase, in their order."""

    up: Mapping[str, float]
    floor: Mapping[str, float]
    beside: Mapping[str, float] = field(default_factory=dict)
    """What ran beside the phases of `up`."""

    @property
    def ratio(self) -> float:
        """How much longer the launch takes."""
        return sum(self.up.values()) / sum(self.floor.values())


def launch_phases(
    began: float, returned: float, ended: float, job: tuple[float, float], found: Any
) -> dict[str, float]:
    """Seconds of each phase from the start of `up` to the end of `job run`, one after the other without gaps.

    Args:
        began: epoch seconds at which `up` was started.
        returned: at which it ended.
        ended: at which `job run` ended.
        job: at which its application was started and finished, as YARN says.
        found: what ``hcluster show --timings --output json`` prints.
    """
    last = max(found["nodes"], key=lambda node: node["ready"])
    origin = began_at(last["origin"])
    phases: dict[str, float] = {}
    at = began
    for span in last["phases"]:
        # The time before the name was claimed belongs to the launch.
        end = max(at, origin + span["end"])
        phases[span["name"]] = phases.get(span["name"], 0.0) + end - at
        at = end
    for name, until in zip(AFTER_READY, (returned, *job, ended), strict=True):
        end = max(at, until)
        phases[name], at = end - at, end
    return {name: round(seconds, 3) for name, seconds in phases.items()}


def beside(found: Any) -> dict[str, float]:
    """Seconds of each daemon from its process to its port, of what was joined and of each smoke test, on the node where
    it took longest; ``found`` as in ``launch_phases``."""
    longest: dict[str, float] = {}
    for span in (span for node in found["nodes"] for span in node["beside"]):
        longest[span["name"]] = max(longest.get(span["name"], 0.0), round(span["end"] - span["begin"], 3))
    return longest


def began_at(text: str) -> float:
    """Epoch seconds of an ISO 8601 time."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def floor_phases(began: float, output: str, job: tuple[float, float]) -> dict[str, float]:
    """The same of the start by hand; ``output`` is what ``SUBMIT`` printed."""
    said = {word: float(at) for word, at in re.findall(r"^(SUBMIT|END) ([\d.]+)$", output, re.MULTILINE)}
    bounds = (("daemons", said["SUBMIT"]), ("submission", job[0]), ("job", job[1]), ("result", said["END"]))
    phases, at = {}, began
    for name, until in bounds:
        end = max(at, until)
        phases[name], at = round(end - at, 3), end
    return phases


def table(runs: Sequence[Run]) -> str:
    """What each phase takes in each run, ours and the floor's, and what stands between the median and the aim."""
    there = dict.fromkeys(name for run in runs for name in run.up)
    names = [name for name in (*BEFORE_READY, *AFTER_READY) if name in there]
    names += [name for name in there if name not in names]
    lines = [f"{'seconds'.ljust(14)}" + "".join(f"   run {n + 1}: up  floor" for n in range(len(runs)))]
    for name in names:
        cells = "".join(f"{run.up.get(name, 0.0):13.1f}{run.floor.get(name, 0.0):7.1f}" for run in runs)
        lines.append(f"{name.ljust(14)}{cells}")
    whole = "".join(f"{sum(run.up.values()):13.1f}{sum(run.floor.values()):7.1f}" for run in runs)
    lines += [f"{'in all'.ljust(14)}{whole}", f"{'ratio'.ljust(14)}" + "".join(f"{run.ratio:20.2f}" for run in runs)]
    if daemons := dict.fromkeys(name for run in runs for name in run.beside):
        lines += ["", "beside each other, on the node where each took longest:"]
        cells = {name: "".join(_seconds(run.beside.get(name)) for run in runs) for name in daemons}
        lines += [f"{name.ljust(17)}{row}".rstrip() for name, row in cells.items()]
    middle = sorted(runs, key=lambda run: run.ratio)[len(runs) // 2]
    over = sum(middle.up.values()) - AIM * sum(middle.floor.values())
    lines += ["", f"between the run of ratio {middle.ratio:.2f} and {AIM}: {max(0.0, over):.1f} s. Beyond the floor:"]
    # The floor's daemons have joined, too.
    ours = dict(middle.up)
    ours["daemons"] = ours.get("daemons", 0.0) + ours.pop("joining", 0.0)
    beyond = {name: seconds - middle.floor.get(name, 0.0) for name, seconds in ours.items()}
    lines += [
        f"  {name.ljust(12)}{seconds:6.1f}"
        for name, seconds in sorted(beyond.items(), key=lambda item: -item[1])
        if seconds >= 0.05
    ]
    return "\n".join(lines)


def _seconds(taken: float | None) -> str:
    """Below those of `up`."""
    return f"{'' if taken is None else f'{taken:.1f}':>10}{'':10}"


# Measuring


def hcluster(*words: str) -> Any:
    """Run a command; what it printed as JSON."""
    done = subprocess.run([_HCLUSTER, "--output", "json", *words], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def application(master: Remote, name: str) -> tuple[float, float]:
    """Epoch seconds at which an application was started and finished."""
    code, out, err = master.run(APPLICATION % name)
    if code:
        raise RuntimeError(err.decode())
    app = json.loads(out)["app"]
    return app["startedTime"] / 1000, app["finishedTime"] / 1000


def side_by_side(nodes: Sequence[Remote], command: str) -> None:
    """Run a command as root on all nodes at the same moment."""
    failures: list[str] = []

    def run(node: Remote) -> None:
        code, _, err = node.run(["sudo", "sh", "-c", command])
        if code:
            failures.append(err.decode())

    threads = [threading.Thread(target=run, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def by_hand(nodes: Sequence[Remote]) -> dict[str, float]:
    """The floor, on the nodes of a cluster that runs; the master comes first."""
    side_by_side(nodes, STOP)
    answers: list[tuple[int, bytes, bytes]] = []
    began = time.time()
    waiting = threading.Thread(target=lambda: answers.append(nodes[0].run(["sh", "-c", SUBMIT])))
    waiting.start()
    side_by_side(nodes, START)
    waiting.join()
    if not answers or answers[0][0]:
        raise RuntimeError(f"the job by hand failed: {answers}")
    output = answers[0][1].decode()
    submitted = _SUBMITTED.search(output)
    if submitted is None:
        raise RuntimeError(f"no application was submitted:\n{output}")
    return floor_phases(began, output, application(nodes[0], submitted[1]))


def measure(spec: Path) -> Run:
    """One run; its cluster is gone afterwards."""
    from hcluster.cli import wire
    from hcluster.cli.config import resolve
    from hcluster.flows import reach

    context = wire.context(resolve(None, "json", os.environ))
    if any(one["name"] == NAME for one in hcluster("list")):
        # It would be gone on with, in no time.
        raise SystemExit(f"there is a cluster {NAME}: `hcluster down {NAME}` first")
    try:
        began = time.time()
        hcluster("up", str(spec))
        returned = time.time()
        ran = hcluster("job", "run", NAME, "--jar", "examples", "--class", JOB[0], "--", *JOB[1:])
        ended = time.time()
        found = hcluster("show", NAME, "--timings")
        nodes = [context.connector.connect(node, NAME) for node in reach.alive(context, NAME)]
        job = application(nodes[0], ran["applications"][-1])
        run = Run(launch_phases(began, returned, ended, job, found), by_hand(nodes), beside(found))
        for node in nodes:
            node.close()
        return run
    finally:
        hcluster("down", NAME, "--yes")


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the calls of `up` alone")
    options = parser.parse_args()
    from benchmarks.up_calls import LISTINGS, calls

    found: dict[str, Any] = {"quick": options.quick}
    if not options.quick:
        team = os.environ.get("HCLUSTER_TEAM", "default")
        wanted = {"name": NAME, "team": team, "core": {"count": WORKERS, "market": "spot", "types": ["m5.large"]}}
        with tempfile.TemporaryDirectory() as folder:
            spec = Path(folder, f"{NAME}.yaml")
            spec.write_text(json.dumps(wanted))
            runs = [measure(spec) for _ in range(options.runs)]
        print(table(runs))
        ratio = statistics.median(run.ratio for run in runs)
        print(f"\nratio {ratio:.2f}, wanted {WANTED} or less: {'met' if ratio <= WANTED else 'not met'}")
        found |= {
            "ratio": round(ratio, 3),
            "wanted": WANTED,
            "runs": [{**asdict(run), "ratio": run.ratio} for run in runs],
        }
    sizes = (3, 10)
    found["calls"] = dict(zip(map(str, sizes), calls(*sizes), strict=True))
    few, many = ({name: n for name, n in one.items() if name not in LISTINGS} for one in found["calls"].values())
    print(f"calls of `up` but for listings: {sum(few.values())} for 3 nodes, {sum(many.values())} for 10")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
