"""What a command printed with ``--output json`` must fit the schema that is documented for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema

from hcluster.cli.app import ENTRIES
from hcluster.cli.output.schemas import schema_of, strict
from hcluster.cli.output.shapes import Silent, shapes


def command_of(words: Sequence[str]) -> str:
    """The command that words are a call of."""
    start = next(index for index, word in enumerate(words) if word in ENTRIES)
    two = " ".join(words[start : start + 2])
    return two if two in shapes() else words[start]


def demand(words: Sequence[str], printed: str) -> Any:
    """The value that a call printed; fails when it is not what the schema says, to the last field."""
    command = command_of(words)
    value = json.loads(printed)
    errors = sorted(_validator(command).iter_errors(value), key=lambda error: error.json_path)
    assert not errors, f"`{command}` printed what `spec schema output {command}` does not say:\n" + "\n".join(
        f"{error.json_path}: {error.message[:300]}" for error in errors[:5]
    )
    return value


def demand_error(printed: str) -> Any:
    """The error in the last line of what was told."""
    value = json.loads(printed.splitlines()[-1])
    _validator("error").validate(value)
    return value["error"]


@cache
def _validator(command: str) -> Any:
    shape = shapes().get(command)
    assert shape is not None, f"`{command}` prints JSON, and cli/output/shapes.py does not say of which form"
    assert not isinstance(shape, Silent), f"`{command}` prints JSON, but cli/output/shapes.py says that it prints none"
    return jsonschema.Draft202012Validator(strict(schema_of(shape)))
