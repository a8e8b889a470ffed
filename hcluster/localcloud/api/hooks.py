"""Puts our classes where moto expects its own. Moto is one per process, so a process serves one cloud at a time."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import unquote

import moto.ec2.urls
import moto.ec2instanceconnect.urls
import xmltodict
from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS
from moto.s3.exceptions import BucketAccessDeniedError

from hcluster.localcloud.api import objects, policy
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.gateway import REGION, SERVICE, caller
from hcluster.localcloud.api.identity import Identities, Principal
from hcluster.localcloud.api.parts import (
    Authenticator,
    BackendDict,
    BaseModel,
    core_responses,
    ec2_backends,
    s3_backends,
    s3_models,
    s3_responses,
)
from hcluster.localcloud.api.responses import CloudResponse, ConnectResponse
from hcluster.localcloud.api.serializing import CloudSerializer
from hcluster.localcloud.settings import CloudSettings

# What S3's operations are called in policies, where moto authorizes another name.
_S3_ACTIONS = {"HeadBucket": "ListBucket", "ListObjectVersions": "ListBucketVersions", "UploadPart": "PutObject"}
_UNVERIFIED = ("AssumeRoleWithWebIdentity", "AssumeRoleWithSAML")


def install(settings: CloudSettings, identities: Identities) -> None:
    """Start moto's records anew, with our backends, responses and authorization."""
    # Not BackendDict.reset(): it makes each backend anew with moto's arguments only.
    for backends in list(BackendDict._instances):  # noqa: SLF001
        backends.clear()
    s3_backends.bucket_accounts.clear()
    ec2_backends.backend = functools.partial(CloudBackend, settings=settings)
    s3_backends.backend = functools.partial(objects.ObjectBackend, folder=settings.folder / "records" / "objects")
    moto.ec2.urls.url_paths["{0}/"] = CloudResponse.dispatch
    moto.ec2instanceconnect.urls.url_paths["{0}/$"] = ConnectResponse.dispatch
    s3_models.FakeKey = objects.StoredKey
    s3_models.FakeMultipart = objects.StoredMultipart
    s3_models.compute_checksum = objects.compute_checksum
    s3_responses.compute_checksum = objects.compute_checksum
    # Moto keeps every object that it ever made for its dashboard: a leak in a server that runs for days.
    BaseModel.__new__ = staticmethod(lambda cls, *_, **__: object.__new__(cls))
    SERVICE_SPECIFIC_SERIALIZERS["ec2"] = {"ec2": CloudSerializer}
    # It looks all methods of the class up at each request; EC2's has a thousand.
    core_responses.method_names_from_class = functools.cache(_method_names)
    Authenticator._authenticate_and_authorize_action = functools.partialmethod(_authorize, identities)  # noqa: SLF001


def _method_names(response: type) -> frozenset[str]:
    return frozenset(name for name in dir(response) if callable(getattr(response, name, None)))


def _authorize(response: Any, identities: Identities, _: type, resource: str = "*") -> None:
    """What moto calls before each action. Raises Fault unless the caller's policies allow it."""
    environ = response.normalized_request.environ
    principal = caller(environ)
    service = str(environ[SERVICE])
    operation = response._get_action()  # noqa: SLF001 - moto's own name for it
    operation = operation[0] if isinstance(operation, list) else str(operation)
    context = {
        "aws:PrincipalArn": principal.arn,
        "aws:RequestedRegion": str(environ[REGION]),
        "aws:SecureTransport": "false",
    }
    if principal.user:
        context["aws:username"] = principal.user
    judge = functools.partial(_permitted, identities, principal, context=context)
    if service == "s3":
        _authorize_s3(response, judge, operation, resource, context)
    elif service == "sts":
        _authorize_sts(identities, principal, judge, operation, resource)
    elif not judge(f"{service}:{operation}", resource):
        _refuse(service, f"{service}:{operation}", principal)


def _permitted(
    identities: Identities, principal: Principal, action: str, resource: str, context: dict[str, str]
) -> bool:
    if not policy.allowed(identities.documents(principal), action, resource, context):
        return False
    return not principal.session_policy or policy.allowed([principal.session_policy], action, resource, context)


def _refuse(service: str, action: str, principal: Principal) -> None:
    text = f"User: {principal.arn} is not authorized to perform: {action}"
    if service == "ec2":
        raise Fault("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    raise Fault("AccessDenied", text, 403)


def _authorize_s3(response: Any, judge: Any, operation: str, resource: str, context: dict[str, str]) -> None:
    action = "s3:" + _S3_ACTIONS.get(operation, operation)
    query = response.normalized_request.args
    for name in ("prefix", "delimiter", "max-keys"):
        if name in query:
            context[f"s3:{name}"] = str(query[name])
    if operation == "DeleteObject" and "delete" in query and "/" not in resource:
        # The bulk deletion: each key is a resource of its own; moto turns this error into one entry a key.
        entries = xmltodict.parse(response.body)["Delete"].get("Object") or []
        keys = [e["Key"] for e in (entries if isinstance(entries, list) else [entries])]
        if not all(judge(action, f"{resource}/{key}") for key in keys):
            raise BucketAccessDeniedError(bucket=response.bucket_name)
        return
    if not judge(action, resource):
        raise Fault("AccessDenied", "Access Denied", 403)
    source = response.headers.get("x-amz-copy-source")
    if source and operation == "PutObject":
        path = unquote(source).lstrip("/").split("?", 1)[0]
        if not judge("s3:GetObject", f"arn:aws:s3:::{path}"):
            raise Fault("AccessDenied", "Access Denied", 403)


def _authorize_sts(identities: Identities, principal: Principal, judge: Any, operation: str, resource: str) -> None:
    if operation == "GetCallerIdentity":
        return
    if operation in _UNVERIFIED or operation in ("GetSessionToken", "GetFederationToken"):
        raise Fault("AccessDenied", f"{operation} is not supported by the local cloud.", 403)
    action = f"sts:{operation}"
    if operation == "AssumeRole":
        trust = policy.trusts(identities.trust_policy(resource), principal.arn, principal.arn.split(":")[4])
        if trust == "direct" or (trust == "account" and judge(action, resource)):
            return
    elif judge(action, resource):
        return
    _refuse("sts", f"{action} on resource: {resource}", principal)
