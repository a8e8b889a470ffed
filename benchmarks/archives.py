"""What the class-data archives of an image save, on a cluster that runs.

``python -m benchmarks.archives NAME`` restarts the daemons of one node of each group, and of the platform's node, with
their archives and with Java's own archive in turns, then runs a small MapReduce job and Hive's first and second query
both ways. It prints a table, and all figures as one JSON object on its last line. The cluster is to be idle, and is as
before at the end. Ratios are of medians within the run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

NODE = Path(__file__).with_name("archives_node.py")
MODES = ("plain", "archive")
PLATFORM = "platform"
QUERY = "select count(*) from (select explode(array(1, 2, 3)) as n) t group by n"
JOB = ("--jar", "examples", "--class", "pi", "--", "2", "10")
Runs = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]


def hcluster(*words: str) -> str:
    """Run the command that stands beside this Python; what it printed."""
    command = [str(Path(sys.executable).with_name("hcluster")), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1800).stdout


def on(cluster: str, instance: str, argument: object) -> str:
    """Run the node's part there."""
    where = ("--instance", instance) if instance else ()
    command = ("sudo", "/usr/bin/python3", "-c", NODE.read_text(), str(argument))
    told = json.loads(hcluster("--output", "json", "exec", cluster, *where, "--timeout", "1800", "--", *command))
    for node in told:
        if node["exit_code"]:
            raise SystemExit(f"{instance or cluster}: {node['stderr']}")
    return str(told[0]["stdout"])


def one_of_each(cluster: str) -> list[str]:
    """A node of each group."""
    groups: dict[str, str] = {}
    for node in json.loads(hcluster("--output", "json", "nodes", cluster)):
        groups.setdefault(node["group"], node["instance"]["id"])
    return list(groups.values())


def timed(*words: str) -> float:
    """Seconds that a command takes as a whole."""
    start = time.monotonic()
    hcluster(*words)
    return time.monotonic() - start


def work(cluster: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of a small job, and of the first and the second query of a new HiveServer2, both ways."""
    found: dict[str, dict[str, list[float]]] = {"job": {}, "first query": {}, "second query": {}}
    restart = "systemctl restart hive-server2 && hcluster-node health"
    try:
        for _ in range(rounds):
            for mode in MODES:
                on(cluster, "", mode)
                hcluster("exec", cluster, "--group", "master", "--", "sudo", "sh", "-c", restart)
                for what in ("first query", "second query"):
                    found[what].setdefault(mode, []).append(timed("sql", cluster, QUERY))
                found["job"].setdefault(mode, []).append(timed("job", "run", cluster, *JOB))
    finally:
        on(cluster, "", "archive")
    return found


def summary(runs: Runs) -> dict[str, dict[str, Any]]:
    """By daemon: medians by mode, and of the archive's to the other's the ratio."""
    made: dict[str, dict[str, Any]] = {}
    for name, modes in runs.items():
        figures = {
            mode: {key: round(median(run[key] for run in found), 3) for key in found[0]}
            for mode, found in modes.items()
        }
        ratio = {key: round(figures["archive"][key] / figures["plain"][key], 3) for key in figures["plain"]}
        made[name] = {**figures, "ratio": ratio}
    return made


def table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """For a person: plain → archive."""
    shown = Table(
        "", "seconds", "ratio", "CPU s", "ratio", "RSS MiB", "PSS MiB", "dirty MiB", title="Class-data archives"
    )
    for name, figures in found.items():
        old, new, ratio = figures["plain"], figures["archive"], figures["ratio"]
        cells = [f"{old['seconds']:.1f} → {new['seconds']:.1f}", f"{ratio['seconds']:.2f}"]
        if "cpu" in old:
            cells += [f"{old['cpu']:.1f} → {new['cpu']:.1f}", f"{ratio['cpu']:.2f}"]
            cells += [f"{old[key]:.0f} → {new[key]:.0f}" for key in ("rss", "pss", "dirty")]
        shown.add_row(name, *cells)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archives", description=__doc__)
    parser.add_argument("cluster", help="name of a cluster that runs and is idle")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind")
    options = parser.parse_args(arguments)
    runs: dict[str, Any] = {}
    for cluster in (options.cluster, PLATFORM):
        for instance in one_of_each(options.cluster) if cluster != PLATFORM else [""]:
            runs |= json.loads(on(cluster, instance, options.rounds))
    for name, modes in work(options.cluster, options.rounds).items():
        runs[name] = {mode: [{"seconds": one} for one in seconds] for mode, seconds in modes.items()}
    found = summary(runs)
    Console(width=120).print(table(found))
    print(json.dumps({"rounds": options.rounds, "figures": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
