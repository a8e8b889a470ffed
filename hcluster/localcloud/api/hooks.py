"""Puts our classes where moto expects its own. Moto is one per process, so a process serves one cloud at a time."""

from __future__ import annotations

import functools
from typing import Any

import moto.ec2.urls
import moto.ec2.utils as ec2_utils
import moto.ec2instanceconnect.urls
import moto.iam.urls
import moto.sts.urls
from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS
from moto.moto_api._internal import mock_random as moto_random

from hcluster.localcloud.api.access.door import Door
from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.gateway import SERVICE, caller
from hcluster.localcloud.api.iam_operations import CloudIamResponse, PolicyValidator, TrustValidator
from hcluster.localcloud.api.identity import Identities
from hcluster.localcloud.api.parts import (
    Authenticator,
    BackendDict,
    BaseModel,
    core_responses,
    ec2_backends,
    iam_models,
)
from hcluster.localcloud.api.responses import CloudResponse, ConnectResponse
from hcluster.localcloud.api.serializing import CloudSerializer
from hcluster.localcloud.api.sts_operations import CloudTokenResponse
from hcluster.localcloud.settings import CloudSettings


def install(settings: CloudSettings, identities: Identities) -> Door:
    """Start moto's records anew, with our backends, responses and authorization, which is for S3 to ask, too."""
    # Not BackendDict.reset(): it makes each backend anew with moto's arguments only.
    for backends in list(BackendDict._instances):  # noqa: SLF001
        backends.clear()
    ec2_backends.backend = functools.partial(CloudBackend, settings=settings)
    moto.ec2.urls.url_paths["{0}/"] = CloudResponse.dispatch
    moto.ec2instanceconnect.urls.url_paths["{0}/$"] = ConnectResponse.dispatch
    moto.iam.urls.url_paths["{0}/$"] = CloudIamResponse.dispatch
    moto.sts.urls.url_paths["{0}/$"] = CloudTokenResponse.dispatch
    iam_models.IAMPolicyDocumentValidator = PolicyValidator
    iam_models.IAMTrustPolicyDocumentValidator = TrustValidator
    # Moto keeps every object that it ever made for its dashboard: a leak in a server that runs for days.
    BaseModel.__new__ = staticmethod(lambda cls, *_, **__: object.__new__(cls))
    # A choice of seventeen digits, one at a time, is a third of the work of a launch.
    ec2_utils.random_resource_id = lambda size=8: f"{moto_random.getrandbits(size * 4):0{size}x}"
    SERVICE_SPECIFIC_SERIALIZERS["ec2"] = {"ec2": CloudSerializer}
    # It looks all methods of the class up at each request; EC2's has a thousand.
    core_responses.method_names_from_class = functools.cache(_method_names)
    door = Door(identities, settings.account_id, settings.region, caller)
    Authenticator._authenticate_and_authorize_action = functools.partialmethod(_authorize, door)  # noqa: SLF001
    return door


def _method_names(response: type) -> frozenset[str]:
    return frozenset(name for name in dir(response) if callable(getattr(response, name, None)))


def _authorize(response: Any, door: Door, _: type, __: str = "*") -> None:
    """What moto calls before each action, with its own idea of the resource."""
    door.moto(response, str(response.normalized_request.environ[SERVICE]))
