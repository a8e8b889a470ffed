"""`hcluster …` over one fake cloud, for the tests of commands."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hcluster.cli import app
from hcluster.cli.config import CliState
from hcluster.flows.context import Context
from hcluster.model import names
from hcluster.model.events import Report, silent
from hcluster.model.node import Instance
from hcluster.model.principal import Principal
from hcluster.spec.load import load_platform
from hcluster.testing import FakeCloud, NodeScript
from tests.unit.cli_output import demand

EXAMPLES = Path(__file__).parents[2] / "examples"
FLIGHTS = str(EXAMPLES / "flights.yaml")


class Cli:
    """Runs `hcluster …` over one fake cloud."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.script = NodeScript()
        self.cloud = FakeCloud("hcluster-demo", responder=self.answer, scripts=lambda _node: self.script)
        self.states: list[CliState] = []
        self.answers: dict[str, tuple[int, bytes, bytes]] = {}
        self.out = self.err = ""
        self._capsys = capsys

    def answer(self, instance: Instance, command: str) -> tuple[int, bytes, bytes]:
        group = instance.tags[names.TAG_GROUP]
        return self.answers.get(group, (0, f"{group}: {command}\n".encode(), b""))

    def context(self, state: CliState, report: Report = silent) -> Context:
        self.states.append(state)
        cloud = self.cloud
        return Context(
            platform=load_platform(EXAMPLES / "platform.yaml"),
            principal=Principal("jane", "analytics"),
            compute=cloud.compute,
            account=cloud.account,
            prices=cloud.prices,
            images=cloud.images,
            store=cloud.store,
            checkins=cloud.checkins,
            connector=cloud.connector,
            catalog=cloud.catalog,
            clock=cloud.clock,
            report=report,
        )

    def __call__(self, *arguments: str) -> int:
        code = app.run(arguments)
        self.out, self.err = self._capsys.readouterr()
        if self.out and ("--output", "json") in pairwise(arguments):
            demand(arguments, self.out)
        return code

    def json(self, *arguments: str) -> Any:
        assert self(*arguments, "--output", "json") == 0, self.err
        return json.loads(self.out)

    def prepare(self) -> None:
        """An image, a release and a platform."""
        tags = {names.TAG_PLATFORM: "demo", names.TAG_IMAGE_NAME: "hadoop"}
        self.cloud.images.register("hcluster-hadoop-1", tags)
        self.cloud.store.ensure_bucket({})
        self.cloud.store.put(names.channel_key("stable"), b'{"digest": "' + b"d" * 64 + b'"}')
        self.cloud.store.put(names.release_key("d" * 64), b"release")
        assert self("platform", "up") == 0, self.err
