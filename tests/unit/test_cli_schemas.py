"""From types to JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest

from hcluster.cli.output.render import to_json
from hcluster.cli.output.schemas import docstrings, schema_of, strict
from hcluster.cli.output.shapes import Silent, shapes
from hcluster.spec.cluster import ClusterSpec


@dataclass(frozen=True, slots=True)
class Inner:
    """Something inside."""

    at: datetime
    """When, to
    the second."""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Outer(Inner):
    """Around it."""

    kind: Literal["a", "b"] = "a"
    """``a`` or b."""
    inner: tuple[Inner, ...] = ()
    counts: Mapping[str, int] | None = None
    pair: tuple[str, int] = ("", 0)


class More(TypedDict):
    """Further fields."""

    more: float
    """How much."""
    seldom: NotRequired[list[str]]


NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


def valid(value: object, shape: Any) -> bool:
    validator = jsonschema.Draft202012Validator(strict(schema_of(shape)))
    return bool(validator.is_valid(json.loads(to_json(value))))


def test_what_a_dataclass_becomes_fits_its_schema() -> None:
    value = Outer(NOW, Path("/a"), "b", (Inner(NOW),), {"x": 1}, ("a", 1))
    assert valid(value, Outer)
    assert valid([value], list[Outer])
    assert not valid({**json.loads(to_json(value)), "kind": "c"}, Outer)
    assert not valid({**json.loads(to_json(value)), "counts": {"x": "1"}}, Outer)
    assert not valid({**json.loads(to_json(value)), "pair": ["a"]}, Outer)


def test_fields_are_described_by_the_text_below_them_and_those_of_a_base_by_its_own() -> None:
    assert docstrings(Outer) == {"at": "When, to the second.", "kind": "`a` or b."}
    schema = schema_of(Outer, "outer")
    assert schema["title"] == "outer"
    assert schema["$defs"]["Outer"]["properties"]["kind"] == {"description": "`a` or b.", "enum": ["a", "b"]}
    assert schema["$defs"]["Outer"]["description"] == "Around it."


def test_a_missing_field_fails_and_an_unknown_one_only_when_strict() -> None:
    both = schema_of(Annotated[Inner, More, "Both"])
    whole = {"at": "2026-01-10T12:00:00Z", "path": None, "more": 1.5}
    jsonschema.validate(whole | {"new": 1}, both)
    with pytest.raises(jsonschema.ValidationError, match="new"):
        jsonschema.validate(whole | {"new": 1}, strict(both))
    with pytest.raises(jsonschema.ValidationError, match="more"):
        jsonschema.validate({"at": "2026-01-10T12:00:00Z", "path": None}, both)
    jsonschema.validate(whole | {"seldom": ["a"]}, strict(both))
    assert set(both["$defs"]) == {"Both"}, "what is merged is not kept twice"


def test_specs_are_as_they_are_dumped() -> None:
    spec = ClusterSpec.model_validate({"name": "a", "team": "b", "lifetime": "4h", "tags": {"x": "ü"}})
    assert valid(spec.model_dump(mode="json"), ClusterSpec)
    assert not valid(spec.model_dump(mode="json") | {"lifetime": 4}, ClusterSpec)


def test_types_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(TypeError, match="no JSON Schema"):
        schema_of(complex)


@pytest.mark.parametrize("command", [name for name, shape in shapes().items() if not isinstance(shape, Silent)])
def test_each_commands_schema_is_one_and_no_name_in_it_leads_nowhere(command: str) -> None:
    schema = schema_of(shapes()[command], command)
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    assert "``" not in text
    for name in schema.get("$defs", {}):
        assert f'"#/$defs/{name}"' in text
