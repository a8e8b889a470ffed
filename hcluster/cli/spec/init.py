"""``spec init``: a first cluster.yaml from a few questions, with comments that say what else it could hold."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hcluster.cli.flow import typed
from hcluster.cli.quickly import within
from hcluster.errors import HclusterError, SpecError, UsageError

if TYPE_CHECKING:
    from hcluster.ports import Compute
    from hcluster.spec.cluster import ClusterSpec
    from hcluster.spec.platform import PlatformSpec

PATIENCE_SECONDS = 5.0
"""How long the cloud may take to say whether it knows an instance type."""
_PLACE = re.compile(r"^.*?:\d+: ")


@dataclass(frozen=True, slots=True)
class Answers:
    """What is asked, in the order of the questions; all as typed."""

    name: str
    team: str
    lifetime: str
    type: str
    market: str
    core: str
    task: str


Check = Callable[[Answers, str], str]
"""What is wrong with one of the answers, "" when nothing is."""

QUESTIONS = {
    "name": "Name of the cluster",
    "team": "Team",
    "lifetime": "How long it lives: standing, or such as 90m, 8h, 2d",
    "type": "Instance type of the workers",
    "market": "Their market: spot (cheaper, may be taken away) or on-demand",
    "core": "Workers that hold HDFS data",
    "task": "Workers without data",
}


def proposal(platform: PlatformSpec | None, team: str) -> Answers:
    """What is proposed: the platform's own defaults where it has some, else those of the schema, and a working day."""
    from hcluster.spec.cluster import ClusterSpec

    part = dict(platform.defaults) if platform else {}
    teams = platform.teams if platform else (team,)
    spec = ClusterSpec.model_validate({**part, "name": "a", "team": "a"})
    return Answers(
        name="",
        team=team if team in teams else teams[0],
        lifetime=str(spec.model_dump(mode="json")["lifetime"]) if "lifetime" in part else "8h",
        type=spec.core.types[0],
        market=spec.core.market,
        core=str(spec.core.count),
        task=str(spec.task.count),
    )


def ask(proposed: Answers, given: Collection[str], check: Check, teams: Collection[str] = ()) -> Answers:
    """The answers of somebody on the terminal; those of ``given`` are there already. A wrong answer is asked again."""
    answers = proposed
    for field in fields(Answers):
        name, value = field.name, getattr(answers, field.name)
        if name in given:
            continue
        choice = f" ({', '.join(teams)})" if name == "team" and teams else ""
        while True:
            said = typed(f"{QUESTIONS[name]}{choice}{f' [{value}]' if value else ''}: ")
            answers = replace(answers, **{name: said or value})
            wrong = check(answers, name) if said or value else "it needs one"
            if not wrong:
                break
            if said is None:
                # Nobody is there any more.
                raise UsageError(f"{QUESTIONS[name]}: {wrong}", hint="hcluster spec init --help")
            print(f"  {wrong}", file=sys.stderr)
    return answers


class Checker:
    """Tells what is wrong with answers: by the schema, by the platform, and by the cloud if it answers in time."""

    def __init__(self, platform: PlatformSpec | None, compute: Callable[[], Compute] | None) -> None:
        self._platform = platform
        self._compute = compute
        self._types: dict[str, str] = {}

    def __call__(self, answers: Answers, name: str) -> str:
        """What is wrong with one answer, when those before it are right."""
        try:
            self.spec(answers)
        except SpecError as cause:
            return "; ".join(_PLACE.sub("", one) for one in cause.findings)
        return self._unknown_type(answers.type) if name == "type" else ""

    def spec(self, answers: Answers) -> ClusterSpec:
        """The spec that the answers make. Raises SpecError."""
        from hcluster.spec.load import load_cluster
        from hcluster.spec.platform import ImagesSpec, PlatformSpec, PuppetSpec

        # Where there is no platform, any team may be one.
        around = self._platform or PlatformSpec.model_construct(
            name="", bucket="", teams=(answers.team,), images=ImagesSpec(), puppet=PuppetSpec(), defaults={}
        )
        with tempfile.TemporaryDirectory(prefix="hcluster-spec-") as folder:
            path = Path(folder) / "cluster.yaml"
            path.write_text(text(answers), encoding="utf-8")
            return load_cluster(path, around)

    def _unknown_type(self, name: str) -> str:
        compute = self._compute
        if compute is None:
            return ""
        if name not in self._types:
            told = within(PATIENCE_SECONDS, lambda: compute().memory_mib([name]))
            unknown = isinstance(told, HclusterError) and told.reference == "no-such-type"
            self._types[name] = f"{told}" if unknown else ""
            if not isinstance(told, dict) and not unknown:
                print(f"  whether {name} exists was not checked: the cloud does not answer", file=sys.stderr)
                self._compute = None
        return self._types[name]


def text(answers: Answers) -> str:
    """The YAML."""
    a = {field.name: _scalar(getattr(answers, field.name)) for field in fields(Answers)}
    return f"""\
# Cluster {answers.name}. Start it, or continue after an interruption: `hcluster up FILE`; first see what that would do:
# `hcluster up FILE --plan`. `hcluster spec schema cluster` prints every field; `hcluster spec validate FILE` checks it.

name: {a["name"]}
team: {a["team"]}
lifetime: {a["lifetime"]}  # standing, or how long it lives after its launch: 90m, 8h, 2d

# The master (NameNode, ResourceManager, HiveServer2) is one on-demand m5.xlarge unless you say otherwise:
# master: {{types: [m5.2xlarge]}}

core:  # workers that also hold HDFS blocks
  types: [{a["type"]}]  # several types, best first, make a shortage less likely
  market: {a["market"]}  # spot or on-demand
  count: {_number(answers.core)}
  # disks: [{{size_gib: 100, type: gp3}}]

task:  # workers without data, which may come and go
  types: [{a["type"]}]
  market: {a["market"]}
  count: {_number(answers.task)}

# Hadoop properties by file, without .xml; they win over the platform's own values:
# site:
#   mapred-site:
#     mapreduce.job.ubertask.enable: true

# Scripts that every node runs as root before it counts as ready:
# bootstrap:
#   - name: motd
#     script: |
#       #!/bin/sh
#       echo "Welcome" > /etc/motd

# tags: {{cost-centre: "42"}}
"""


def _scalar(value: str) -> str:
    """As YAML that means just this text."""
    import yaml

    plain = re.fullmatch(r"[a-z0-9][a-z0-9.-]*", value) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _number(value: str) -> str:
    return value if re.fullmatch(r"-?[0-9]{1,6}", value) else _scalar(value)
