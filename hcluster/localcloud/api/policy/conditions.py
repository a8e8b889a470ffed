"""The Condition element: each operator with its quantifier, and keys that are missing.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal

from hcluster.localcloud.api.policy.values import Context, PolicyError, Template, template

Holds = Callable[[str, Any, Context], bool]
"""(value of the request, prepared value of the policy, context): whether the two fit."""
Prepare = Callable[[str, bool], Any]
"""(value of the policy, whether it may have variables): what ``Holds`` gets. Raises PolicyError."""
Quantifier = Literal["", "ForAnyValue", "ForAllValues"]


@dataclass(frozen=True, slots=True)
class Test:
    """One operator on one key."""

    operator: str
    key: str
    """In lower case."""
    holds: Holds
    negated: bool
    quantifier: Quantifier
    if_exists: bool
    values: tuple[Any, ...]

    def __call__(self, context: Context) -> bool:
        """Whether it holds for a request."""
        actual = context.get(self.key)
        if actual is None or actual == ():
            # A missing key satisfies …IfExists, ForAllValues and the negated operators, and no other one.
            if self.quantifier == "ForAnyValue":
                return self.if_exists
            return self.if_exists or self.negated or self.quantifier == "ForAllValues"
        given = (actual,) if isinstance(actual, str) else actual
        if self.quantifier == "ForAllValues":
            return all(self._one(value, context) for value in given)
        if not self.quantifier and self.negated:
            # AWS wants a quantifier for keys of several values; without one, the stricter reading.
            return all(self._one(value, context) for value in given)
        return any(self._one(value, context) for value in given)

    def _one(self, value: str, context: Context) -> bool:
        return any(self.holds(value, expected, context) for expected in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class NullTest:
    """Null: "true" when the key is to be missing."""

    key: str
    missing: bool
    operator: str = "Null"

    def __call__(self, context: Context) -> bool:
        """Whether it holds for a request."""
        return (context.get(self.key) in (None, ())) == self.missing


AnyTest = Test | NullTest


def read(operator: str, key: str, values: list[str], *, variables: bool) -> AnyTest:
    """One entry of a Condition.

    Raises:
        PolicyError: no such operator, or a value that it cannot be given.
    """
    first, colon, rest = operator.partition(":")
    quantifier: Quantifier = ""
    if colon:
        if first not in ("ForAnyValue", "ForAllValues"):
            raise PolicyError(f"{operator} is no condition operator: {first} is no set operator.")
        quantifier = "ForAnyValue" if first == "ForAnyValue" else "ForAllValues"
    name = rest if colon else first
    base = name.removesuffix("IfExists")
    if base == "Null":
        return _null(operator, name, key, values)
    if base not in _OPERATORS:
        raise PolicyError(f"{operator} is no condition operator.")
    prepare, holds, negated = _OPERATORS[base]
    try:
        prepared = tuple(prepare(value, variables) for value in values)
    except PolicyError as error:
        raise PolicyError(f"{operator} of {key}: {error}") from error
    return Test(operator, key.lower(), holds, negated, quantifier, name != base, prepared)


def _null(operator: str, name: str, key: str, values: list[str]) -> NullTest:
    if name != "Null":
        raise PolicyError(f"{operator} is no condition operator: Null cannot be combined with IfExists.")
    lowered = {value.lower() for value in values}
    if len(lowered) != 1 or not lowered <= {"true", "false"}:
        raise PolicyError(f"{operator} of {key} must be true or false, not {values}.")
    return NullTest(key.lower(), lowered == {"true"}, operator)


def _text(value: str, variables: bool) -> Template:  # noqa: FBT001 - one of several with this signature
    return template(value, variables=variables)


def _boolean(value: str, _: bool) -> str:  # noqa: FBT001
    if value.lower() not in ("true", "false"):
        raise PolicyError(f"{value!r} is neither true nor false.")
    return value.lower()


def _number(value: str, _: bool) -> Decimal:  # noqa: FBT001
    try:
        return Decimal(value)
    except InvalidOperation:
        raise PolicyError(f"{value!r} is no number.") from None


def _date(value: str, _: bool) -> datetime:  # noqa: FBT001
    try:
        return _moment(value)
    except (ValueError, OverflowError):
        raise PolicyError(f"{value!r} is no date (ISO 8601 or seconds since 1970).") from None


def _network(value: str, _: bool) -> IPv4Network | IPv6Network:  # noqa: FBT001
    try:
        return ip_network(value, strict=False)
    except ValueError:
        raise PolicyError(f"{value!r} is no IP address or range.") from None


def _binary(value: str, _: bool) -> bytes:  # noqa: FBT001
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise PolicyError(f"{value!r} is not base64.") from None


_EPOCH = re.compile(r"-?\d{5,}(\.\d+)?")


def _moment(value: str) -> datetime:
    """W3C's profile of ISO 8601 has shorter forms than Python reads: 2026, 2026-01."""
    if _EPOCH.fullmatch(value):
        return datetime.fromtimestamp(float(value), UTC)
    if len(value) in (4, 7):
        value += "-01-01"[: 10 - len(value)]
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _equals(actual: str, expected: Template, context: Context) -> bool:
    return expected.text(context) == actual


