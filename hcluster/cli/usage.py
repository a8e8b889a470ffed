"""Usage and help lines as people know them: NAME for what must be given, [NAME] for what may be, no Python types."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

Record = tuple[str, str]
_TYPE = re.compile(r" <([^<>]+)>$")
_RANGE = re.compile(r"(?:(?P<least>-?[0-9.]+)<=)?x(?P<sign>[<>]=)(?P<bound>-?[0-9.]+)\]$")
"""Which numbers an option takes, as typer ends its help: ``x>=1]`` or ``1<=x<=500]``."""
_NAMES = {
    "str": "TEXT",
    "int": "NUMBER",
    "int range": "NUMBER",
    "float": "NUMBER",
    "float range": "NUMBER",
    "path": "PATH",
    "list[str]": "TEXT",
    "list[path]": "PATH",
}
"""How a value is called whose option does not say."""


def prepare(command: Any) -> None:
    """Let a command's parameters tell themselves so."""
    for parameter in command.params:
        record = parameter.get_help_record
        if parameter.param_type_name != "argument":
            parameter.get_help_record = partial(_option, record)
            continue
        name = parameter.metavar or str(parameter.name).upper()
        parameter.get_usage_pieces = partial(_usage, name, required=parameter.required)
        parameter.get_help_record = partial(_argument, name, record)


def _usage(name: str, _ctx: Any, *, required: bool) -> list[str]:
    return [name if required or name.startswith("[") else f"[{name}]"]


def _argument(name: str, record: Callable[[Any], Record | None], ctx: Any) -> Record | None:
    """The usage line shows already which ones must be given."""
    found = record(ctx)
    return found and (name, found[1].removesuffix("[required]").rstrip().replace("; required]", "]"))


def _option(record: Callable[[Any], Record | None], ctx: Any) -> Record | None:
    found = record(ctx)
    if not found:
        return None
    return _TYPE.sub(lambda match: f" {_NAMES.get(match[1], match[1])}", found[0]), _RANGE.sub(_bounds, found[1])


def _bounds(match: re.Match[str]) -> str:
    if match["least"]:
        return f"{match['least']} to {match['bound']}]"
    return f"at {'least' if match['sign'] == '>=' else 'most'} {match['bound']}]"
