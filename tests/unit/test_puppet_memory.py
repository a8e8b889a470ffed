"""The table of memory: whatever a node's size, what is handed out fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

DATA: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "puppet/data/memory.yaml").read_text())
TABLE = DATA["profile::memory::table"]


def footprint(role: str, memory: int) -> int:
    rows = TABLE[role].values()
    return sum(
        max(row["least"], min(row["most"], int(memory * row["percent"] / 100))) + int(row["beside"]) for row in rows
    )


@pytest.mark.parametrize("memory", [1536, 3072, 8192, 16384, 65536, 262144])
@pytest.mark.parametrize("role", ["core", "task"])
def test_a_worker_has_room_for_two_containers(role: str, memory: int) -> None:
    assert memory - footprint(role, memory) >= 2 * DATA["profile::memory::container"][0]


@pytest.mark.parametrize("memory", [8192, 65536])
def test_a_worker_of_any_size_hands_out_most_of_its_memory(memory: int) -> None:
    assert footprint("core", memory) < memory / 5


@pytest.mark.parametrize("memory", [3072, 16384, 131072])
def test_a_master_leaves_room_for_commands(memory: int) -> None:
    assert memory - footprint("master", memory) >= 600


def test_the_smallest_platform_fits_its_node_and_a_validated_image_its_bake() -> None:
    assert footprint("platform", 1536) <= 1536 - 256
    assert footprint("validate", 3072) <= 3072 - 512
