"""Bucket policies as S3 takes them: their shape, and whether they are public. What they allow is judged elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hcluster.localcloud.api.policy import PolicyError, parse
from hcluster.localcloud.api.s3.problem import problem

MOST = 20 << 10
"""Bytes of a policy."""


def checked(body: bytes, bucket: str) -> str:
    """The text of a policy. Raises MalformedPolicy."""
    if len(body) > MOST:
        raise problem(
            "InvalidPolicyDocument", "Normalized policy document exceeds the maximum allowed size of 20480 bytes."
        )
    try:
        text = body.decode()
        found = json.loads(text)
    except ValueError:
        raise problem("MalformedPolicy") from None
    if not isinstance(found, dict):
        raise problem("MalformedPolicy")
    statements = list(_statements(found))
    if not statements:
        raise problem("MalformedPolicy", "Missing required field Statement")
    for one in statements:
        _check(one, bucket)
    try:
        parse(text, "resource")
    except PolicyError as error:
        raise problem("MalformedPolicy", str(error)) from None
    return text


def _statements(policy: dict[str, Any]) -> Iterator[Any]:
    found = policy.get("Statement") or []
    yield from found if isinstance(found, list) else [found]


def _check(statement: Any, bucket: str) -> None:
    if not isinstance(statement, dict):
        raise problem("MalformedPolicy", "Statement is not an object")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise problem("MalformedPolicy", f"Invalid effect: {statement.get('Effect')}")
    if not statement.keys() & {"Principal", "NotPrincipal"}:
        raise problem("MalformedPolicy", "Missing required field Principal")
    if not statement.keys() & {"Action", "NotAction"}:
        raise problem("MalformedPolicy", "Missing required field Action")
    resources = statement.get("Resource", statement.get("NotResource"))
    if not resources:
        raise problem("MalformedPolicy", "Missing required field Resource")
    arn = f"arn:aws:s3:::{bucket}"
    for resource in resources if isinstance(resources, list) else [resources]:
        if not isinstance(resource, str) or (resource != arn and not resource.startswith((f"{arn}/", f"{arn}*"))):
            raise problem("MalformedPolicy", "Policy has invalid resource", Detail=str(resource))
    actions = statement.get("Action", statement.get("NotAction"))
    for action in actions if isinstance(actions, list) else [actions]:
        if not isinstance(action, str) or (action != "*" and not action.lower().startswith("s3:")):
            raise problem("MalformedPolicy", "Policy has invalid action", Detail=str(action))


def public(text: str) -> bool:
    """Whether a policy lets anybody in: an Allow for everyone without a condition that fixes who.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    return any(
        one.get("Effect") == "Allow" and _everyone(one.get("Principal")) and not one.get("Condition")
        for one in _statements(json.loads(text))
    )


def _everyone(principal: Any) -> bool:
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    return principal == "*" or (isinstance(principal, list) and "*" in principal)
