"""How a command line for a node's shell is put together; pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def quote(command: Sequence[str] | str) -> str:
    """The text handed to the node's shell: a sequence is quoted word by word, a string stays as it is."""
    return command if isinstance(command, str) else shlex.join(command)
