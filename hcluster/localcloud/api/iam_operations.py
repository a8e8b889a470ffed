"""IAM's operations where moto's own answer is missing or wrong.

Documents that cannot be evaluated are refused when they are put, users have permissions boundaries, and policies can be
simulated.
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.identity import Identities
from hcluster.localcloud.api.parts import IamResponse
from hcluster.localcloud.api.policy import Asker, Kind, Policies, Policy, PolicyError, parse
from hcluster.localcloud.api.simulate import Simulation, entries, keys_of, simulate

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_MANAGED, _TRUST = 6144, 2048
_VERSIONS, _KEYS = 5, 2
_INLINE = {"user": 2048, "role": 10_240, "group": 5120}
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")


def checked(document: object, kind: Kind = "identity") -> str:
    """A policy document that can be evaluated. Raises Fault."""
    try:
        parse(str(document or ""), kind)
    except PolicyError as error:
        raise Fault("MalformedPolicyDocument", str(error)) from error
    return str(document)


class PolicyValidator:
    """Takes the place of moto's, which knows less and refuses documents that IAM takes."""

    kind: Kind = "identity"

    def __init__(self, document: str) -> None:
        self._document = document

    def validate(self) -> None:
        """Raises Fault."""
        checked(self._document, self.kind)


class TrustValidator(PolicyValidator):
    """The same for trust policies."""

    kind = "trust"


def _size(document: str) -> int:
    """As IAM counts: without white space."""
    return len("".join(document.split()))


def _demand_size(document: object, quota: str, most: int) -> None:
    if _size(str(document)) > most:
        raise Fault("LimitExceeded", f"Cannot exceed quota for {quota}: {most}", 409)


