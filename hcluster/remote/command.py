"""How a command line for a node's shell is put together; pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def quote(command: Sequence[str] | str) -> str:
    """The text handed to the node's shell: a sequence is quoted word by word, a string stays as it is."""
    return command if isinstance(command, str) else shlex.join(command)


def with_environment(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """``command`` with variables set through ``env``; sshd itself accepts none."""
    return (
        ["env", *(f"{name}={value}" for name, value in sorted(environment.items())), *command]
        if environment
        else list(command)
    )


def remove_tree(path: str) -> list[str]:
    """Remove a folder of ours on a node; ``--`` keeps a leading dash from becoming an option."""
    return ["rm", "-rf", "--", path]
