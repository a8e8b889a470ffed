"""Who calls, and which policies they have: keys of IAM users and of assumed roles, from moto's own records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import PARTITION, iam_backends, sts_backends
from hcluster.localcloud.api.policy import Asker, Policies, Policy, Value

PRINCIPAL = "hcluster.principal"
"""Key of the WSGI environment that holds the verified caller."""
ADMINISTRATOR = "hcluster-admin"
_EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose signature was checked."""

    arn: str
    user: str
    """Name of the IAM user, "" for a role's session."""
    role: str
    """Name of the assumed role, "" for a user."""
    session_policy: str
    """JSON that bounds a role's session further, or ""."""
    role_arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the session; they win over the role's."""
    transitive: tuple[str, ...] = ()
    """Keys of the tags that sessions assumed from this one have as well."""
    facts: Mapping[str, Value] = field(default_factory=dict)
    """Condition keys of the session: its provider's claims, the instance that it was given to."""
    issued: datetime | None = None
    """When a session began."""
    federated: str = ""
    """ARN of the provider that vouches for it, before it has a session."""

    @property
    def account(self) -> str:
        """Its account."""
        return self.arn.split(":")[4]

    @property
    def asker(self) -> Asker:
        """As policies name it."""
        if self.federated:
            return Asker(federated=self.federated)
        return Asker(arn=self.arn, role=self.role_arn, account=self.account)


@dataclass(frozen=True, slots=True)
class Credential:
    """The secret of an access key and whom it stands for."""

    secret: str
    principal: Principal