class CloudIamResponse(IamResponse):  # type: ignore[misc]
    """One request to IAM; that it is allowed was found out before."""

    def _determine_resource(self) -> str:
        """Moto's own idea of the resource is not asked for."""
        return "*"

    # Documents. Moto checks those of policies itself, by ``PolicyValidator``.

    def put_user_policy(self) -> Any:
        """PutUserPolicy."""
        self._fits(self.backend.get_user(self._get_param("UserName")), "user")
        return super().put_user_policy()

    def put_group_policy(self) -> Any:
        """PutGroupPolicy."""
        self._fits(self.backend.get_group(self._get_param("GroupName")), "group")
        return super().put_group_policy()

    def put_role_policy(self) -> Any:
        """PutRolePolicy."""
        self._fits(self.backend.get_role(self._get_param("RoleName")), "role")
        return super().put_role_policy()

    def create_policy(self) -> Any:
        """CreatePolicy."""
        _demand_size(self._get_param("PolicyDocument"), "PolicySize", _MANAGED)
        return super().create_policy()

    def create_policy_version(self) -> Any:
        """CreatePolicyVersion."""
        _demand_size(self._get_param("PolicyDocument"), "PolicySize", _MANAGED)
        if len(self.backend.list_policy_versions(self._get_param("PolicyArn"))) >= _VERSIONS:
            text = f"A managed policy can have up to {_VERSIONS} versions. Before you create a new version, you must"
            raise Fault("LimitExceeded", f"{text} delete an existing version.", 409)
        return super().create_policy_version()

    def delete_policy(self) -> Any:
        """DeletePolicy: when nothing holds it and its default version is the only one."""
        policy = self.backend.get_policy(self._get_param("PolicyArn"))
        if policy.attachment_count:
            raise Fault("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
        if len(policy.versions) > 1:
            text = "This policy has more than one version. Before you delete a policy, you must delete the policy's"
            raise Fault("DeleteConflict", f"{text} versions. The default version is deleted with the policy.", 409)
        return super().delete_policy()

    def delete_user(self) -> Any:
        """DeleteUser: without keys and policies."""
        user = self.backend.get_user(self._get_param("UserName"))
        for held, what in ((user.access_keys, "access keys"), (user.policies, "policies")):
            if held:
                raise Fault("DeleteConflict", f"Cannot delete entity, must delete {what} first.", 409)
        if user.managed_policies:
            raise Fault("DeleteConflict", "Cannot delete entity, must detach all policies first.", 409)
        return super().delete_user()

    def create_access_key(self) -> Any:
        """CreateAccessKey: two a user."""
        user = self._get_param("UserName")
        if user and len(self.backend.get_user(user).access_keys) >= _KEYS:
            raise Fault("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS}", 409)
        return super().create_access_key()

    def create_role(self) -> Any:
        """CreateRole."""
        _demand_size(checked(self._get_param("AssumeRolePolicyDocument"), "trust"), "ACLSizePerRole", _TRUST)
        return super().create_role()

    def update_assume_role_policy(self) -> Any:
        """UpdateAssumeRolePolicy."""
        _demand_size(checked(self._get_param("PolicyDocument"), "trust"), "ACLSizePerRole", _TRUST)
        return super().update_assume_role_policy()

    def _fits(self, holder: Any, kind: str) -> None:
        """All inline policies of one holder share one limit."""
        replaced = self._get_param("PolicyName")
        kept = [str(text) for name, text in holder.policies.items() if name != replaced]
        if sum(_size(text) for text in [*kept, str(self._get_param("PolicyDocument"))]) > _INLINE[kind]:
            message = f"Maximum policy size of {_INLINE[kind]} bytes exceeded for {kind} {holder.name}"
            raise Fault("LimitExceeded", message, 409)

    # Permissions boundaries of users

    def create_user(self) -> Any:
        """CreateUser."""
        boundary = self._get_param("PermissionsBoundary")
        if boundary:
            self._managed(boundary)
        answer = super().create_user()
        if boundary:
            self._bound(self.backend.get_user(self._get_param("UserName")), boundary)
        return answer

    def put_user_permissions_boundary(self) -> ActionResult:
        """PutUserPermissionsBoundary."""
        user, boundary = self.backend.get_user(self._get_param("UserName")), self._get_param("PermissionsBoundary")
        self._managed(boundary)
        self._bound(user, boundary)
        return EmptyResult()

    def delete_user_permissions_boundary(self) -> ActionResult:
        """DeleteUserPermissionsBoundary."""
        user = self.backend.get_user(self._get_param("UserName"))
        if not getattr(user, "permissions_boundary_arn", ""):
            raise Fault("NoSuchEntity", f"No permissions boundary of user {user.name} was found.", 404)
        self._bound(user, "")
        return EmptyResult()

    def _managed(self, arn: str) -> Any:
        known = self.backend.managed_policies.get(arn)
        if known is None:
            raise Fault("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
        return known

    @staticmethod
    def _bound(user: Any, arn: str) -> None:
        user.permissions_boundary_arn = arn
        kind = "PermissionsBoundaryPolicy"
        user.permissions_boundary = {"PermissionsBoundaryType": kind, "PermissionsBoundaryArn": arn} if arn else None

    # OIDC providers

    def create_open_id_connect_provider(self) -> Any:
        """CreateOpenIDConnectProvider; http is for providers on this machine or in the cloud's own network."""
        url = str(self._get_param("Url") or "")
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("http", "https") or not rest or "?" in rest or "#" in rest:
            raise Fault("ValidationError", f"Invalid Open ID Connect Provider URL: {url}")
        answer = super().create_open_id_connect_provider()
        for provider in self.backend.open_id_providers.values():
            if provider.url == rest:
                provider.scheme = scheme
        return answer

    def add_client_id_to_open_id_connect_provider(self) -> ActionResult:
        """AddClientIDToOpenIDConnectProvider."""
        provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
        client = self._get_param("ClientID")
        if client not in provider.client_id_list:
            provider.client_id_list = [*provider.client_id_list, client]
        return EmptyResult()

    def remove_client_id_from_open_id_connect_provider(self) -> ActionResult:
        """RemoveClientIDFromOpenIDConnectProvider."""
        provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
        client = self._get_param("ClientID")
        provider.client_id_list = [one for one in provider.client_id_list if one != client]
        return EmptyResult()

    # Simulation

    def simulate_principal_policy(self) -> ActionResult:
        """SimulatePrincipalPolicy: what policies of a user, group or role allow."""
        arn = str(self._get_param("PolicySourceArn") or "")
        holder = self._holder(arn)
        own, boundary = Identities(self.current_account).of(holder)
        given = self._given("PermissionsBoundaryPolicyInputList")
        return self._simulated([*own, *self._given("PolicyInputList")], given[0] if given else boundary, arn)

    def simulate_custom_policy(self) -> ActionResult:
        """SimulateCustomPolicy: what policies that nobody has would allow."""
        boundary = self._given("PermissionsBoundaryPolicyInputList")
        return self._simulated(self._given("PolicyInputList"), boundary[0] if boundary else None, "")

    def get_context_keys_for_custom_policy(self) -> ActionResult:
        """GetContextKeysForCustomPolicy."""
        return ActionResult({"ContextKeyNames": keys_of(one.document for one in self._given("PolicyInputList"))})

    def get_context_keys_for_principal_policy(self) -> ActionResult:
        """GetContextKeysForPrincipalPolicy."""
        own, _ = Identities(self.current_account).of(self._holder(str(self._get_param("PolicySourceArn") or "")))
        documents = [one.document for one in [*own, *self._given("PolicyInputList")]]
        return ActionResult({"ContextKeyNames": keys_of(documents)})

    def _holder(self, arn: str) -> Any:
        for known in (self.backend.users, self.backend.roles, self.backend.groups):
            for holder in list(known.values()):
                if holder.arn == arn:
                    return holder
        if ":assumed-role/" in arn or not re.fullmatch(r"arn:aws:iam::\d{12}:(user|role|group)/.+", arn):
            raise Fault("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
        raise Fault("NoSuchEntity", f"The entity {arn} cannot be found.", 404)

    def _given(self, parameter: str) -> list[Policy]:
        documents = self._get_param(parameter) or []
        for document in documents:
            checked(document)
        return [Policy(f"{parameter}.{place}", str(document)) for place, document in enumerate(documents, 1)]

    def _simulated(self, own: list[Policy], boundary: Policy | None, source: str) -> ActionResult:
        actions = [str(one) for one in self._get_param("ActionNames") or ()]
        for action in actions:
            if not _ACTION.fullmatch(action):
                raise Fault("InvalidInput", f"Invalid action name: {action}")
        on_resource = self._get_param("ResourcePolicy")
        caller = str(self._get_param("CallerArn") or "") or (source if ":user/" in source else "")
        if on_resource and not caller:
            raise Fault("InvalidInput", "CallerArn is required with a ResourcePolicy.")
        resource = Policy("ResourcePolicy", checked(on_resource, "resource")) if on_resource else None
        owner = str(self._get_param("ResourceOwner") or "").split(":")
        found = simulate(
            Simulation(
                Policies(own, boundary, None, resource, None, owner[4] if len(owner) > 4 else ""),
                Asker(arn=caller, account=caller.split(":")[4] if caller else self.current_account),
                actions,
                [str(one) for one in self._get_param("ResourceArns") or ()],
                entries(self._get_param("ContextEntries") or ()),
            )
        )
        return ActionResult({"EvaluationResults": found, "IsTruncated": False})
