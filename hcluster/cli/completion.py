"""The command completion."""

from __future__ import annotations

from enum import StrEnum

import typer

from hcluster.cli.complete import PROGRAM, VARIABLE
from hcluster.cli.flow import state_of
from hcluster.cli.output import render

_ZSH = r"""#compdef @PROGRAM@

_@PROGRAM@_completion() {
  local -a found
  local line value
  for line in "${(@f)$(env @VARIABLE@=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
      _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" @PROGRAM@ 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    value=${line%%$'\t'*}
    if [[ $line == *$'\t'* ]]; then
      found+=("${value//:/\\:}:${line#*$'\t'}")
    else
      found+=("${value//:/\\:}")
    fi
  done
  if (( ${#found} )); then
    _describe @PROGRAM@ found
  else
    _files
  fi
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _@PROGRAM@_completion "$@"
else
  compdef _@PROGRAM@_completion @PROGRAM@
fi
"""
"""It reads the answer for fish, one proposal a line: typer's own for zsh is evaluated by the shell, proposes no option
once a - is typed, and nothing at all to the first Tab of a shell where it is installed."""


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
    from typer.completion import install as install_for  # type: ignore[attr-defined]

    if not install:
        print(_script(shell))
        return
    _, path = install_for(shell=shell.value, prog_name=PROGRAM, complete_var=VARIABLE)
    path.write_text(f"{_script(shell)}\n", encoding="utf-8")
    said = f"{path} is written; new {shell.value} shells complete hcluster's words"
    render.emit(state_of(ctx), {"shell": shell.value, "file": path}, said)


def _script(shell: Shell) -> str:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell is Shell.zsh:
        return _ZSH.replace("@PROGRAM@", PROGRAM).replace("@VARIABLE@", VARIABLE).rstrip()
    return str(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))
