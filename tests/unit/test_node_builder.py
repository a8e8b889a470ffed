"""A machine that is baked from an image of hcluster's is no node, and lets Packer in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from hcluster.model.user_data import UserData, builder_user_data, is_builder
from hcluster.node import bootstrap as program
from hcluster.node import builder
from hcluster.node.bootstrap import Paths, bootstrap
from hcluster.node.imds import Imds
from tests.unit.node_world import FixedImds, user_data


def test_only_what_a_bake_wrote_makes_a_builder() -> None:
    value, _ = user_data()
    assert is_builder(builder_user_data("hcluster-geo-1"))
    for text in ("", "[]", "#!/bin/sh", "hcluster-bake", value.render()):
        assert not is_builder(text)


def test_a_builder_joins_nothing_and_lets_the_key_pair_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(builder, "KEYS", tmp_path / "keys.conf")
    monkeypatch.setattr(program, "join", cast("Any", None))
    keys = tmp_path / "keys.conf"
    keys.write_text("AuthorizedKeysFile none\n")
    paths = Paths(*(tmp_path / name for name in ("etc", "opt", "var", "log", "ssh", "console")))
    for _ in range(2):  # a second boot is the same
        assert bootstrap(cast("Imds", FixedImds(builder_user_data("hcluster-geo-1"))), paths) == 0
    assert not keys.exists()
    assert ran == [["systemctl", "reload", "ssh.service"]] * 2
    assert not (tmp_path / "etc").exists()


def test_a_node_never_opens_that_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(builder, "let_in", cast("Any", None))
    joined: list[UserData] = []
    monkeypatch.setattr(program, "join", lambda value, *_: joined.append(value))
    value, _ = user_data()
    paths = Paths(*(tmp_path / name for name in ("etc", "opt", "var", "log", "ssh", "console")))
    assert bootstrap(cast("Imds", FixedImds(value.render())), paths) == 0
    assert joined == [value]
