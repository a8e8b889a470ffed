from __future__ import annotations

import os
from pathlib import Path

import pytest

from hcluster.node.machine import booted_at, memory_mib, vcpus

MEMINFO = "MemFree: 1 kB\nMemTotal:       24576000 kB\n"


def proc(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def test_memory_is_the_machines_when_no_group_limits_it(tmp_path: Path) -> None:
    assert memory_mib(proc(tmp_path), tmp_path / "none") == 24000


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("memory.max", "1610612736\n", 1536),
        ("memory.max", "max\n", 24000),
        ("memory/memory.limit_in_bytes", "1610612736\n", 1536),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 24000),
    ],
)
def test_memory_is_the_smaller_of_machine_and_group_in_both_versions(
    tmp_path: Path, file: str, text: str, expected: int
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert memory_mib(proc(tmp_path), tmp_path) == expected


def test_a_quota_of_one_and_a_half_processors_counts_as_two(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert vcpus(tmp_path, online=8) == 2


def test_no_quota_leaves_the_processors_online(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert vcpus(tmp_path, online=8) == 8


def test_a_small_quota_still_counts_as_one(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("20000 100000\n")
    assert vcpus(tmp_path, online=4) == 1


def test_boot_is_the_start_of_the_first_process_also_on_a_shared_kernel(tmp_path: Path) -> None:
    """A container's first process began long after the kernel did."""
    (tmp_path / "1").mkdir()
    ticks = 90 * os.sysconf("SC_CLK_TCK")
    (tmp_path / "1/stat").write_text(f"1 (sy) 9 (stemd) S 0 {' '.join(['7'] * 17)} {ticks} 1 2\n")
    (tmp_path / "uptime").write_text("100.50 300.00\n")
    assert booted_at(tmp_path, now=5000.0) == 5000.0 - 10.5
