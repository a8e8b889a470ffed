"""Answers in pages, with tokens that are places in the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hcluster.localcloud.api.faults import Fault

Item = TypeVar("Item")


def page(
    found: Sequence[Item], request: Mapping[str, Any], most: int, code: str = "InvalidParameterValue"
) -> tuple[list[Item], str | None]:
    """The page that ``request`` (MaxResults, NextToken) asks for, and the next one's token. Raises Fault with ``code``
    for a token that is none."""
    size, token = int(request.get("MaxResults") or most), request.get("NextToken")
    if token and not str(token).isdigit():
        raise Fault(code, "Unable to parse pagination token")
    first = int(token or 0)
    end = first + max(1, min(size, most))
    return list(found[first:end]), str(end) if end < len(found) else None
