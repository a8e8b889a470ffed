"""From the types of what commands print to JSON Schema: fields as `render.plain` writes them, words from docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    object: {},
    Any: {},
}


def schema_of(shape: Any, title: str = "") -> dict[str, Any]:
    """The JSON Schema of a type; classes with fields stand in ``$defs``.

    A type may be plain, a dataclass, a ``TypedDict``, a model of pydantic, a list, mapping, literal or union of such.
    ``Annotated[A, B, "Name"]`` has the fields of both, and that name.
    """
    defs: dict[str, Any] = {}
    found = _schema(shape, defs)
    used = _used(found, defs)
    kept = {name: body for name, body in defs.items() if name in used}
    return {"$schema": DIALECT, **({"title": title} if title else {}), **found, **({"$defs": kept} if kept else {})}


def strict(schema: Any) -> Any:
    """The same, but a field that the schema does not name is an error: for tests, as users should let new ones pass."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def _used(schema: Any, defs: Mapping[str, Any]) -> set[str]:
    """Names of the definitions that a schema leads to."""
    found: set[str] = set()
    left = [schema]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += one.values()
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                left.append(defs[name])
    return found


def _schema(shape: Any, defs: dict[str, Any]) -> dict[str, Any]:
    if shape in _PLAIN:
        return dict(_PLAIN[shape])
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin is not None:
        return _of_several(origin, arguments, defs)
    if hasattr(shape, "model_json_schema"):
        return _of_model(shape, defs)
    if dataclasses.is_dataclass(shape) or typing.is_typeddict(shape):
        return _of_fields(shape, defs)
    raise TypeError(f"{shape} has no JSON Schema here")


def _of_several(origin: Any, arguments: tuple[Any, ...], defs: dict[str, Any]) -> dict[str, Any]:
    if origin is typing.Annotated:
        return _together(arguments, defs)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one, defs) for one in arguments]}
    inner = [_schema(one, defs) for one in arguments if one is not Ellipsis]
    if origin is typing.NotRequired:
        found = inner[0]
    elif issubclass(origin, Mapping):
        found = {"type": "object", "additionalProperties": inner[1]}
    elif origin is tuple and Ellipsis not in arguments:
        found = {"type": "array", "prefixItems": inner, "minItems": len(inner), "items": False}
    elif issubclass(origin, Sequence | AbstractSet):
        found = {"type": "array", "items": inner[0]}
    else:
        raise TypeError(f"{origin} has no JSON Schema here")
    return found


def _together(arguments: Sequence[Any], defs: dict[str, Any]) -> dict[str, Any]:
    """One class with the fields of several, described as the first."""
    *shapes, name = arguments
    bodies = [defs[_schema(shape, defs)["$ref"].rpartition("/")[2]] for shape in shapes]
    defs[name] = {
        **bodies[0],
        "properties": {key: value for body in bodies for key, value in body["properties"].items()},
        "required": [field for body in bodies for field in body["required"]],
    }
    return {"$ref": f"#/$defs/{name}"}


def _of_model(model: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """A model of pydantic, as it is dumped."""
    found = _as_printed(model.model_json_schema(mode="serialization", ref_template="#/$defs/{model}"))
    defs.update(found.pop("$defs", {}))
    defs[model.__name__] = found
    return {"$ref": f"#/$defs/{model.__name__}"}


def _as_printed(schema: Any) -> Any:
    """Without patterns: what is printed was checked, and few programs know all that stands in ours."""
    if isinstance(schema, list):
        return [_as_printed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _as_printed(value) for key, value in schema.items() if key != "pattern" or isinstance(value, dict)}
    if by_pattern := found.pop("patternProperties", {}):
        found["additionalProperties"] = next(iter(by_pattern.values()))
    return found


def _of_fields(shape: Any, defs: dict[str, Any]) -> dict[str, Any]:
    name = shape.__name__
    if name not in defs:
        defs[name] = {}  # It may hold itself.
        hints = typing.get_type_hints(shape, include_extras=True)
        fields = [field.name for field in dataclasses.fields(shape)] if dataclasses.is_dataclass(shape) else list(hints)
        required = [one for one in fields if typing.get_origin(hints[one]) is not typing.NotRequired]
        said = docstrings(shape)
        properties = {}
        for field in fields:
            described = {"description": said[field]} if field in said else {}
            properties[field] = {**described, **_schema(hints[field], defs)}
        defs[name] = {
            "type": "object",
            "description": _words(shape.__doc__ or ""),
            "properties": properties,
            "required": required,
        }
    return {"$ref": f"#/$defs/{name}"}


def docstrings(shape: type) -> dict[str, str]:
    """The text below each field of a class, and of those that it inherits."""
    found: dict[str, str] = {}
    bases: list[Any] = [*shape.__mro__, *getattr(shape, "__orig_bases__", ())]
    for base in reversed(bases):
        if not isinstance(base, type) or base.__module__ == "builtins":
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = text.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[field.target.id] = _words(value.value)
    return found


def _words(text: str) -> str:
    """A docstring as one line, code in single backticks."""
    return " ".join(text.replace("``", "`").split())
