"""A member of a cluster becomes what it was told to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from hcluster.node import converge as program
from hcluster.node import release
from hcluster.node.bootstrap import Paths
from hcluster.node.converge import converge
from hcluster.node.imds import Imds
from tests.unit.node_world import FixedImds, user_data


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "etc", tmp_path / "opt", tmp_path / "var", tmp_path / "log", tmp_path, tmp_path / "console")


def test_converge_applies_again_and_notes_it(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    value, objects = user_data()
    monkeypatch.setattr(program, "Bucket", lambda *_: objects)
    monkeypatch.setattr(release, "apply", lambda *_: 0)
    assert converge(cast("Imds", FixedImds(value.render())), paths) == 0
    assert json.loads((paths.var / "converged").read_text())["puppet_exit"] == 0
