"""The door that each authorized request passes: what it needs is found out, and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hcluster.localcloud.api.access import ec2, ec2_launch, iam, s3
from hcluster.localcloud.api.access.judge import Judge, request_keys
from hcluster.localcloud.api.access.need import Need
from hcluster.localcloud.api.access.sessions import Sessions
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.identity import Identities, Principal
from hcluster.localcloud.api.parts import ec2_backends
from hcluster.localcloud.api.policy import Policy, Value

_ASSOCIATIONS = ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")


class Door:
    """Of one cloud."""

    def __init__(self, identities: Identities, account: str, region: str, caller: Callable[[Any], Principal]) -> None:
        """``caller``: the verified caller of a request by its WSGI environment."""
        self.judge = Judge(identities)
        self.sessions = Sessions(self.judge, identities)
        self._identities = identities
        self._account = account
        self._region = region
        self._caller = caller

    def moto(self, response: Any, service: str) -> None:
        """What moto calls before each action, with the cloud's lock held. Raises Fault unless it is allowed."""
        environ = response.normalized_request.environ
        operation = response._get_action()  # noqa: SLF001 - moto's own name for it
        operation = operation[0] if isinstance(operation, list) else str(operation)
        if service == "sts":
            self.sessions.authorize(environ, operation, _parameters(response), self.request(environ))
        else:
            principal = self._caller(environ)
            needs = self.needs(principal, service, operation, response)
            self.judge.demand(principal, needs, self.request(environ), service)

    def request(self, environ: Mapping[str, Any]) -> dict[str, Value]:
        """The condition keys that any request has."""
        return request_keys(environ, self._region, self._identities.now())

    def needs(self, principal: Principal, service: str, operation: str, response: Any) -> list[Need]:
        """What a request to a service other than S3 and STS needs."""
        if service == "ec2":
            return self._ec2(operation, _parameters(response))
        if service == "iam":
            user = principal.arn if principal.user else ""
            return iam.needs(self._identities.iam, self._account, operation, _parameters(response), user)
        if service == "ec2-instance-connect":
            return self._connect(operation, _json(response))
        return [Need(f"{service}:{operation}")]

    def _ec2(self, operation: str, parameters: Mapping[str, Any]) -> list[Need]:
        resources = self._resources()
        profiles = self._identities.iam.instance_profiles.values()
        region: dict[str, Value] = {"ec2:Region": self._region}
        if operation == "RunInstances":
            found = ec2_launch.run_instances(resources, profiles, parameters)
        elif operation == "CreateFleet":
            found = ec2_launch.create_fleet(resources, profiles, parameters)
        else:
            found = ec2.needs(resources, operation, parameters)
            if operation in _ASSOCIATIONS:
                found += ec2_launch.associate_profile(resources, profiles, parameters)
        return [Need(need.action, need.resource, {**need.keys, **region}) for need in found]

    def _resources(self) -> ec2.Ec2Resources:
        return ec2.Ec2Resources(ec2_backends[self._account][self._region], self._account, self._region)

    def _connect(self, operation: str, request: Mapping[str, Any]) -> list[Need]:
        action = f"ec2-instance-connect:{operation}"
        if not request.get("InstanceId"):
            return [Need(action)]
        arn, keys = self._resources().existing("instance", str(request["InstanceId"]))
        return [Need(action, arn, {**keys, "ec2:osuser": str(request.get("InstanceOSUser") or "")})]

    # S3

    def s3(  # noqa: D417 - the request's parts explain themselves
        self,
        environ: Mapping[str, Any],
        operation: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        document: str = "",
        owner: str = "",
    ) -> None:
        """Raises Fault unless the request's caller may.

        Args:
            operation: The API's name for it ("ListObjectsV2").
            headers: By name in lower case.
            document: The bucket's policy (JSON), "" without one.
            owner: The bucket's account, "" when there is no such bucket.
        """
        if operation == "CreateBucket":
            # Whose it is already, the operation itself tells.
            document, owner = "", ""
        policy = Policy(bucket, document) if document else None
        needs = s3.needs(operation, bucket, key, query, headers)
        self.judge.demand(self._caller(environ), needs, self._on_s3(environ, owner), "s3", resource=policy, owner=owner)

    def s3_allows(
        self, environ: Mapping[str, Any], need: Need, bucket: str, *, document: str = "", owner: str = ""
    ) -> bool:
        """Whether the request's caller has one more right: to delete one key of many, to list what is not there."""
        policy = Policy(bucket, document) if document else None
        keys = self._on_s3(environ, owner)
        return self.judge.decision(self._caller(environ), need, keys, resource=policy, owner=owner).allowed

    def _on_s3(self, environ: Mapping[str, Any], owner: str) -> dict[str, Value]:
        keys = self.request(environ)
        return keys | {"s3:ResourceAccount": owner, "aws:ResourceAccount": owner} if owner else keys


def _parameters(response: Any) -> dict[str, Any]:
    """The request's parameters in the API's shape."""
    found = getattr(response, "params", None)
    return dict(found) if found else {}


def _json(response: Any) -> dict[str, Any]:
    import json

    try:
        found = json.loads(response.body or "{}")
    except ValueError:
        raise Fault("SerializationException", "The request's body is no JSON.") from None
    return found if isinstance(found, dict) else {}
