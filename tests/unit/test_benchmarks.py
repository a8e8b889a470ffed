"""The benchmarks run; what they measure is shown by running them in earnest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