class Identities:
    """Looks keys and policies up in moto's IAM and STS backends of one account."""

    def __init__(self, account: str, ahead: Callable[[], timedelta] = timedelta) -> None:
        """``ahead``: by how much the cloud's clock is wrong on purpose."""
        self._account = account
        self._ahead = ahead
        self._sessions: dict[str, Any] = {}

    @property
    def iam(self) -> Any:
        """Moto's records of IAM."""
        return iam_backends[self._account][PARTITION]

    def now(self) -> datetime:
        """The time as the cloud knows it."""
        return datetime.now(UTC) + self._ahead()

    def credential(self, access_key: str, token: str, service: str) -> Credential:
        """The credential of ``access_key``. Raises Fault for an unknown or expired key and a wrong session token."""
        for user in list(self.iam.users.values()):
            for key in list(user.access_keys):
                if key.access_key_id == access_key and key.status == "Active":
                    return Credential(key.secret_access_key, Principal(user.arn, user.name, "", ""))
        session = self._session(access_key)
        if session is not None:
            return self._of_session(session, token, service)
        if service == "ec2":
            raise Fault("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
        if service == "s3":
            raise Fault("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
        raise Fault("InvalidClientTokenId", "The security token included in the request is invalid.", 403)

    def _session(self, access_key: str) -> Any:
        """By key: thousands of nodes have sessions, and each of their requests asks for one."""
        found = self._sessions.get(access_key)
        if found is None:
            held = list(sts_backends[self._account][PARTITION].assumed_roles)
            self._sessions = {one.access_key_id: one for one in held}
            found = self._sessions.get(access_key)
        return found

    def _of_session(self, session: Any, token: str, service: str) -> Credential:
        if session.session_token != token:
            raise Fault("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
        if session.expiration.replace(tzinfo=UTC) <= self.now():
            code = "RequestExpired" if service == "ec2" else "ExpiredToken"
            raise Fault(code, "The provided token has expired.", 400)
        principal = Principal(
            session.arn,
            "",
            session.role_arn.rsplit("/", 1)[-1],
            session.policy or "",
            session.role_arn,
            dict(getattr(session, "session_tags", {})),
            tuple(getattr(session, "transitive", ())),
            dict(getattr(session, "facts", {})),
            getattr(session, "issued", None),
        )
        return Credential(session.secret_access_key, principal)

    # Policies

    def policies(
        self, principal: Principal, *, resource: Policy | None = None, owner: str = "", trust: Policy | None = None
    ) -> Policies:
        """All policies that apply to what the principal asks for."""
        holder = self.holder(principal)
        own, boundary = self.of(holder) if holder is not None else ((), None)
        session = [Policy("session", principal.session_policy)] if principal.session_policy else None
        return Policies(own, boundary, session, resource, trust, owner)

    def holder(self, principal: Principal) -> Any:
        """Moto's record of the user or of the session's role, None when it was deleted meanwhile."""
        if principal.federated:
            return None
        if principal.user:
            return self.iam.users.get(principal.user)
        return self.role(principal.role_arn)

    def of(self, holder: Any) -> tuple[list[Policy], Policy | None]:
        """(policies of a user with its groups, or of a role; its permissions boundary)."""
        found = list(_of(holder))
        # Copies: S3 is judged while other requests change IAM's records.
        if holder in list(self.iam.users.values()):
            for group in list(self.iam.groups.values()):
                if holder in group.users:
                    found.extend(_of(group))
        arn = getattr(holder, "permissions_boundary_arn", None)
        return found, self._managed(str(arn)) if arn else None

    def _managed(self, arn: str) -> Policy:
        known = self.iam.managed_policies.get(arn)
        # A boundary that was deleted allows nothing.
        return _default(known) if known is not None else Policy(arn, _NOTHING)

    def role(self, arn: str) -> Any:
        """Moto's record of a role by ARN, None when there is none."""
        return next((one for one in list(self.iam.roles.values()) if one.arn == arn), None)

    def trust_policy(self, role_arn: str) -> str:
        """The trust policy of a role by ARN, "" when there is no such role."""
        found = self.role(role_arn)
        return str(found.assume_role_policy_document) if found is not None else ""

    # Condition keys

    def keys(self, principal: Principal) -> dict[str, Value]:
        """The condition keys that tell who asks."""
        if principal.federated:
            return dict(principal.facts)
        holder = self.holder(principal)
        keys: dict[str, Value] = {
            "aws:PrincipalArn": principal.role_arn or principal.arn,
            "aws:PrincipalAccount": principal.account,
            "aws:PrincipalType": "User" if principal.user else "AssumedRole",
            **principal.facts,
        }
        if holder is not None:
            session = "" if principal.user else ":" + principal.arn.rsplit("/", 1)[-1]
            keys["aws:userid"] = f"{holder.id}{session}"
        if principal.user:
            keys["aws:username"] = principal.user
        else:
            keys["aws:MultiFactorAuthPresent"] = "false"
            if principal.issued is not None:
                keys["aws:TokenIssueTime"] = principal.issued.strftime("%Y-%m-%dT%H:%M:%SZ")
        tags = {**(self.tags(holder) if holder is not None else {}), **principal.tags}
        return keys | {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}

    def tags(self, holder: Any) -> dict[str, str]:
        """Tags of a user or role."""
        listed = getattr(holder, "tags", None)
        if listed is None:
            listed = self.iam.tagger.list_tags_for_resource(holder.arn)["Tags"]
        entries = listed.values() if isinstance(listed, dict) else listed
        return {str(one["Key"]): str(one["Value"]) for one in list(entries)}

    # The administrator

    def administrator(self, region: str) -> tuple[str, str]:
        """(access key, secret) of the administrator, who is made when missing."""
        iam = self.iam
        if ADMINISTRATOR not in iam.users:
            iam.create_user(region, ADMINISTRATOR)
        user = iam.users[ADMINISTRATOR]
        if not list(_of(user)):
            iam.put_user_policy(ADMINISTRATOR, "administrator", _EVERYTHING)
        keys = [key for key in user.access_keys if key.status == "Active"]
        key = keys[0] if keys else iam.create_access_key(ADMINISTRATOR)
        return str(key.access_key_id), str(key.secret_access_key)


_NOTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


def _of(holder: Any) -> Iterator[Policy]:
    """Inline and attached policies of a user, role or group, whichever way moto keeps them."""
    for name, document in list(holder.policies.items()):
        yield Policy(str(name), str(document))
    for policy in list(holder.managed_policies.values()):
        yield _default(policy)


def _default(policy: Any) -> Policy:
    document = next(version.document for version in list(policy.versions) if version.is_default)
    return Policy(str(policy.arn), str(document))
