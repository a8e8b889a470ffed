"""Decides what IAM policy documents allow: identity and session policies, explicit Deny first.

Pure. What it cannot evaluate never allows: an unknown condition operator makes an Allow not apply and a Deny apply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, str]


def allowed(documents: Iterable[str], action: str, resource: str, context: Context) -> bool:
    """Whether the ``documents`` (JSON) together allow ``action`` ("s3:GetObject") on ``resource`` (an ARN or "*")."""
    granted = False
    for document in documents:
        for statement in statements(document):
            if not _concerns(statement, action, resource):
                continue
            if statement.get("Effect") == "Deny":
                if _conditions(statement, context) is not False:
                    return False
            elif _conditions(statement, context) is True:
                granted = True
    return granted


def trusts(document: str, principal: str, account: str, *, service: str = "") -> str:
    """How a role's trust policy lets ``principal`` (ARN) assume it: "direct", "account" (its policies decide) or "".

    With ``service`` ("ec2.amazonaws.com") the question is whether that service may.
    """
    found = ""
    for statement in statements(document):
        if statement.get("Effect") != "Allow" or not _any_match(statement.get("Action"), "sts:AssumeRole", fold=True):
            continue
        if _conditions(statement, {}) is not True:
            continue
        trusted = statement.get("Principal")
        groups: Mapping[str, Any] = trusted if isinstance(trusted, Mapping) else {"AWS": trusted}
        if service and service in _listed(groups.get("Service")):
            return "direct"
        for name in _listed(groups.get("AWS")) if not service else ():
            if name in ("*", principal):
                return "direct"
            if name in (account, f"arn:aws:iam::{account}:root"):
                found = "account"
    return found


@lru_cache(maxsize=512)
def statements(document: str) -> tuple[Statement, ...]:
    """The statements of a policy document; () when it is no valid JSON object."""
    try:
        parsed = json.loads(document)
    except ValueError:
        return ()
    found = parsed.get("Statement", ()) if isinstance(parsed, dict) else ()
    return tuple(_listed(found))


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _concerns(statement: Statement, action: str, resource: str) -> bool:
    if "NotAction" in statement:
        if _any_match(statement["NotAction"], action, fold=True):
            return False
    elif not _any_match(statement.get("Action"), action, fold=True):
        return False
    if "NotResource" in statement:
        return not _any_match(statement["NotResource"], resource)
    return _any_match(statement.get("Resource"), resource)


def _any_match(patterns: object, value: str, *, fold: bool = False) -> bool:
    return any(_pattern(str(pattern), fold).fullmatch(value) is not None for pattern in _listed(patterns))


@lru_cache(maxsize=4096)
def _pattern(text: str, fold: object) -> re.Pattern[str]:
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text]
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if fold else 0))


def _conditions(statement: Statement, context: Context) -> bool | None:
    """True: they all hold; False: one does not; None: one cannot be told."""
    unknown = False
    lowered = {key.lower(): value for key, value in context.items()}
    for operator, tests in (statement.get("Condition") or {}).items():
        for key, expected in tests.items():
            held = _test(str(operator), lowered.get(str(key).lower()), [str(e) for e in _listed(expected)])
            if held is False:
                return False
            unknown = unknown or held is None
    return None if unknown else True


def _test(operator: str, actual: str | None, expected: list[str]) -> bool | None:  # noqa: PLR0911 - one per operator
    base = operator.removesuffix("IfExists")
    if base == "Null":
        wanted = expected[:1] in (["true"], ["True"])
        return (actual is None) == wanted
    if actual is None:
        # A missing key satisfies ...IfExists and the negated operators, and no other one.
        return operator.endswith("IfExists") or "Not" in base
    if base in ("StringEquals", "StringNotEquals"):
        return (actual in expected) != base.startswith("StringNot")
    if base in ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"):
        return (actual.lower() in [e.lower() for e in expected]) != base.startswith("StringNot")
    if base in ("StringLike", "StringNotLike", "ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals"):
        return _any_match(expected, actual) != ("Not" in base)
    if base == "Bool":
        return actual.lower() in [e.lower() for e in expected]
    return None
