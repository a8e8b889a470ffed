"""Policy documents, read once and refused when anything in them cannot be evaluated.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from hcluster.localcloud.api.policy.conditions import AnyTest, read
from hcluster.localcloud.api.policy.values import Context, PolicyError, Template, template

Kind = Literal["identity", "resource", "trust"]
"""What a document is attached to: a user, group or role (boundaries and session policies, too); a bucket; a role that
it lets be assumed. The last two name principals."""

VERSIONS = ("2012-10-17", "2008-10-17")
_TOP = {"Version", "Id", "Statement"}
_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ACTION = re.compile(r"\*|[A-Za-z0-9\-*?]+:[A-Za-z0-9*?]+")
_PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")
_AWS_PRINCIPAL = re.compile(r"\*|\d{12}|arn:aws[\w-]*:(iam|sts)::\d{12}:[^*?]+|A[A-Z0-9]{15,}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready to be asked."""

    sid: str
    index: int
    allows: bool
    actions: re.Pattern[str]
    not_actions: bool
    resources: tuple[Template, ...]
    """None of them: any resource (trust policies)."""
    not_resources: bool
    principals: Mapping[str, tuple[str, ...]] | None
    """By type; ``{"AWS": ("*",)}`` is anybody. None in policies of identities."""
    not_principals: bool
    conditions: tuple[AnyTest, ...]

    def names(self, action: str) -> bool:
        """Whether it is about an action."""
        return (self.actions.fullmatch(action) is not None) != self.not_actions

    def concerns(self, resource: str, context: Context) -> bool:
        """Whether resource and conditions fit."""
        if self.resources:
            named = any(one.matches(resource, context, "resource") for one in self.resources)
            if named == self.not_resources:
                return False
        return all(test(context) for test in self.conditions)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole policy."""

    statements: tuple[Statement, ...]


@lru_cache(maxsize=1024)
def parse(text: str, kind: Kind = "identity") -> Document:
    """Read a policy document (JSON).

    Raises:
        PolicyError: it is malformed, or holds what cannot be evaluated; the text names it.
    """
    try:
        found = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise PolicyError(f"Syntax errors in policy: {error}.") from error
    if not isinstance(found, dict):
        raise PolicyError("Syntax errors in policy: it is no JSON object.")
    if unknown := sorted(set(found) - _TOP):
        raise PolicyError(f"Syntax errors in policy: {unknown[0]} is no element of a policy.")
    # Without a version the oldest applies, in which ${…} is plain text.
    version = found.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise PolicyError(f"The policy's version must be one of {', '.join(VERSIONS)}, not {version!r}.")
    statements = found.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        raise PolicyError("Syntax errors in policy: it has no Statement.")
    sids = [one["Sid"] for one in statements if isinstance(one, dict) and one.get("Sid")]
    if len(sids) != len(set(map(str, sids))):
        raise PolicyError("Statement IDs (SID) in a single policy must be unique.")
    variables = version == VERSIONS[0]
    return Document(tuple(_statement(one, at, kind, variables=variables) for at, one in enumerate(statements)))


@lru_cache(maxsize=8192)
def statements(text: str, kind: Kind, action: str) -> tuple[Statement, ...]:
    """The statements of a document that are about an action: of a long policy, one or two. Raises PolicyError."""
    return tuple(one for one in parse(text, kind).statements if one.names(action))


def context_keys(document: Document) -> set[str]:
    """The condition keys (lower case) that a document asks for, those of its variables too."""
    keys: set[str] = set()
    for statement in document.statements:
        keys.update(test.key for test in statement.conditions)
        templates = [*statement.resources]
        for test in statement.conditions:
            templates += [value for value in getattr(test, "values", ()) if isinstance(value, Template)]
        keys.update(token.value for one in templates for token in one.tokens if token.kind == "variable")
    return keys


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice")
    return dict(pairs)


def _statement(found: Any, index: int, kind: Kind, *, variables: bool) -> Statement:
    if not isinstance(found, dict):
        raise PolicyError(f"Syntax errors in policy: statement {index + 1} is no object.")
    name = f"statement {found.get('Sid') or index + 1}"
    if unknown := sorted(set(found) - _ELEMENTS):
        raise PolicyError(f"Syntax errors in policy: {unknown[0]} in {name} is no element of a statement.")
    if found.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"The Effect of {name} must be Allow or Deny, not {found.get('Effect')!r}.")
    allows = found["Effect"] == "Allow"
    action = _one_of(found, "Action", name)
    if kind == "trust" and not all(text.lower().startswith("sts:") for text in _texts(found, action, name)):
        raise PolicyError(f"AssumeRole policy may only specify STS AssumeRole actions: {name}.")
    resources, not_resources = _resources(found, kind, name, variables=variables)
    principals, not_principals = _principals(found, kind, name)
    if not_principals and allows:
        raise PolicyError(f"NotPrincipal in {name}: it can be used with the effect Deny only.")
    return Statement(
        str(found.get("Sid") or ""),
        index,
        allows,
        _actions(_texts(found, action, name), name),
        action == "NotAction",
        resources,
        not_resources,
        principals,
        not_principals,
        _conditions(found, name, variables=variables),
    )


def _one_of(found: Mapping[str, Any], element: str, name: str) -> str:
    given = [one for one in (element, f"Not{element}") if one in found]
    if len(given) != 1:
        what = f"both {element} and Not{element}" if given else f"no {element}"
        raise PolicyError(f"Policy statement must contain {element.lower()}s: {name} has {what}.")
    return given[0]


def _texts(found: Mapping[str, Any], element: str, name: str) -> list[str]:
    value = found[element]
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise PolicyError(f"Syntax errors in policy: {element} of {name} must be a string or a list of strings.")
    return listed


def _actions(names: list[str], name: str) -> re.Pattern[str]:
    for one in names:
        if not _ACTION.fullmatch(one):
            raise PolicyError(
                f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {one!r} in {name}."
            )
    regex = "|".join(re.escape(one).replace(r"\*", ".*").replace(r"\?", ".") for one in names)
    return re.compile(regex, re.IGNORECASE)


def _resources(
    found: Mapping[str, Any], kind: Kind, name: str, *, variables: bool
) -> tuple[tuple[Template, ...], bool]:
    if kind == "trust":
        for element in ("Resource", "NotResource"):
            if element in found:
                raise PolicyError(f"Has prohibited field {element}: {name}.")
        return (), False
    element = _one_of(found, "Resource", name)
    texts = _texts(found, element, name)
    for text in texts:
        if text != "*" and not text.startswith("arn:"):
            raise PolicyError(f'Resource {text} must be in ARN format or "*": {name}.')
    return tuple(template(text, variables=variables) for text in texts), element == "NotResource"


def _principals(found: Mapping[str, Any], kind: Kind, name: str) -> tuple[Mapping[str, tuple[str, ...]] | None, bool]:
    given = [one for one in ("Principal", "NotPrincipal") if one in found]
    if kind == "identity":
        if given:
            raise PolicyError(f"Policy document should not specify a principal: {given[0]} in {name}.")
        return None, False
    if len(given) != 1:
        raise PolicyError(f"Missing required field Principal: {name} must have one, and no NotPrincipal beside it.")
    value = found[given[0]]
    if value == "*":
        return {"AWS": ("*",)}, given[0] == "NotPrincipal"
    if not isinstance(value, dict) or not value:
        raise PolicyError(f"Invalid principal in policy: {given[0]} of {name}.")
    listed = {str(key): tuple(_texts(value, key, f"{given[0]} of {name}")) for key in value}
    for key, values in listed.items():
        if key not in _PRINCIPALS:
            raise PolicyError(f"Invalid principal in policy: {key} in {name} is no type of principal.")
        for one in values if key == "AWS" else ():
            if not _AWS_PRINCIPAL.fullmatch(one):
                raise PolicyError(f'Invalid principal in policy: "AWS":"{one}" in {name}.')
    return listed, given[0] == "NotPrincipal"


def _conditions(found: Mapping[str, Any], name: str, *, variables: bool) -> tuple[AnyTest, ...]:
    value = found.get("Condition", {})
    if not isinstance(value, dict):
        raise PolicyError(f"Syntax errors in policy: Condition of {name} must be an object.")
    tests: list[AnyTest] = []
    for operator, keys in value.items():
        if not isinstance(keys, dict):
            raise PolicyError(f"Syntax errors in policy: {operator} in {name} must be an object.")
        for key, values in keys.items():
            listed = values if isinstance(values, list) else [values]
            if not all(isinstance(one, str | bool | int | float) for one in listed):
                raise PolicyError(f"Syntax errors in policy: {operator} of {key} in {name} must be strings.")
            if ":" not in key:
                raise PolicyError(f"Actions/Conditions must be prefaced by a vendor: {key!r} in {name}.")
            texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in listed]
            try:
                tests.append(read(str(operator), str(key), texts, variables=variables))
            except PolicyError as error:
                raise PolicyError(f"Invalid condition in {name}: {error}") from error
    return tuple(tests)
