"""The command completion."""

from __future__ import annotations

from enum import StrEnum

import typer

from hcluster.cli import render
from hcluster.cli.complete import PROGRAM, VARIABLE
from hcluster.cli.flow import state_of


class Shell(StrEnum):
    """Shells that can ask."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    ctx: typer.Context,
    shell: Shell = typer.Argument(..., metavar="bash|zsh|fish", help="Your shell.", show_default=False),
    install: bool = typer.Option(False, "--install", help="Write it where the shell finds it, in your home folder."),
) -> None:
    """Print what makes a shell complete commands, clusters, nodes, groups and teams.

    Names come from a cache of at most a minute, else from the cloud if it answers within 2.5 seconds.

    \b
    Examples:
      source <(hcluster completion bash)
      hcluster completion zsh --install
    """
    # Typer's own, behind its options --show-completion and --install-completion.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]
    from typer.completion import install as install_for  # type: ignore[attr-defined]

    if not install:
        print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))
        return
    _, path = install_for(shell=shell.value, prog_name=PROGRAM, complete_var=VARIABLE)
    said = f"{path} is written; new {shell.value} shells complete hcluster's words"
    render.emit(state_of(ctx), {"shell": shell.value, "file": path}, said)
