"""Who may begin a session: AssumeRole with its trust policy, tags and external id, and web identities.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hcluster.localcloud.api.access.judge import Judge, refusal
from hcluster.localcloud.api.access.need import Need, listed_tags, request_tags
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.identity import PRINCIPAL, Identities, Principal
from hcluster.localcloud.api.policy import Policy, PolicyError, Value, parse

WEB_IDENTITY = "hcluster.web-identity"
"""Key of the WSGI environment that holds the ``Token`` of a web identity, verified before any lock was taken."""
FEDERATED = "AssumeRoleWithWebIdentity"
_UNSUPPORTED = ("AssumeRoleWithSAML", "AssumeRoot", "GetSessionToken", "GetFederationToken")
_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_LONGEST_CHAIN = 3600
_MOST_TAGS = 50
_MOST_POLICY = 2048
_SHORTEST, _LONGEST = 900, 43_200


class Sessions:
    """Judges requests to STS."""

    def __init__(self, judge: Judge, identities: Identities) -> None:
        self._judge = judge
        self._identities = identities

    def authorize(
        self, environ: Mapping[str, Any], operation: str, parameters: Mapping[str, Any], request: Mapping[str, Value]
    ) -> None:
        """Raises Fault unless the caller may."""
        if (operation == FEDERATED) != (WEB_IDENTITY in environ):
            raise Fault("AccessDenied", f"Not authorized to perform sts:{operation}", 403)
        if operation == "GetCallerIdentity":
            return
        if operation in _UNSUPPORTED:
            raise Fault("AccessDenied", f"{operation} is not supported by the local cloud.", 403)
        principal = environ[PRINCIPAL]
        if operation in ("AssumeRole", FEDERATED):
            self._assume(environ, principal, operation, parameters, request)
        else:
            self._judge.demand(principal, [Need(f"sts:{operation}")], request, "sts")

    def _assume(
        self,
        environ: Mapping[str, Any],
        principal: Principal,
        operation: str,
        parameters: Mapping[str, Any],
        request: Mapping[str, Value],
    ) -> None:
        arn = str(parameters.get("RoleArn") or "")
        check(parameters)
        role = self._identities.role(arn)
        token = environ.get(WEB_IDENTITY)
        asked = {key.lower() for key in listed_tags(parameters.get("Tags"))}
        if asked & {key.lower() for key in principal.transitive}:
            raise Fault(
                "InvalidParameterValue",
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
                "from the calling session.",
            )
        tags = token.tags if token is not None else listed_tags(parameters.get("Tags"))
        transitive = token.transitive if token is not None else tuple(parameters.get("TransitiveTagKeys") or ())
        keys = {**session_keys(parameters, tags, transitive), **(token.facts if token is not None else {})}
        if role is not None:
            keys |= {
                f"{kind}:ResourceTag/{k}": v for k, v in self._identities.tags(role).items() for kind in ("aws", "iam")
            }
        needs = [Need(f"sts:{operation}", arn, keys)]
        if tags or transitive:
            needs.append(Need("sts:TagSession", arn, keys))
        if parameters.get("SourceIdentity"):
            needs.append(Need("sts:SetSourceIdentity", arn, keys))
        # A role that does not exist is refused as one that may not be assumed, so that nobody learns of it.
        trust = Policy("trust", self._identities.trust_policy(arn) or _NOBODY)
        for need in needs:
            found = self._judge.decision(principal, need, request, trust=trust)
            if not found.allowed:
                if token is not None:
                    raise Fault("AccessDenied", f"Not authorized to perform {need.action}", 403)
                raise refusal("sts", principal, need, found)
        check_duration(principal, role, parameters)


_NOBODY = (
    '{"Version": "2012-10-17", "Statement": '
    '{"Effect": "Deny", "Principal": {"Service": "nobody"}, "Action": "sts:AssumeRole"}}'
)


def session_keys(
    parameters: Mapping[str, Any], tags: Mapping[str, str], transitive: tuple[str, ...]
) -> dict[str, Value]:
    """The condition keys of a request for a session."""
    keys: dict[str, Value] = request_tags(tags)
    if transitive:
        keys["sts:TransitiveTagKeys"] = transitive
    for name in ("ExternalId", "RoleSessionName", "SourceIdentity"):
        if parameters.get(name):
            keys[f"sts:{name}"] = str(parameters[name])
    if parameters.get("DurationSeconds"):
        keys["sts:DurationSeconds"] = str(parameters["DurationSeconds"])
    return keys


def check(parameters: Mapping[str, Any]) -> None:
    """Raises Fault for parameters that STS refuses whoever gives them."""
    name = str(parameters.get("RoleSessionName") or "")
    if not _NAME.fullmatch(name):
        raise _invalid("roleSessionName", name, r"Member must satisfy regular expression pattern: [\w+=,.@-]*")
    duration = int(parameters.get("DurationSeconds") or 3600)
    if not _SHORTEST <= duration <= _LONGEST:
        raise _invalid(
            "durationSeconds", duration, f"Member must have value between {_SHORTEST} and {_LONGEST}, inclusive"
        )
    tags = listed_tags(parameters.get("Tags"))
    if len(tags) > _MOST_TAGS or len({key.lower() for key in tags}) != len(parameters.get("Tags") or ()):
        raise Fault("InvalidParameterValue", "Duplicate tag keys found, or more than 50 tags.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise Fault("InvalidParameterValue", "Tag keys beginning with aws: are reserved.")
    if unknown := sorted(set(parameters.get("TransitiveTagKeys") or ()) - set(tags)):
        raise Fault("InvalidParameterValue", f"The transitive tag key {unknown[0]} is not among the session's tags.")
    if parameters.get("PolicyArns"):
        raise Fault("NotImplemented", "PolicyArns of a session are not supported by the local cloud; use Policy.", 501)
    if document := parameters.get("Policy"):
        if len(str(document)) > _MOST_POLICY:
            raise _invalid("policy", document, f"Member must have length less than or equal to {_MOST_POLICY}")
        try:
            parse(str(document), "identity")
        except PolicyError as error:
            raise Fault("MalformedPolicyDocument", str(error)) from error


def check_duration(principal: Principal, role: Any, parameters: Mapping[str, Any]) -> None:
    """Raises Fault for a session longer than the role's longest, or than an hour when a session begins another."""
    duration = int(parameters.get("DurationSeconds") or 3600)
    if duration > int(getattr(role, "max_session_duration", 0) or 3600):
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Fault("ValidationError", message)
    if principal.role and duration > _LONGEST_CHAIN:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise Fault("ValidationError", message)


def _invalid(name: str, value: object, constraint: str) -> Fault:
    return Fault(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {constraint}",
    )
