"""The commands of specs: schema, validate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from hcluster.cli import render
from hcluster.cli.config import platform_file
from hcluster.cli.flow import state_of

app = typer.Typer(help="Check specs and print their schemas.", no_args_is_help=True)


class Kind(StrEnum):
    """What a YAML file describes."""

    platform = "platform"
    cluster = "cluster"


@app.command()
def schema(kind: Kind = typer.Argument(..., help="Which file's.", show_default=False)) -> None:
    """Print the JSON Schema of platform.yaml or cluster.yaml.

    Each field carries its documentation and what a change of it asks for ("change": live, replace-nodes or refused).

    \b
    Examples:
      hcluster spec schema cluster
      hcluster spec schema platform > platform.schema.json
    """
    from hcluster.spec.load import schema as schema_of

    typer.echo(render.to_json(schema_of(kind.value)))


@app.command()
def validate(
    ctx: typer.Context,
    file: Path = typer.Argument(..., metavar="FILE", help="The YAML to check.", show_default=False),
    kind: Kind | None = typer.Option(None, "--kind", help="What it describes; by default seen from its keys."),
) -> None:
    """Check a spec, and tell everything that is wrong with it at once.

    A cluster's YAML is checked over the defaults of the platform's. Nothing is asked of any cloud.

    \b
    Examples:
      hcluster spec validate examples/platform.yaml
      hcluster --platform examples/platform.yaml spec validate examples/flights.yaml
    """
    from hcluster.spec.load import kind_of, load_cluster, load_platform

    state = state_of(ctx)
    if (kind.value if kind else kind_of(file)) == "platform":
        platform = load_platform(file)
        render.emit(state, platform.model_dump(mode="json"), f"{file}: platform {platform.name} is fine")
        return
    spec = load_cluster(file, load_platform(platform_file(state)))
    wanted = ", ".join(f"{count} {group}" for group, count in spec.wanted().items())
    render.emit(
        state, spec.model_dump(mode="json"), f"{file}: cluster {spec.name} of team {spec.team} is fine ({wanted})"
    )
