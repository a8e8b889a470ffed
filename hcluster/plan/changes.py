"""What differs between two specs, and what each difference asks for by the policy declared beside its field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from hcluster.model.actions import Policy
from hcluster.spec.base import Schema, declared_policy

S = TypeVar("S", bound=Schema)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    field: str
    """Dotted path, such as ``core.count``."""
    old: object
    new: object
    """Both as in the spec's JSON."""
    policy: Policy
    reason: str


def changes(old: S, new: S) -> list[Change]:
    """All differences, in the order of the schema; none for equal specs."""
    return list(_changes(old, new, ""))


def _changes(old: BaseModel, new: BaseModel, path: str) -> Iterator[Change]:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for name, field in type(new).model_fields.items():
        here = f"{path}.{name}" if path else name
        if before[name] == after[name]:
            continue
        inner_old, inner_new = getattr(old, name), getattr(new, name)
        if isinstance(inner_old, BaseModel) and isinstance(inner_new, BaseModel):
            yield from _changes(inner_old, inner_new, here)
            continue
        declared = declared_policy(field.json_schema_extra)
        if declared is None:
            raise TypeError(f"{here} has no change policy")
        policy, reason = declared.policy, declared.reason
        if declared.decrease and isinstance(inner_old, int) and isinstance(inner_new, int) and inner_new < inner_old:
            policy, reason = "refused", declared.decrease
        yield Change(here, before[name], after[name], policy, reason)
