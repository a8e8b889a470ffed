"""Launch templates and instant fleets."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from hcluster.aws.codes import code_of, error_class, message_of
from hcluster.aws.part import Part, Record, carries, demand_own, demand_tags, tag_filters, tag_specifications
from hcluster.errors import (
    CapacityError,
    ConflictError,
    CredentialsError,
    DeniedError,
    HclusterError,
    NotFoundError,
    UsageError,
)
from hcluster.model.launch import FleetRequest, FleetResult, TemplateRequest
from hcluster.model.told import can_hear

DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""Names that EC2 recommends for extra volumes; also their most."""
ON_DEMAND_STRATEGY = "prioritized"
SPOT_STRATEGY = "capacity-optimized-prioritized"
TAGGED = ("instance", "volume")
PROFILE_TRIES = 7
PROFILE_PAUSE = 5.0
"""A new instance profile is known to IAM at once but to EC2 only some 10 s later (IAM user guide, "troubleshoot")."""


class Launch(Part):
    """From a template to running nodes."""

    def ensure_template(self, request: TemplateRequest) -> str:
        """Create the launch template, or add a default version to it when it differs. Returns its id.

        Raises ConflictError when the template of that name is not this platform's.
        """
        data = template_data(request)
        mark = _mark(data)
        template = self._template(request.name)
        if template is None:
            try:
                with self._session.call(f"creating launch template {request.name}"):
                    answer = self._ec2().create_launch_template(
                        LaunchTemplateName=request.name,
                        VersionDescription=mark,
                        LaunchTemplateData=data,
                        TagSpecifications=tag_specifications(request.tags, "launch-template"),
                    )
                return str(answer["LaunchTemplate"]["LaunchTemplateId"])
            except ConflictError:
                template = self._template(request.name)  # made by another caller meanwhile
                if template is None:
                    raise
        identity = str(template["LaunchTemplateId"])
        what = f"launch template {request.name}"
        remove = f"`aws ec2 delete-launch-template --launch-template-id {identity}`"
        demand_own(template, request.tags, what, remove)
        self._ensure_version(identity, request.name, data, mark)
        return identity

    def delete_templates(self, tags: Mapping[str, str]) -> int:
        """Delete launch templates with ``tags``; how many."""
        demand_tags(tags, "deleting launch templates")
        return sum(self._delete_template(str(one["LaunchTemplateId"])) for one in self._templates(tags))

    def create_fleet(self, request: FleetRequest) -> FleetResult:
        """Launch. The same ``client_token`` again gives the same instances. A shortage is not raised but told in the
        result's errors; raises NotFoundError for a missing image or template, and CloudError or one of its kin for
        whatever else kept nodes from being launched (those that were launched stay)."""
        if request.count < 1 or not request.types:
            raise UsageError(f"a fleet needs a count and types, not {request.count} of {list(request.types)}")
        own_interface = bool(request.subnets) and self._has_interface(request.template)
        for attempt in range(PROFILE_TRIES):
            if attempt:
                self._clock.sleep(PROFILE_PAUSE)
            # EC2 remembers a token's failure too. These follow in the same order whenever the call is repeated.
            token = f"{request.client_token}-{attempt}" if attempt else request.client_token
            result = self._fleet(request, token, with_subnets=not own_interface)
            if result.instances or not _profile_unknown(result.errors):
                break
        _raise_what_is_no_shortage(request, result)
        return result

    def _template(self, name: str) -> Record | None:
        try:
            with self._session.call(f"looking for launch template {name}"):
                found = self._ec2().describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
        except NotFoundError:
            return None
        return found[0] if found else None

    def _templates(self, tags: Mapping[str, str]) -> list[Record]:
        found = self._pages(
            "listing launch templates", "describe_launch_templates", "LaunchTemplates", Filters=tag_filters(tags)
        )
        return [one for one in found if carries(one, tags)]

    def _version(self, template: str, version: str) -> Record:
        with self._session.call(f"reading launch template {template}"):
            found = self._ec2().describe_launch_template_versions(LaunchTemplateId=template, Versions=[version])
        versions = found["LaunchTemplateVersions"]
        if not versions:
            raise NotFoundError(f"launch template {template} has no version {version}")
        record: Record = versions[0]
        return record

    def _ensure_version(self, template: str, name: str, data: Mapping[str, Any], mark: str) -> None:
        newest = self._version(template, "$Latest")
        number = newest["VersionNumber"]
        if newest.get("VersionDescription") != mark:
            with self._session.call(f"adding a version to launch template {name}"):
                answer = self._ec2().create_launch_template_version(
                    LaunchTemplateId=template, VersionDescription=mark, LaunchTemplateData=data
                )
            number = answer["LaunchTemplateVersion"]["VersionNumber"]
        elif newest.get("DefaultVersion"):
            return
        with self._session.call(f"setting the default version of launch template {name}"):
            self._ec2().modify_launch_template(LaunchTemplateId=template, DefaultVersion=str(number))

    def _delete_template(self, template: str) -> bool:
        try:
            with self._session.call(f"deleting launch template {template}"):
                self._ec2().delete_launch_template(LaunchTemplateId=template)
        except NotFoundError:
            return False
        return True

    def _has_interface(self, template: str) -> bool:
        """Whether a template brings its interface, and with it the subnet, which EC2 then refuses to be told."""
        interfaces = self._version(template, "$Default")["LaunchTemplateData"].get("NetworkInterfaces") or []
        return any(one.get("NetworkInterfaceId") for one in interfaces)

    def _fleet(self, request: FleetRequest, token: str, *, with_subnets: bool) -> FleetResult:
        arguments = fleet_arguments(request, token, request.subnets if with_subnets else ())
        with self._session.call(f"launching {request.count} {request.market} nodes"):
            try:
                answer = self._ec2().create_fleet(**arguments)
            except ClientError as failure:
                if error_class(code_of(failure)) is not CapacityError:
                    raise
                return FleetResult((), ((code_of(failure), message_of(failure)),))
        launched = [str(one) for group in answer.get("Instances") or [] for one in group.get("InstanceIds") or []]
        errors = [
            (str(one.get("ErrorCode", "")), str(one.get("ErrorMessage", ""))) for one in answer.get("Errors") or []
        ]
        return FleetResult(tuple(launched), tuple(dict.fromkeys(errors)))


