"""Where the contract is tried: the in-memory ports, and the boto3 adapter against the embedded cloud's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.api_world import Api, ApiWorld
from tests.contract.world import MemoryWorld, World


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of an embedded cloud on loopback, with machines that are up at once."""
    with Api(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(params=["memory", "boto3"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A cloud with nothing of the test's own in it yet."""
    made: World = (
        MemoryWorld(tmp_path) if request.param == "memory" else ApiWorld(request.getfixturevalue("api"), tmp_path)
    )
    yield made
    made.clean()
