"""SimulatePrincipalPolicy and SimulateCustomPolicy: the evaluator that judges requests, asked without one.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hcluster.localcloud.api.policy import (
    Asker,
    Decision,
    Kind,
    Policies,
    Policy,
    Value,
    context,
    context_keys,
    decide,
    parse,
)

_SOURCE_TYPES = {
    "identity-based": "IAM Policy",
    "permissions boundary": "IAM Permissions Boundary Policy",
    "resource-based": "Resource Policy",
}
_LISTS = ("List",)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is to be simulated."""

    policies: Policies
    asker: Asker
    actions: Sequence[str]
    resources: Sequence[str]
    keys: Mapping[str, Value]


def simulate(wanted: Simulation) -> list[dict[str, Any]]:
    """One EvaluationResult for each action on each resource. Raises PolicyError."""
    about = context(wanted.keys)
    missing = sorted(_asked(wanted.policies) - set(about))
    return [
        _result(wanted, action, resource, decide(wanted.policies, wanted.asker, action, resource, about), missing)
        for action in wanted.actions
        for resource in wanted.resources or ("*",)
    ]


def entries(given: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    """ContextEntries as condition keys with their values."""
    keys: dict[str, Value] = {}
    for entry in given:
        values = tuple(str(one) for one in entry.get("ContextKeyValues") or ())
        several = str(entry.get("ContextKeyType") or "").endswith(_LISTS)
        keys[str(entry["ContextKeyName"])] = values if several or len(values) != 1 else values[0]
    return keys


def keys_of(documents: Iterable[str]) -> list[str]:
    """The condition keys that policies ask for. Raises PolicyError."""
    return sorted({key for document in documents for key in context_keys(parse(document))})


def _asked(policies: Policies) -> set[str]:
    every: list[tuple[Policy, Kind]] = [(one, "identity") for one in policies.identity]
    every += [(policies.boundary, "identity")] if policies.boundary else []
    every += [(policies.resource, "resource")] if policies.resource else []
    return {key for policy, kind in every for key in context_keys(parse(policy.document, kind))}


def _result(wanted: Simulation, action: str, resource: str, found: Decision, missing: list[str]) -> dict[str, Any]:
    matched = [
        {"SourcePolicyId": match.policy, "SourcePolicyType": _SOURCE_TYPES.get(match.source, "none")}
        for match in found.matched
    ]
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": found.outcome,
        "MatchedStatements": matched,
        "MissingContextValues": missing,
    }
    if wanted.policies.boundary is not None:
        bounded = Policies(identity=[wanted.policies.boundary])
        inside = decide(bounded, wanted.asker, action, resource, context(wanted.keys)).allowed
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": inside}
    if resource != "*":
        result["ResourceSpecificResults"] = [
            {
                "EvalResourceName": resource,
                "EvalResourceDecision": found.outcome,
                "MatchedStatements": matched,
                "MissingContextValues": missing,
            }
        ]
    return result
