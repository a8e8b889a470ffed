"""Judges what a request needs by its caller's policies, and refuses as each service words it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hcluster.localcloud.api.access.need import Need
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.identity import Identities, Principal
from hcluster.localcloud.api.policy import (
    Context,
    Decision,
    Policies,
    Policy,
    PolicyError,
    Value,
    context,
    decide,
)


class Judge:
    """Asks the evaluator for one cloud's callers."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def decision(
        self,
        principal: Principal,
        need: Need,
        request: Mapping[str, Value],
        *,
        resource: Policy | None = None,
        owner: str = "",
        trust: Policy | None = None,
    ) -> Decision:
        """Whether ``principal`` may.

        Args:
            principal: The verified caller.
            need: What it asks for.
            request: Condition keys that every request has, from ``request_keys``.
            resource: The policy of the resource (a bucket's).
            owner: The account that the resource belongs to; "" is the caller's.
            trust: A role's trust policy, which must allow it.

        Raises:
            Fault: a policy that applies cannot be evaluated; then nothing is allowed.
        """
        known = self._identities.policies(principal, resource=resource, owner=owner, trust=trust)
        return self._decided(principal, need, known, context({**request, **self._identities.keys(principal)}))

    @staticmethod
    def _decided(principal: Principal, need: Need, known: Policies, who: Context) -> Decision:
        about = {**who, **context(need.keys)} if need.keys else who
        try:
            return decide(known, principal.asker, need.action, need.resource, about)
        except PolicyError as error:
            # It was checked when it was put, so this is one from before that, or moto's own.
            raise Fault("AccessDenied", f"A policy cannot be evaluated by the local cloud: {error}", 403) from error

    def demand(
        self,
        principal: Principal,
        needs: Iterable[Need],
        request: Mapping[str, Value],
        service: str,
        *,
        resource: Policy | None = None,
        owner: str = "",
    ) -> None:
        """Raises Fault for the first of the needs that is not allowed."""
        known = self._identities.policies(principal, resource=resource, owner=owner)
        who = context({**request, **self._identities.keys(principal)})
        for need in needs:
            found = self._decided(principal, need, known, who)
            if not found.allowed:
                raise refusal(service, principal, need, found)


def request_keys(environ: Mapping[str, Any], region: str, now: datetime | None = None) -> dict[str, Value]:
    """The condition keys that every request has."""
    moment = now or datetime.now(UTC)
    keys: dict[str, Value] = {
        "aws:RequestedRegion": region,
        # The endpoint speaks plain HTTP, so policies that demand TLS refuse here: they would be right to.
        "aws:SecureTransport": "true" if environ.get("wsgi.url_scheme") == "https" else "false",
        "aws:CurrentTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(moment.timestamp())),
        "aws:ViaAWSService": "false",
        "aws:PrincipalIsAWSService": "false",
    }
    for name, variable in (
        ("aws:SourceIp", "REMOTE_ADDR"),
        ("aws:UserAgent", "HTTP_USER_AGENT"),
        ("aws:Referer", "HTTP_REFERER"),
    ):
        if environ.get(variable):
            keys[name] = str(environ[variable])
    return keys


def refusal(service: str, principal: Principal, need: Need, decision: Decision) -> Fault:
    """The error that the caller gets."""
    where = "" if need.resource == "*" else f" on resource: {need.resource}"
    text = f"User: {principal.arn} is not authorized to perform: {need.action}{where} {decision.reason}"
    if service == "ec2":
        return Fault("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    if service in ("s3", "iam", "sts"):
        return Fault("AccessDenied", text, 403)
    return Fault("AccessDeniedException", text, 400)
