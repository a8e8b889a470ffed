"""The benchmarks run; what they measure is shown by running them in earnest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import archives, archives_node, cli, up, up_calls
from benchmarks.localcloud import Row, cost, family

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_local_clouds_benchmark_prints_a_table_and_its_figures_as_the_last_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.localcloud", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["quick"] is True
    assert found["api"]["cloud"]["describe_few_raw"] > 0
    assert found["api"]["moto"]["describe_few_raw"] > 0
    assert {one["name"] for one in found["s3"]} >= {"put 1 KB, serial", "get 1 KB, serial"}
    assert found["idle"]["rss_mib"] > 0
    assert {"idle, memory", "RunInstances of 20, dry"} <= set(found["goals"])
    assert any("DescribeInstances by tag" in line for line in shown)


def test_a_goal_is_a_bound_or_else_moto() -> None:
    assert Row("a", "ms", 40, 7000, 50).met is True
    assert Row("a", "ms", 60, 7000, 50).met is False
    assert Row("a", "1/s", 300, 200, more_is_better=True).met is True
    assert Row("a", "s", 0.3, 0.2).met is False
    assert Row("a", "s", 0.3).met is None


def test_a_process_costs_what_it_and_its_children_hold() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pids = family(os.getpid())
        assert {os.getpid(), child.pid} <= set(pids)
        memory, seconds = cost(pids)
        assert memory > cost([os.getpid()])[0] > 0
        assert seconds > 0
        assert cost([2**22 + 1]) == (0, 0)
    finally:
        child.communicate()


def test_up_makes_the_same_calls_for_three_nodes_and_for_ten_but_for_listings() -> None:
    few, many = (
        {name: n for name, n in found.items() if name not in up_calls.LISTINGS} for found in up_calls.calls(3, 10)
    )
    assert few == many
    # A fleet and a template for each of two groups, and a write of the launch's row once.
    assert few["CreateFleet"] == few["CreateLaunchTemplate"] == 2
    assert sum(few.values()) < 40


TIMINGS = {
    "nodes": [
        {"ready": 20.0, "origin": "2026-01-10T12:00:00Z", "phases": []},
        {
            "ready": 30.0,
            "origin": "2026-01-10T12:00:00Z",
            "phases": [
                {"name": "launch", "begin": 0.0, "end": 4.0},
                {"name": "puppet", "begin": 4.0, "end": 10.0},
                {"name": "daemons", "begin": 10.0, "end": 30.0},
            ],
        },
    ]
}
ZERO = up.began_at("2026-01-10T12:00:00Z")


def test_the_phases_of_a_launch_add_up_to_what_was_waited_for() -> None:
    found = up.launch_phases(ZERO - 1, ZERO + 31, ZERO + 50, (ZERO + 36, ZERO + 49), TIMINGS)
    assert found == {
        "launch": 5.0,
        "puppet": 6.0,
        "daemons": 20.0,
        "noticing": 1.0,
        "submission": 5.0,
        "job": 13.0,
        "result": 1.0,
    }
    assert sum(found.values()) == 51.0


def test_the_floor_is_told_by_what_the_master_printed() -> None:
    output = f"SUBMIT {ZERO + 11.5}\nSubmitted application application_1_0002\nEND {ZERO + 30.25}\n"
    found = up.floor_phases(ZERO, output, (ZERO + 14, ZERO + 30))
    assert found == {"daemons": 11.5, "submission": 2.5, "job": 16.0, "result": 0.25}


def test_the_table_names_what_stands_between_the_median_run_and_the_aim() -> None:
    floor = {"daemons": 10.0, "job": 10.0}
    rest = {"daemons": 8.0, "joining": 4.0, "job": 10.0}
    runs = [up.Run({"puppet": extra, **rest}, floor) for extra in (10.0, 18.0, 3.0)]
    text = up.table(runs)
    assert "between the run of ratio 1.60 and 1.25: 7.0 s" in text
    assert text.splitlines()[-2].split() == ["puppet", "10.0"]
    assert text.splitlines()[-1].split() == ["daemons", "2.0"]


def test_each_daemon_is_told_by_the_node_where_it_took_longest() -> None:
    def node(*spans: tuple[str, float, float]) -> dict[str, object]:
        return {"beside": [{"name": name, "begin": begin, "end": end} for name, begin, end in spans]}

    found = {"nodes": [node(("namenode", 9.0, 14.5)), node(("datanode", 7.0, 9.0)), node(("datanode", 8.0, 12.25))]}
    assert up.beside(found) == {"namenode": 5.5, "datanode": 4.25}
    phases = {"daemons": 10.0}
    text = up.table([up.Run(phases, phases, up.beside(found)), up.Run(phases, phases, {"datanode": 3.0})])
    head, *lines = text[text.index("beside") :].split("\n\n")[0].splitlines()
    assert head == "beside each other, on the node where each took longest:"
    assert [line.split() for line in lines] == [["namenode", "5.5"], ["datanode", "4.2", "3.0"]]
    # Each stands below the seconds of its run.
    ends = {line.index("10.0") + 4 for line in text.splitlines() if line.startswith("daemons")}
    assert {line.index(number) + 3 for line, number in zip(lines, ("5.5", "4.2"), strict=True)} == ends


def test_what_archives_save_is_told_by_medians_and_their_ratios() -> None:
    runs = {
        "namenode": {
            "plain": [{"seconds": 4.0, "cpu": 6.0}, {"seconds": 9.0, "cpu": 6.0}, {"seconds": 5.0, "cpu": 8.0}],
            "archive": [{"seconds": 2.0, "cpu": 3.0}, {"seconds": 2.5, "cpu": 3.0}, {"seconds": 7.0, "cpu": 3.0}],
        }
    }
    found = archives.summary(runs)["namenode"]
    assert found["plain"] == {"seconds": 5.0, "cpu": 6.0}
    assert found["archive"] == {"seconds": 2.5, "cpu": 3.0}
    assert found["ratio"] == {"seconds": 0.5, "cpu": 0.5}


def test_a_node_without_its_archives_uses_javas_own_and_gets_them_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, plain, ran = tmp_path / "archives", tmp_path / "plain", list[list[str]]()
    folder.mkdir()
    (folder / "hadoop.jsa").write_text("all classes")

    def run(command: list[str], **_: object) -> None:
        ran.append(command)

    monkeypatch.setattr(archives_node, "ARCHIVES", folder)
    monkeypatch.setattr(archives_node, "PLAIN", plain)
    monkeypatch.setattr(archives_node, "mounted", lambda: bool(ran) and ran[-1][0] == "mount")
    monkeypatch.setattr(subprocess, "run", run)
    for mode in ("plain", "plain", "archive", "archive", "plain"):
        archives_node.use(mode)
    assert [command[0] for command in ran] == ["mount", "umount", "mount"]
    assert ran[0][2:] == [str(plain), str(folder)]
    assert (plain / "hadoop.jsa").readlink() == archives_node.JAVA
    assert (folder / "hadoop.jsa").read_text() == "all classes"


@pytest.mark.slow
def test_the_command_lines_benchmark_prints_a_table_and_its_figures_as_the_last_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cli", "--runs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    found = json.loads(last)
    assert {one["name"] for one in found["figures"]} >= {"python -c pass", "hcluster --help", "hcluster list"}
    assert all(one["least"] > 0 for one in found["figures"])
    assert set(found["goals"]) == {"hcluster --help", "hcluster list"}
    assert any("hcluster list" in line for line in shown)


def test_the_cheapest_run_counts_beside_an_interpreter_that_does_nothing() -> None:
    nothing, listed = cli.figures({"nothing": [0.02, 0.01], "hcluster list": [0.6, 0.45, 0.5]}, "nothing")
    assert (nothing.least, nothing.times, nothing.met) == (0.01, 1.0, None)
    assert (listed.least, listed.median, listed.times, listed.met) == (0.45, 0.5, 45.0, True)
