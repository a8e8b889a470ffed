"""One thing that a request needs to be allowed: an action on a resource, and what is known of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hcluster.localcloud.api.policy import Value


@dataclass(frozen=True, slots=True)
class Need:
    """A request is allowed when each of its needs is."""

    action: str
    """"ec2:RunInstances"."""
    resource: str = "*"
    """An ARN; "*" where the service knows no resources for the action."""
    keys: Mapping[str, Value] = field(default_factory=dict)
    """Condition keys beside those that every request has."""


def request_tags(tags: Mapping[str, str]) -> dict[str, Value]:
    """The keys of tags that a request gives; none when it gives none."""
    if not tags:
        return {}
    return {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": tuple(tags)}


def listed_tags(entries: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as the APIs list them."""
    return {str(entry["Key"]): str(entry.get("Value") or "") for entry in entries or () if "Key" in entry}
