"""The commands of specs: init, validate, schema."""

from __future__ import annotations

import difflib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hcluster.cli.config import DEFAULT_TEAM, CliState, platform_file
from hcluster.cli.failures import exit_code, tell
from hcluster.cli.flow import confirm, state_of
from hcluster.cli.output import render
from hcluster.errors import SpecError, UsageError

if TYPE_CHECKING:
    from hcluster.cli.output.shapes import Checked
    from hcluster.cli.spec.init import Answers
    from hcluster.ports import Compute
    from hcluster.spec.platform import PlatformSpec

app = typer.Typer(help="Write and check specs, and print their schemas.", no_args_is_help=True)


class Kind(StrEnum):
    """What a YAML file describes."""

    cluster = "cluster"
    platform = "platform"
    image = "image"


class Described(StrEnum):
    """What has a schema."""

    cluster = "cluster"
    platform = "platform"
    image = "image"
    output = "output"


@app.command()
def init(
    ctx: typer.Context,
    file: Path | None = typer.Argument(
        None, metavar="[FILE]", help="Where to write it. Default: NAME.yaml.", show_default=False
    ),
    name: str = typer.Option("", "--name", metavar="NAME", help="Name of the cluster."),
    team: str = typer.Option("", "--team", metavar="NAME", help="Its team. Default: yours."),
    lifetime: str = typer.Option("", "--lifetime", metavar="DURATION", help="standing, or 90m, 8h, 2d. Default: 8h."),
    instance_type: str = typer.Option("", "--type", metavar="TYPE", help="Instance type of the workers."),
    market: str = typer.Option("", "--market", metavar="spot|on-demand", help="Market of the workers."),
    core: str = typer.Option("", "--core", metavar="COUNT", help="Workers that hold HDFS data."),
    task: str = typer.Option("", "--task", metavar="COUNT", help="Workers without data."),
    yes: bool = typer.Option(
        False, "--yes", "-y", help="Ask nothing: take the defaults, and write over a file that exists."
    ),
) -> None:
    """Write a commented cluster.yaml from a few questions.

    What an option says is not asked. Teams and defaults are those of platform.yaml where there is one, and instance
    types are looked up when the cloud answers.

    \b
    Examples:
      hcluster spec init
      hcluster spec init flights.yaml --name flights --core 5
      hcluster spec init --name flights --team analytics --lifetime standing --yes
    """
    from hcluster.cli.spec import init as spec_init

    state = state_of(ctx)
    platform = _platform(state)
    options = {"name": name, "team": team, "lifetime": lifetime, "type": instance_type, "market": market}
    given = {key: value for key, value in (options | {"core": core, "task": task}).items() if value}
    proposed = spec_init.proposal(platform, state.team or DEFAULT_TEAM)
    check = spec_init.Checker(platform, _compute(state) if platform else None)
    answers = _answers(proposed, given, check, platform.teams if platform else (), yes=yes)
    target = file or Path(f"{answers.name}.yaml")
    if target.exists():
        confirm(
            f"{target} exists: what it says is lost. Write over it?", yes=yes, command=f"hcluster spec init {target}"
        )
    spec = check.spec(answers)
    try:
        target.write_text(spec_init.text(answers), encoding="utf-8")
    except OSError as cause:
        raise UsageError(f"{target} cannot be written: {cause.strerror or cause}") from cause
    said = f"{target} describes cluster {spec.name}; what it would do and cost: `hcluster up {target} --plan`"
    render.emit(state, {"file": target, "spec": spec.model_dump(mode="json")}, said)


def _answers(proposed: Answers, given: dict[str, str], check: Any, teams: tuple[str, ...], *, yes: bool) -> Answers:
    """From options alone, or asked."""
    import sys
    from dataclasses import fields, replace

    from hcluster.cli.spec import init as spec_init

    answers = replace(proposed, **given)
    if not yes and len(given) < len(fields(answers)):
        if not sys.stdin.isatty():
            raise UsageError(
                "this asks a few questions, and there is no terminal to ask on",
                hint="hcluster spec init --name NAME --yes",
                reference="nobody-to-ask",
            )
        answers = spec_init.ask(answers, given, check, teams)
    if not answers.name:
        raise UsageError("the cluster needs a name", hint="hcluster spec init --name NAME --yes")
    wrong = check(answers, "type")
    if wrong:
        raise UsageError(f"this would be no cluster: {wrong}", hint="hcluster spec init --help")
    return answers


def _platform(state: CliState) -> PlatformSpec | None:
    """The platform of this call; None where there is none, as a first spec may be older than it."""
    from hcluster.spec.load import load_platform

    return load_platform(platform_file(state)) if state.platform_file and state.platform_file.is_file() else None