def template_data(request: TemplateRequest) -> dict[str, Any]:
    """``LaunchTemplateData`` of a request.

    Raises:
        UsageError: more disks than there are device names.
    """
    if len(request.disks) > len(DEVICES):
        raise UsageError(
            f"launch template {request.name}: at most {len(DEVICES)} disks a node, not {len(request.disks)}"
        )
    if request.interface:
        # The interface has its groups, and EC2 refuses tags for a kind of resource that the launch does not make.
        interface: dict[str, Any] = {"DeviceIndex": 0, "NetworkInterfaceId": request.interface}
        tagged: tuple[str, ...] = TAGGED
    else:
        interface = {
            "DeviceIndex": 0,
            "Groups": list(request.security_groups),
            "AssociatePublicIpAddress": False,
            "DeleteOnTermination": True,
        }
        tagged = (*TAGGED, "network-interface")
    data: dict[str, Any] = {
        "ImageId": request.image,
        "IamInstanceProfile": {"Name": request.instance_profile},
        "UserData": base64.b64encode(request.user_data.encode()).decode(),
        "NetworkInterfaces": [interface],
        "InstanceInitiatedShutdownBehavior": "terminate" if request.end_with_shutdown else "stop",
        # One hop: a container on a node does not get the node's credentials.
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            # A node hears at its tags what it is told. With them EC2 refuses keys with spaces, slashes and the like.
            "InstanceMetadataTags": "enabled" if can_hear(request.tags) else "disabled",
        },
        "TagSpecifications": tag_specifications(request.tags, *tagged),
    }
    if request.disks:
        data["BlockDeviceMappings"] = [
            {
                "DeviceName": device,
                "Ebs": {
                    "VolumeSize": disk.size_gib,
                    "VolumeType": disk.type,
                    "DeleteOnTermination": True,
                    "Encrypted": True,
                },
            }
            for device, disk in zip(DEVICES, request.disks, strict=False)
        ]
    return {key: value for key, value in data.items() if value != []}


def fleet_arguments(request: FleetRequest, token: str, subnets: Sequence[str]) -> dict[str, Any]:
    """Arguments of CreateFleet. An instant fleet's spot requests are one-time: an interrupted node never comes back.

    Types are tried in their order; in the spot market the order counts as far as it costs no capacity.
    """
    overrides: list[dict[str, Any]] = [
        {"InstanceType": kind, "Priority": float(place), **({"SubnetId": subnet} if subnet else {})}
        for place, kind in enumerate(request.types)
        for subnet in (subnets or ("",))
    ]
    strategy: dict[str, Any] = (
        {"SpotOptions": {"AllocationStrategy": SPOT_STRATEGY, "InstanceInterruptionBehavior": "terminate"}}
        if request.market == "spot"
        else {"OnDemandOptions": {"AllocationStrategy": ON_DEMAND_STRATEGY}}
    )
    arguments: dict[str, Any] = {
        "Type": "instant",
        "ClientToken": token,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": request.template, "Version": "$Default"},
                "Overrides": overrides,
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": request.count,
            "DefaultTargetCapacityType": request.market,
        },
        **strategy,
    }
    if request.tags:
        arguments["TagSpecifications"] = tag_specifications(request.tags, "instance")
    return arguments


def _mark(data: Mapping[str, Any]) -> str:
    """What a version is compared by: EC2 gives data back in a shape of its own, but the description as it was."""
    return "hcluster " + hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _profile_unknown(errors: Sequence[tuple[str, str]]) -> bool:
    return bool(errors) and all("iam instance profile" in message.lower() for _, message in errors)


def _raise_what_is_no_shortage(request: FleetRequest, result: FleetResult) -> None:
    """CreateFleet tells even a missing image as an error of an offering; no other offering would cure these.

    Beside a shortage other errors are not raised: EC2 gives one to a type that a zone does not have at all, too, and
    there more types do help.
    """
    if len(result.instances) >= request.count or not result.errors:
        return
    others = [error for error in result.errors if error_class(error[0]) is not CapacityError]
    # These are true of every offering, so they count beside a shortage, too.
    plain = [error for error in others if error_class(error[0]) in (NotFoundError, DeniedError, CredentialsError)]
    if len(others) < len(result.errors) and (result.instances or not plain):
        return
    code, message = (plain or others)[0]
    kind: type[HclusterError] = error_class(code)
    raise kind(
        f"launching {request.count} {request.market} nodes, of which {len(result.instances)} came: {message} ({code})",
        context="\n".join(f"{code}: {message}" for code, message in result.errors),
        hint="this is no shortage: correct what EC2 names, then run the same command again",
    )
