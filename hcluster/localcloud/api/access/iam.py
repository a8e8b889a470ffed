"""What requests to IAM need.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hcluster.localcloud.api.access.need import Need, listed_tags, request_tags
from hcluster.localcloud.api.policy import Value

_BY_PARAMETER = (
    # The first that a request has names its resource. A profile comes before the role that is put into it, an entity
    # before the policy that is attached to it.
    ("InstanceProfileName", "instance-profile", "instance_profiles"),
    ("RoleName", "role", "roles"),
    ("UserName", "user", "users"),
    ("GroupName", "group", "groups"),
    ("PolicyName", "policy", "managed_policies"),
)
_ARNS = ("PolicyArn", "OpenIDConnectProviderArn", "SAMLProviderArn", "PolicySourceArn")
_TAGGED = {
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
    "CreatePolicy": "TagPolicy",
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreateOpenIDConnectProvider": "TagOpenIDConnectProvider",
}
_OF_MEMBERS = ("AddUserToGroup", "RemoveUserFromGroup")
_OWN = (
    "GetUser",
    "ListAccessKeys",
    "CreateAccessKey",
    "DeleteAccessKey",
    "UpdateAccessKey",
    "ChangePassword",
)
"""Without a UserName these are about the caller."""
EC2 = "ec2.amazonaws.com"


def needs(backend: Any, account: str, operation: str, parameters: Mapping[str, Any], caller: str) -> list[Need]:
    """``backend``: moto's records of IAM; ``caller``: the user's ARN, "" for a role's session."""
    resource, record = _resource(backend, account, operation, parameters, caller)
    tags = listed_tags(parameters.get("Tags"))
    keys: dict[str, Value] = {**request_tags(tags), **_resource_tags(backend, record)}
    if parameters.get("TagKeys"):
        keys["aws:TagKeys"] = tuple(str(key) for key in parameters["TagKeys"])
    if parameters.get("PolicyArn") and not resource.endswith(str(parameters["PolicyArn"])):
        keys["iam:PolicyARN"] = str(parameters["PolicyArn"])
    boundary = parameters.get("PermissionsBoundary") or _boundary(record)
    if boundary:
        keys["iam:PermissionsBoundary"] = str(boundary)
    found = [Need(f"iam:{operation}", resource, keys)]
    if tags and operation in _TAGGED:
        found.append(Need(f"iam:{_TAGGED[operation]}", resource, keys))
    if operation == "AddRoleToInstanceProfile":
        role = _role(backend, parameters)
        arn = role.arn if role is not None else f"arn:aws:iam::{account}:role/{parameters.get('RoleName')}"
        found.append(pass_role(arn, role, {}))
    return found


def pass_role(arn: str, role: Any, keys: Mapping[str, Value]) -> Need:
    """The right to give a role to EC2; ``role`` is its record, None when there is none."""
    return Need("iam:PassRole", arn, {"iam:PassedToService": EC2, **_tags_of(role), **keys})


def _resource(
    backend: Any, account: str, operation: str, parameters: Mapping[str, Any], caller: str
) -> tuple[str, Any]:
    if operation in _OF_MEMBERS:
        return _entity(backend, account, "group", "groups", str(parameters.get("GroupName")), "/")
    for parameter, kind, collection in _BY_PARAMETER:
        if name := parameters.get(parameter):
            if parameter == "PolicyName" and operation != "CreatePolicy":
                continue
            return _entity(backend, account, kind, collection, str(name), str(parameters.get("Path") or "/"))
    for parameter in _ARNS:
        if arn := parameters.get(parameter):
            return str(arn), _by_arn(backend, str(arn))
    if operation == "CreateOpenIDConnectProvider":
        address = str(parameters.get("Url") or "").partition("://")[2]
        return f"arn:aws:iam::{account}:oidc-provider/{address}", None
    if operation in _OWN and caller:
        return caller, _by_arn(backend, caller)
    return "*", None


def _entity(backend: Any, account: str, kind: str, collection: str, name: str, path: str) -> tuple[str, Any]:
    record = next((one for one in list(getattr(backend, collection).values()) if one.name == name), None)
    if record is not None and kind != "policy":
        return str(record.arn), record
    return f"arn:aws:iam::{account}:{kind}{path}{name}", None


def _by_arn(backend: Any, arn: str) -> Any:
    for collection in ("roles", "users", "managed_policies", "open_id_providers"):
        for record in list(getattr(backend, collection).values()):
            if record.arn == arn:
                return record
    return None


def _role(backend: Any, parameters: Mapping[str, Any]) -> Any:
    return next((one for one in list(backend.roles.values()) if one.name == parameters.get("RoleName")), None)


def _boundary(record: Any) -> str:
    return str(getattr(record, "permissions_boundary_arn", "") or "")


def _resource_tags(backend: Any, record: Any) -> dict[str, Value]:
    if record is None:
        return {}
    return _tags_of(record) or _as_keys(listed_tags(backend.tagger.list_tags_for_resource(record.arn)["Tags"]))


def _tags_of(record: Any) -> dict[str, Value]:
    tags = getattr(record, "tags", None) or ()
    entries = list(tags.values()) if isinstance(tags, dict) else list(tags)
    return _as_keys(listed_tags(entry for entry in entries if isinstance(entry, dict)))


def _as_keys(tags: Mapping[str, str]) -> dict[str, Value]:
    return {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "iam")}