def _compute(state: CliState) -> Any:
    def compute() -> Compute:
        from hcluster.cli import wire

        return wire.context(state).compute

    return compute


@app.command()
def validate(
    ctx: typer.Context,
    files: list[Path] = typer.Argument(..., metavar="FILE...", help="The YAML files to check.", show_default=False),
    kind: Kind | None = typer.Option(None, "--kind", help="What they describe; by default seen from their keys."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="PATH=VALUE", help="Check a cluster as `up --set` would start it; may be repeated."
    ),
) -> None:
    """Check specs, and tell everything that is wrong with them at once.

    A cluster's YAML is checked over the defaults of the platform's. Nothing is asked of any cloud. The exit code is 2
    when a file is wrong; with --output json the findings of all files are on standard output, too.

    \b
    Examples:
      hcluster spec validate examples/platform.yaml
      hcluster --platform examples/platform.yaml spec validate clusters/*.yaml
      hcluster spec validate flights.yaml --set core.count=5 --output json
    """
    state = state_of(ctx)
    code = 0
    values: list[Checked] = []
    for file in files:
        try:
            found, said = _checked(state, file, kind.value if kind else "", settings)
        except SpecError as cause:
            code = exit_code(cause)
            kind_there = kind.value if kind else _kind(file)
            values.append(
                {"file": str(file), "kind": kind_there, "findings": list(cause.findings), "warnings": [], "spec": None}
            )
            if state.output != "json":
                tell(cause)
            continue
        values.append(found)
        if state.output != "json":
            render.emit(state, found, said)
    if state.output == "json":
        render.emit(state, values, "")
    if code:
        raise typer.Exit(code)


def _kind(file: Path) -> str:
    from hcluster.spec.load import kind_of

    return kind_of(file)


def _checked(state: CliState, file: Path, kind: str, settings: list[str]) -> tuple[Checked, str]:
    """A file that is right, as JSON and in words. Raises SpecError."""
    from hcluster.spec import load

    kind = kind or _kind(file)
    if kind != "cluster" and settings:
        raise UsageError(f"--set is for clusters, and {file} describes a {kind}")
    spec: Any
    warned: list[str] = []
    if kind == "platform":
        spec = load.load_platform(file)
        said = f"{file}: platform {spec.name} is fine"
    elif kind == "image":
        spec = load.load_image(file)
        said = f"{file}: image {spec.name} on {spec.parent} is fine"
    else:
        spec = load.load_cluster(file, load.load_platform(platform_file(state)), settings)
        wanted = ", ".join(f"{count} {group}" for group, count in spec.wanted().items())
        warned = spec.warnings()
        said = f"{file}: cluster {spec.name} of team {spec.team} is fine ({wanted})"
        said = "\n".join([said, *(f"  warning: {one}" for one in warned)])
    found: Checked = {"file": str(file), "kind": kind, "findings": [], "warnings": warned, "spec": None}
    return {**found, "spec": spec.model_dump(mode="json")}, said


@app.command()
def schema(
    described: Described = typer.Argument(..., metavar="cluster|platform|image|output", help="Of what."),
    command: list[str] = typer.Argument(
        None, metavar="[COMMAND]...", help="Of output: whose. Without it, of every command.", show_default=False
    ),
) -> None:
    """Print the JSON Schema of a YAML file, or of what a command prints with --output json.

    Each field of a file carries its documentation and what a change of it asks for ("change": live, replace-nodes or
    refused). What a command prints gains fields in later versions and loses none: let unknown ones pass.

    \b
    Examples:
      hcluster spec schema cluster
      hcluster spec schema platform > platform.schema.json
      hcluster spec schema output list
      hcluster spec schema output job run
      hcluster spec schema output error
    """
    from hcluster.spec.load import schema as schema_of

    if described is Described.output:
        typer.echo(render.to_json(output_schema(" ".join(command or ()))))
        return
    if command:
        raise UsageError("only `output` takes a command", hint=f"hcluster spec schema {described.value}")
    typer.echo(render.to_json(schema_of(Kind(described.value).value)))


def output_schema(command: str) -> dict[str, Any]:
    """Of one command, or of each by its words."""
    from hcluster.cli.output.schemas import schema_of
    from hcluster.cli.output.shapes import Silent, shapes

    known = shapes()
    if not command:
        return {name: schema_of(shape, name) for name, shape in known.items() if not isinstance(shape, Silent)}
    if command not in known:
        near = difflib.get_close_matches(command, known, n=1)
        raise UsageError(
            f"there is no command {command!r}" + (f", did you mean {near[0]!r}?" if near else ""),
            hint=f"one of: {', '.join(known)}",
        )
    shape = known[command]
    if isinstance(shape, Silent):
        raise UsageError(f"`hcluster {command}` prints no JSON: {shape.reason}")
    return schema_of(shape, command)
