"""What all schemas share: strictness, change policies declared beside the fields, and the canonical JSON kept in S3."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from hcluster.errors import IntegrityError
from hcluster.model.actions import Policy

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
STANDING = 0
"""The lifetime of what lives until it is taken down."""


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """The declared policy of one field."""

    policy: Policy
    reason: str
    decrease: str = ""
    """Why a smaller number is refused; "" when it follows the policy."""


def live(reason: str, *, no_decrease: str = "") -> dict[str, Any]:
    """Declare that a change applies to running clusters; ``no_decrease`` says why a smaller number is refused."""
    declared = {"change": "live", "change-reason": reason}
    return {**declared, "decrease-refused": no_decrease} if no_decrease else declared


def replace_nodes(reason: str) -> dict[str, Any]:
    """Declare that a change reaches only nodes launched after it."""
    return {"change": "replace-nodes", "change-reason": reason}


def refused(reason: str) -> dict[str, Any]:
    """Declare that a change cannot be made to what exists."""
    return {"change": "refused", "change-reason": reason}


def seconds(text: str) -> int:
    """Seconds of a duration such as ``90m``, ``4h`` or ``2d``.

    Raises:
        ValueError: it is not a number followed by s, m, h or d.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError("write a number and a unit (s, m, h or d), such as 90m, 4h or 2d")
    return int(match[1]) * _UNITS[match[2]]


def duration(value: int) -> str:
    """The shortest text that ``seconds`` reads as ``value``."""
    unit = next(unit for unit in ("d", "h", "m", "s") if value % _UNITS[unit] == 0)
    return f"{value // _UNITS[unit]}{unit}"


def lifetime_seconds(value: object) -> int:
    """Seconds of ``standing`` (``STANDING``) or of a duration.

    Raises:
        ValueError: it is neither.
    """
    if value == "standing":
        return STANDING
    if not isinstance(value, str):
        raise ValueError("write `standing` or a duration with its unit, such as 4h")
    return seconds(value)


Lifetime = Annotated[
    int,
    BeforeValidator(lifetime_seconds),
    PlainSerializer(lambda value: duration(value) if value else "standing", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(standing|[1-9][0-9]{0,5}[smhd])$"}),
]
"""Seconds; ``STANDING`` (0) for ever. Written as text in YAML and JSON."""

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,29}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""1 to 30 of a-z, 0-9 and -, a letter first: it becomes part of resource names, keys and host names."""

InstanceType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")]
"""Such as m5.large."""


class Schema(BaseModel):
    """Root of all schemas: frozen, and unknown keys are refused."""

    # Built when first used: most commands read one of the specs, and to build the others took longer than the rest.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False, defer_build=True)

    def to_json(self) -> str:
        """Canonical JSON: equal values give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            IntegrityError: it does not fit the schema, so another version of hcluster or a person wrote it.
        """
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, ValidationError) as cause:
            raise IntegrityError(
                f"the stored {cls.__name__} cannot be read by this version of hcluster",
                context=str(cause),
                hint="use the version of hcluster that wrote it, or `hcluster down` the cluster and start it again",
            ) from cause


def declared_policy(extra: object) -> ChangePolicy | None:
    """The policy in a field's ``json_schema_extra``, None when there is none."""
    if not isinstance(extra, dict) or "change" not in extra:
        return None
    return ChangePolicy(
        cast("Policy", extra["change"]), str(extra["change-reason"]), str(extra.get("decrease-refused", ""))
    )
