"""Who calls, and which policies they have: keys of IAM users and of assumed roles, from moto's own records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import PARTITION, iam_backends, sts_backends

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


@dataclass(frozen=True, slots=True)
class Credential:
    """The secret of an access key and whom it stands for."""

    secret: str
    principal: Principal


class Identities:
    """Looks keys and policies up in moto's IAM and STS backends of one account."""

    def __init__(self, account: str) -> None:
        self._account = account

    @property
    def _iam(self) -> Any:
        return iam_backends[self._account][PARTITION]

    def credential(self, access_key: str, token: str, service: str) -> Credential:
        """The credential of ``access_key``. Raises Fault for an unknown or expired key and a wrong session token."""
        for user in list(self._iam.users.values()):
            for key in list(user.access_keys):
                if key.access_key_id == access_key and key.status == "Active":
                    return Credential(key.secret_access_key, Principal(user.arn, user.name, "", ""))
        for role in list(sts_backends[self._account][PARTITION].assumed_roles):
            if role.access_key_id == access_key:
                if role.session_token != token:
                    raise Fault("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
                if role.expiration.replace(tzinfo=UTC) <= datetime.now(UTC):
                    code = "RequestExpired" if service == "ec2" else "ExpiredToken"
                    raise Fault(code, "The provided token has expired.", 400)
                name = role.role_arn.rsplit("/", 1)[-1]
                return Credential(role.secret_access_key, Principal(role.arn, "", name, role.policy or ""))
        if service == "ec2":
            raise Fault("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
        if service == "s3":
            raise Fault("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
        raise Fault("InvalidClientTokenId", "The security token included in the request is invalid.", 403)

    def documents(self, principal: Principal) -> list[str]:
        """The policy documents (JSON) of the principal itself: inline, attached, and of its groups."""
        if principal.role:
            role = next((r for r in list(self._iam.roles.values()) if r.name == principal.role), None)
            return list(_of(role)) if role is not None else []
        user = self._iam.users.get(principal.user)
        if user is None:
            return []
        found = list(_of(user))
        for group in list(self._iam.groups.values()):
            if user in group.users:
                found.extend(_of(group))
        return found

    def trust_policy(self, role_arn: str) -> str:
        """The trust policy of a role by ARN, "" when there is no such role."""
        role = next((r for r in list(self._iam.roles.values()) if r.arn == role_arn), None)
        return str(role.assume_role_policy_document) if role is not None else ""

    def administrator(self, region: str) -> tuple[str, str]:
        """(access key, secret) of the administrator, who is made when missing."""
        iam = self._iam
        if ADMINISTRATOR not in iam.users:
            iam.create_user(region, ADMINISTRATOR)
        user = iam.users[ADMINISTRATOR]
        if not list(_of(user)):
            iam.put_user_policy(ADMINISTRATOR, "administrator", _EVERYTHING)
        keys = [key for key in user.access_keys if key.status == "Active"]
        key = keys[0] if keys else iam.create_access_key(ADMINISTRATOR)
        return str(key.access_key_id), str(key.secret_access_key)


def _of(holder: Any) -> Iterator[str]:
    """Inline and attached policies of a user, role or group, whichever way moto keeps them."""
    inline = holder.policies
    yield from (str(document) for document in list(inline.values()))
    for policy in list(holder.managed_policies.values()):
        yield str(next(version.document for version in policy.versions if version.is_default))