def _equals_ignoring_case(actual: str, expected: Template, context: Context) -> bool:
    text = expected.text(context)
    return text is not None and text.lower() == actual.lower()


def _like(actual: str, expected: Template, context: Context) -> bool:
    return expected.matches(actual, context, "text")


def _arn_like(actual: str, expected: Template, context: Context) -> bool:
    return expected.matches(actual, context, "arn")


def _same_boolean(actual: str, expected: str, _: Context) -> bool:
    return actual.lower() == expected


def _compared(wanted: tuple[int, ...], actual: str, expected: Decimal, _: Context) -> bool:
    try:
        found = Decimal(actual)
    except InvalidOperation:
        return False
    return (found > expected) - (found < expected) in wanted


def _dated(wanted: tuple[int, ...], actual: str, expected: datetime, _: Context) -> bool:
    try:
        found = _moment(actual)
    except (ValueError, OverflowError):
        return False
    return (found > expected) - (found < expected) in wanted


def _within(actual: str, expected: IPv4Network | IPv6Network, _: Context) -> bool:
    try:
        address = ip_address(actual)
    except ValueError:
        return False
    return address.version == expected.version and address in expected


def _same_bytes(actual: str, expected: bytes, _: Context) -> bool:
    try:
        return base64.b64decode(actual, validate=True) == expected
    except binascii.Error:
        return False


_OPERATORS: dict[str, tuple[Prepare, Holds, bool]] = {
    "StringEquals": (_text, _equals, False),
    "StringNotEquals": (_text, _equals, True),
    "StringEqualsIgnoreCase": (_text, _equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_text, _equals_ignoring_case, True),
    "StringLike": (_text, _like, False),
    "StringNotLike": (_text, _like, True),
    "ArnEquals": (_text, _arn_like, False),
    "ArnNotEquals": (_text, _arn_like, True),
    "ArnLike": (_text, _arn_like, False),
    "ArnNotLike": (_text, _arn_like, True),
    "Bool": (_boolean, _same_boolean, False),
    "BinaryEquals": (_binary, _same_bytes, False),
    "IpAddress": (_network, _within, False),
    "NotIpAddress": (_network, _within, True),
}
for _kind, _prepare, _holds in (("Numeric", _number, _compared), ("Date", _date, _dated)):
    for _name, _wanted in {"LessThan": (-1,), "LessThanEquals": (-1, 0), "GreaterThan": (1,)}.items():
        _OPERATORS[_kind + _name] = (_prepare, partial(_holds, _wanted), False)
    _OPERATORS[f"{_kind}GreaterThanEquals"] = (_prepare, partial(_holds, (0, 1)), False)
    _OPERATORS[f"{_kind}Equals"] = (_prepare, partial(_holds, (0,)), False)
    _OPERATORS[f"{_kind}NotEquals"] = (_prepare, partial(_holds, (0,)), True)
