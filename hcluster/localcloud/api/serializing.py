"""EC2's answers as XML, as moto writes them, some thirty times as fast.

Moto looks for each member of a shape under up to a dozen names in every object, builds dictionaries, and writes these.
Here the names are looked for once for each kind of object (its class and the attributes that it has), and what is
found is written as text at once. How names are made is moto's own code, so the answers are the same; a test compares.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from operator import attrgetter, itemgetter
from typing import Any
from xml.sax.saxutils import escape

from moto.core.serialize import AttributePickerContext, EC2Serializer, TimestampSerializer, XFormedAttributePicker
from moto.core.utils import get_service_model

Text = Callable[[Any], str | None]
"""The content of an element for a value; None for no element."""

Step = tuple[str, Callable[[Any], Any], Text, Any]
"""A member: its tag, what finds its value, what writes that, and what is done to it before."""

_MISSING: Any = object()
_PICKER = XFormedAttributePicker()
_MOST_PLANS = 256


def _string(value: Any) -> str:
    text = value if type(value) is str else str(value)
    return escape(text) if "&" in text or "<" in text or ">" in text else text


def _boolean(value: Any) -> str:
    return "true" if value is True or str(value).lower() == "true" else "false"


def _integer(value: Any) -> str:
    return str(int(value))


def _float(value: Any) -> str:
    return str(float(value))


def _blob(value: Any) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _timestamp(form: str) -> Text:
    stamps = TimestampSerializer(EC2Serializer.DEFAULT_TIMESTAMP_FORMAT)
    form = form or stamps.default_format

    def text(value: Any) -> str:
        if form == "iso8601_zeroed" and isinstance(value, datetime):
            return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return str(stamps._convert_timestamp_to_str(value, form))  # noqa: SLF001 - moto's own way

    return text


_SCALARS: dict[str, Text] = {
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "blob": _blob,
}


class Structure:
    """Writes the members of a structure."""

    def __init__(self, shape: Any, path: str, changes: dict[str, Callable[[Any], Any]]) -> None:
        """``path`` and ``changes`` are moto's: what is done to the values at paths that end so."""
        self._shape = shape
        self._path = path
        self._changes = changes
        self._plans: dict[Any, list[Step]] = {}
        self._texts: dict[str, Text] = {}

    def __call__(self, value: Any) -> str | None:
        """The elements of the members that ``value`` has."""
        if value is None:
            return None
        kind = type(value)
        indexed = hasattr(kind, "__getitem__")
        if indexed:
            mark: Any = (kind, *value) if isinstance(value, dict) else None
        else:
            mark = (kind, *getattr(value, "__dict__", ()))
        plan = self._plans.get(mark) if mark else None
        if plan is None:
            plan = self._plan(value, indexed=indexed, certain=mark is not None)
            if mark and len(self._plans) < _MOST_PLANS:
                self._plans[mark] = plan
        parts: list[str] = []
        for tag, get, text, change in plan:
            found = get(value)
            if change is not None:
                found = change(found)
            if found is None:
                continue
            content = text(found)
            if content:
                parts.append(f"<{tag}>{content}</{tag}>")
            elif content is not None:
                parts.append(f"<{tag}/>")
        return "".join(parts)

    def _plan(self, value: Any, *, indexed: bool, certain: bool) -> list[Step]:
        """For each member that ``value`` may have: its tag, where to look for it, how to write and change it."""
        plan = []
        for key, shape in self._shape.members.items():
            shape.parent = self._shape
            names = tuple(_PICKER.get_possible_keys(AttributePickerContext(value, key, shape)))
            if certain:
                names = tuple(dict.fromkeys(name for name in names if _may_have(value, name, indexed=indexed)))
            path = f"{self._path}.{key}"
            change = next((c for end, c in self._changes.items() if path.endswith(end)), None)
            if names or change is not None:
                if key not in self._texts:
                    self._texts[key] = text_of(shape, path, self._changes)
                get = _getter(value, names, indexed=indexed, certain=certain)
                plan.append((shape.serialization.get("name", key), get, self._texts[key], change))
        return plan


def _getter(value: Any, names: tuple[str, ...], *, indexed: bool, certain: bool) -> Callable[[Any], Any]:
    """What finds a member in values like this one; ``certain``: the first name is in all of them."""
    if certain and names and indexed:
        return itemgetter(names[0])
    if certain and names and names[0] in getattr(value, "__dict__", ()):
        return attrgetter(names[0])
    return partial(_item if indexed else _attribute, names)


def _attribute(names: tuple[str, ...], value: Any) -> Any:
    for name in names:
        found = getattr(value, name, _MISSING)
        if found is not _MISSING:
            return found
    return None


def _item(names: tuple[str, ...], value: Any) -> Any:
    for name in names:
        try:
            return value[name]
        except (KeyError, IndexError, TypeError, AttributeError):
            pass
    return None


def _may_have(value: Any, name: str, *, indexed: bool) -> bool:
    if indexed:
        try:
            value[name]
        except (KeyError, IndexError, TypeError, AttributeError):
            return False
        return True
    return name in getattr(value, "__dict__", ()) or hasattr(type(value), name) or hasattr(type(value), "__getattr__")


def _list(shape: Any, path: str, changes: dict[str, Callable[[Any], Any]]) -> Text:
    member = shape.member
    one = text_of(member, f"{path}.{member.name}", changes)
    tag = member.serialization.get("name", "member")
    structured = member.type_name == "structure"

    def text(value: Any) -> str:
        parts = []
        for item in value:
            content = one(item)
            if content:
                parts.append(f"<{tag}>{content}</{tag}>")
            elif content is not None and not structured:
                parts.append(f"<{tag}/>")
        return "".join(parts)

    return text


def text_of(shape: Any, path: str, changes: dict[str, Callable[[Any], Any]]) -> Text:
    """What writes values of a shape at a path."""
    if shape.type_name == "structure":
        return Structure(shape, path, changes)
    if shape.type_name == "list" and not shape.is_flattened:
        return _list(shape, path, changes)
    if shape.type_name == "timestamp":
        return _timestamp(str(shape.serialization.get("timestampFormat", "")).lower())
    if shape.type_name in ("map", "list"):
        raise NotImplementedError(f"{path} is a {shape.type_name} that EC2 does not have")
    return _SCALARS.get(shape.type_name, _string)


@cache
def _answer(name: str, changes: tuple[tuple[str, Any], ...]) -> Text:
    """What writes the members of an operation's answer."""
    shape = get_service_model("ec2").operation_model(name).output_shape
    return text_of(shape, f"{name}.{shape.name}", dict(changes)) if shape is not None else lambda _: ""


def frame(operation: Any) -> tuple[str, str]:
    """What stands before and after the members of an operation's answer."""
    space = operation.metadata.get("xmlNamespace")
    attribute = f' xmlns="{space}"' if space else ""
    head = f'<?xml version="1.0" encoding="utf-8"?>\n<{operation.name}Response{attribute}>'
    return head, f"<requestId>{uuid.uuid4()}</requestId></{operation.name}Response>"


class CloudSerializer(EC2Serializer):
    """Takes the place of moto's for EC2."""

    def _serialize_result(self, resp: Any, result: Any) -> Any:
        write = _answer(self.operation_name, tuple(self._value_picker.response_transformers.items()))
        head, tail = frame(self.operation_model)
        resp["body"] = f"{head}{write(result) or ''}{tail}"
        resp["headers"]["Content-Type"] = self.CONTENT_TYPE
        return resp
