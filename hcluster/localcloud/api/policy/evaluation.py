"""Whether a request is allowed: explicit Deny first, then every kind of policy that bounds the caller.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hcluster.localcloud.api.policy.documents import Kind, Statement, statements
from hcluster.localcloud.api.policy.values import Context, Value

Outcome = Literal["allowed", "implicitDeny", "explicitDeny"]
Source = Literal["identity-based", "permissions boundary", "session", "resource-based", "trust"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A document with the name that it is told by."""

    name: str
    document: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, in every form by which a policy can name it; the default is nobody that could be named."""

    arn: str = ""
    """Of the user or of the role's session."""
    role: str = ""
    """ARN of the role behind a session, "" for a user."""
    account: str = ""
    service: str = ""
    """"ec2.amazonaws.com", when a service asks."""
    federated: str = ""
    """ARN of the provider, when a web identity asks."""


@dataclass(frozen=True, slots=True)
class Policies:
    """All that apply to one request. None of a bound means that there is none of that kind."""

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    trust: Policy | None = None
    """A role's trust policy; it must allow the request in any case."""
    resource_account: str = ""
    """Owner of the resource; "" for the asker's own account."""


@dataclass(frozen=True, slots=True)
class Match:
    """A statement that decided."""

    policy: str
    source: Source
    sid: str
    index: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of it, why, and which statements spoke."""

    outcome: Outcome
    reason: str
    matched: tuple[Match, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request may be served."""
        return self.outcome == "allowed"


def context(values: Mapping[str, Value]) -> Context:
    """What conditions are asked with: the keys of ``values`` in lower case, since their case does not matter."""
    return {key.lower(): value for key, value in values.items()}


def decide(policies: Policies, asker: Asker, action: str, resource: str, about: Context) -> Decision:
    """Judge one action ("s3:GetObject") on one resource (an ARN or "*"). ``about`` is from ``context``.

    Raises:
        PolicyError: a document cannot be evaluated.
    """
    asked = (asker, action, resource, about)
    identity = _spoken(policies.identity, "identity-based", *asked)
    boundary = _spoken([policies.boundary] if policies.boundary else [], "permissions boundary", *asked)
    session = _spoken(policies.session or (), "session", *asked)
    named = [policies.resource] if policies.resource else []
    on_resource = _spoken(named, "resource-based", *asked)
    trust = _spoken([policies.trust] if policies.trust else [], "trust", *asked)
    every = (identity, boundary, session, on_resource, trust)
    if denied := [match for spoken in every for match, statement in spoken if not statement.allows]:
        reason = f"with an explicit deny in {_article(denied[0].source)} policy"
        return Decision("explicitDeny", reason, tuple(denied))
    granted = tuple(match for spoken in every for match, _ in spoken)
    if missing := _missing(policies, asker, action, identity, boundary, session, on_resource, trust):
        return Decision("implicitDeny", missing, ())
    return Decision("allowed", "", granted)


_Spoken = list[tuple[Match, Statement]]
Grant = Literal["", "account", "role", "direct"]


def _missing(  # noqa: PLR0911 - one of each for each kind of policy
    policies: Policies,
    asker: Asker,
    action: str,
    identity: _Spoken,
    boundary: _Spoken,
    session: _Spoken,
    on_resource: _Spoken,
    trust: _Spoken,
) -> str:
    """Which kind of policy does not allow it, as AWS words it; "" when none is missing. Nothing denies."""
    own = not policies.resource_account or policies.resource_account == asker.account
    how = _granted(on_resource if policies.trust is None else trust, asker)
    if not how and policies.trust is not None:
        return f"because no trust policy allows the {action} action"
    if not how and not own:
        return f"because no resource-based policy allows the {action} action"
    # A grant to this very user or session needs no other; one to its role is bounded by boundary and session policy.
    if own and how == "direct":
        return ""
    if not identity and not (own and how == "role"):
        return f"because no identity-based policy allows the {action} action"
    if policies.boundary is not None and not boundary:
        return f"because no permissions boundary allows the {action} action"
    if policies.session is not None and not session:
        return f"because no session policy allows the {action} action"
    return ""


def _article(source: str) -> str:
    return f"{'an' if source[0] in 'aeiou' else 'a'} {source}"


def _spoken(
    policies: Iterable[Policy], source: Source, asker: Asker, action: str, resource: str, about: Context
) -> _Spoken:
    found: _Spoken = []
    for policy in policies:
        for statement in statements(policy.document, _KINDS.get(source, "identity"), action):
            if _names(statement, asker) and statement.concerns(resource, about):
                found.append((Match(policy.name, source, statement.sid, statement.index), statement))
    return found


_KINDS: Mapping[Source, Kind] = {"resource-based": "resource", "trust": "trust"}


def _names(statement: Statement, asker: Asker) -> bool:
    """Whether a statement's principal is the asker, or its account."""
    if statement.principals is None:
        return True
    if statement.not_principals:
        # Whoever is to be spared must be named with everything that it is: account, role and session.
        spared = _forms(asker)
        listed = {one for values in statement.principals.values() for one in values}
        listed |= {f"arn:aws:iam::{one}:root" for one in listed if one.isdigit()}
        return not ("*" in listed or (spared and spared <= listed))
    return bool(_grant(statement, asker))


def _forms(asker: Asker) -> set[str]:
    root = f"arn:aws:iam::{asker.account}:root" if asker.account else ""
    return {one for one in (asker.arn, asker.role, root, asker.service, asker.federated) if one}


def _granted(spoken: _Spoken, asker: Asker) -> Grant:
    grants = {_grant(statement, asker) for _, statement in spoken if statement.allows}
    return next((how for how in ("direct", "role", "account") if how in grants), "")


def _grant(statement: Statement, asker: Asker) -> Grant:
    """How a statement names the asker: itself, the role of its session, or only its account."""
    groups = statement.principals or {}
    names = groups.get("AWS", ())
    for name, listed in ((asker.service, groups.get("Service", ())), (asker.federated, groups.get("Federated", ()))):
        if name and name in listed:
            return "direct"
    if asker.arn and asker.arn in names:
        return "direct"
    if "*" in names and asker.arn:
        return "role" if asker.role else "direct"
    if asker.role and asker.role in names:
        return "role"
    if asker.account and (asker.account in names or f"arn:aws:iam::{asker.account}:root" in names):
        return "account"
    return ""
