"""Instances: launched, stopped, started and ended as EC2 does, with real machines behind them."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable
from typing import Any, Protocol

from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.utils import parse_user_data, random_reservation_id

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.changes import Changes
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.instance import ENDED, Instance, SpotRequest
from hcluster.localcloud.api.instance_index import InstanceIndex
from hcluster.localcloud.api.launch import Data, Order
from hcluster.localcloud.api.market_records import Market
from hcluster.localcloud.api.network import one_interface
from hcluster.localcloud.api.parts import Reservation, iam_backends
from hcluster.localcloud.api.rules import Rules
from hcluster.localcloud.api.tags import demand_readable
from hcluster.localcloud.api.volumes import Volumes

DEFAULT_TYPE = "m1.small"
_USER = "Client.UserInitiatedShutdown"
INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Work(Protocol):
    """Makes machines follow what the records say, in the background."""

    def boot(self, instance: Instance) -> None:
        """A pending instance becomes running, or terminated with a reason."""

    def power_off(self, instance: Instance) -> None:
        """A stopping instance becomes stopped."""

    def reboot(self, instance: Instance) -> None:
        """A running instance is powered off and booted."""

    def destroy(self, instance: Instance) -> None:
        """An instance that shuts down becomes terminated."""

    def memory_mib(self, instance_type: str) -> int | None:
        """What a machine of this type is granted here; None when there are none."""


class Instances(Volumes, Market):
    """EC2's records of instances. ``work`` is set by the server that owns it."""

    work: Work
    rules: Rules
    announce: Callable[[str, str], None]
    """Told (instance id, state) whenever an instance enters a state, and "rebooting"."""
    by_id: dict[str, Instance]
    index: InstanceIndex
    changes: Changes
    tokens: dict[tuple[str, str], tuple[str, Any]]
    pushed: dict[tuple[str, str], list[tuple[float, str]]]
    """SSH keys by instance and user, each with the time (epoch seconds) until which it opens."""

    def get_instance(self, instance_id: str) -> Instance:
        """By id, without moto's walk over all of them."""
        try:
            return self.by_id[instance_id]
        except KeyError:
            raise InvalidInstanceIdError(instance_id) from None

    def push_key(self, instance_id: str, user: str, key: str, until: float) -> None:
        """Let ``key`` open ``user`` of an instance until then."""
        self.pushed.setdefault((instance_id, user), []).append((until, key))

    def open_keys(self, instance_id: str, now: float) -> dict[str, list[str]]:
        """Keys by user that open an instance now; older ones are forgotten."""
        found: dict[str, list[str]] = {}
        for (owner, user), keys in list(self.pushed.items()):
            keys[:] = [(until, key) for until, key in keys if until > now]
            if not keys:
                del self.pushed[owner, user]
            elif owner == instance_id:
                found[user] = [key for _, key in keys]
        return found

    def alive(self) -> list[Instance]:
        """All but the terminated ones."""
        return [instance for instance in self.by_id.values() if instance.state != "terminated"]

    def once(self, action: str, token: str | None, parameters: Data, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, or what it returned when the same client token asked for the same before."""
        if not token:
            return make()
        mark = launch.fingerprint(parameters)
        if (action, token) in self.tokens:
            known, result = self.tokens[action, token]
            if known != mark:
                raise Fault("IdempotentParameterMismatch", "The client token was used before, with other parameters.")
            return result
        result = make()
        self.tokens[action, token] = (mark, result)
        return result

    def template_of(self, specification: Data | None) -> launch.Template | None:
        """The template version that LaunchTemplate (id or name, version) points to."""
        if not specification:
            return None
        if specification.get("LaunchTemplateId"):
            template = self.get_launch_template(specification["LaunchTemplateId"])
        else:
            template = self.get_launch_template_by_name(specification.get("LaunchTemplateName"))
        version = template.get_version(specification.get("Version") or "$Default")
        return launch.Template(template.id, template.name, str(version.number), version.data)

    def run_instances(self, *_: Any, **__: Any) -> Any:
        """Moto's other services would launch through this; they know no machines."""
        raise Fault("UnsupportedOperation", "The local cloud launches through RunInstances and CreateFleet only.")

    def request_spot_instances(self, *_: Any, **__: Any) -> Any:
        """The old way to ask for spot instances."""
        text = "RequestSpotInstances is not supported by the local cloud: use RunInstances or CreateFleet."
        raise Fault("UnsupportedOperation", text)

    def launch(self, order: Order, minimum: int, maximum: int) -> Any:
        """As many instances as fit, at least ``minimum``. Raises Fault, with nothing launched, when fewer do."""
        return self.attempt(order, minimum, maximum)[0]

    def attempt(self, order: Order, minimum: int, maximum: int) -> tuple[Any, Fault | None]:
        """``launch`` that also tells why they are fewer than ``maximum``."""
        data = order.data
        plan = self._checked(data, spot=order.spot)
        zone = plan["subnet"].availability_zone
        if order.spot:
            options = (data.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}
            self.demand_price(plan["type"], zone, options.get("MaxPrice"))
        self.demand_group(data, plan["type"], zone, minimum)
        count, short = self.bounded(plan["type"], zone, maximum, spot=order.spot)
        if short and count < minimum:
            raise short
        reservation = Reservation(reservation_id=random_reservation_id(), owner_id=self.account_id)
        try:
            for index in range(count):
                instance = self._made(order, plan, index)
                instance.reservation_id = reservation.id
                reservation.instances.append(instance)
        except Fault as fault:
            if fault.code != "InsufficientFreeAddressesInSubnet" or len(reservation.instances) < max(minimum, 1):
                for instance in reservation.instances:
                    self.release(instance)
                    self.teardown(instance)
                raise
            short = fault
        self.rules.took(plan["type"], zone, "spot" if order.spot else "on-demand", len(reservation.instances))
        self.reservations[reservation.id] = reservation
        for instance in reservation.instances:
            self.work.boot(instance)
        return reservation, short

    def _checked(self, data: Data, *, spot: bool = False) -> dict[str, Any]:
        """Everything that a launch names, resolved. Raises Fault for what does not exist."""
        image = self.launchable_image(str(data.get("ImageId") or ""))
        kind = str(data.get("InstanceType") or DEFAULT_TYPE)
        key = data.get("KeyName")
        if key and key not in self.key_pairs:
            raise Fault("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
        subnet = self._subnet_for(data, kind, spot=spot)
        groups = list(data.get("SecurityGroupIds") or ())
        for name in data.get("SecurityGroups") or ():
            group = self.get_security_group_by_name_or_id(name)
            if group is None:
                raise Fault("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
            groups.append(group.id)
        for group_id in groups:
            if self.get_security_group_from_id(group_id) is None:
                raise Fault("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if not groups:
            groups = [self.get_default_security_group(subnet.vpc_id).id]
        nics = launch.interfaces(data, subnet.id, groups)
        if len(nics) > 1:
            raise one_interface(kind)
        home = self._home(nics, subnet)
        self.demand_offered(kind, home.availability_zone, image)
        metadata = dict(data.get("MetadataOptions") or {})
        metadata.setdefault("HttpTokens", "required" if image.imds_support == "v2.0" else "optional")
        user_data, tags = data.get("UserData"), launch.joined_tags(data.get("TagSpecifications") or ())
        if metadata.get("InstanceMetadataTags") == "enabled":
            demand_readable(tags.get("instance", ()))
        return {
            "image": image,
            "type": kind,
            "subnet": home,
            "nics": nics,
            "volumes": self.mappings(data, image.root_device_name),
            "profile": self._profile_arn(data.get("IamInstanceProfile") or {}),
            "metadata": metadata,
            "user_data": parse_user_data(str(user_data)) if user_data else None,
            "tags": tags,
        }

    def _home(self, nics: list[dict[str, Any]], otherwise: Any) -> Any:
        """The subnet of the primary interface."""
        first = nics[0]
        if first.get("NetworkInterfaceId"):
            return self.get_network_interface(first["NetworkInterfaceId"]).subnet
        return self.get_subnet(first["SubnetId"]) if first.get("SubnetId") else otherwise

    def _subnet_for(self, data: Data, kind: str, *, spot: bool) -> Any:
        if data.get("SubnetId"):
            return self.get_subnet(data["SubnetId"])
        zone = (data.get("Placement") or {}).get("AvailabilityZone")
        defaults = self.get_default_subnets()
        if not defaults:
            raise Fault("MissingInput", "No default subnet exists; name one.")
        if zone and zone not in defaults:
            raise Fault("InvalidInput", f"No default subnet for availability zone: '{zone}'.")
        wanted = zone or self.zone_for(data, kind, spot=spot)
        return defaults.get(wanted) or next(iter(defaults.values()))

    def _profile_arn(self, profile: Data) -> str:
        # EC2 takes an empty name for no profile, and Packer sends one.
        if not any(profile.values()):
            return ""
        for known in list(iam_backends[self.account_id]["aws"].instance_profiles.values()):
            if known.arn == profile.get("Arn") or known.name == profile.get("Name"):
                return str(known.arn)
        name = profile.get("Arn") or profile.get("Name")
        raise Fault(
            "InvalidParameterValue", f"Value ({name}) for parameter iamInstanceProfile is invalid. It does not exist."
        )

    def _made(self, order: Order, plan: dict[str, Any], index: int) -> Instance:
        data, tags = order.data, plan["tags"]
        groups = [self.get_security_group_from_id(g) for g in plan["nics"][0].get("Groups") or ()]
        if plan["nics"][0].get("NetworkInterfaceId"):
            groups = list(self.get_network_interface(plan["nics"][0]["NetworkInterfaceId"])._group_set)  # noqa: SLF001
        instance = Instance(
            self,
            plan["image"].id,
            plan["user_data"],
            groups,
            instance_type=plan["type"],
            region_name=self.region_name,
            subnet_id=plan["subnet"].id,
            nics=launch.Interfaces(plan["nics"]),
            key_name=data.get("KeyName"),
            client_token=order.client_token or None,
            ami_launch_index=index,
            lifecycle="spot" if order.spot else None,
            metadata_options=plan["metadata"],
            ebs_optimized=data.get("EbsOptimized") or False,
            monitoring_state="enabled" if (data.get("Monitoring") or {}).get("Enabled") else "disabled",
            disable_api_termination=data.get("DisableApiTermination") or False,
            disable_api_stop=data.get("DisableApiStop") or False,
            instance_initiated_shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior"),
        )
        instance.placement.group_name = (data.get("Placement") or {}).get("GroupName") or ""
        self.by_id[instance.id] = instance
        instance.become("pending")
        own = dict(tags.get("instance", {}))
        if order.template:
            own["aws:ec2launchtemplate:id"] = order.template.id
            own["aws:ec2launchtemplate:version"] = order.template.version
        if order.fleet_id:
            own["aws:ec2:fleet-id"] = order.fleet_id
        instance.add_tags(own)
        for nic, wanted in zip(instance.nics.values(), plan["nics"], strict=True):
            if not wanted.get("NetworkInterfaceId"):
                nic.add_tags(tags.get("network-interface", {}))
        self.attach_mapped(instance, plan["volumes"], tags.get("volume", {}))
        if plan["profile"]:
            self.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=plan["profile"])
        if order.spot:
            self._request_spot(instance, order, tags.get("spot-instances-request", {}))
        return instance

    def _request_spot(self, instance: Instance, order: Order, tags: dict[str, str]) -> None:
        options = (order.data.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}
        specification = {
            "ImageId": instance.image_id,
            "InstanceType": instance.instance_type,
            "SubnetId": instance.subnet_id,
            "KeyName": instance.key_name,
        }
        request = SpotRequest(self, instance, specification, str(options.get("MaxPrice") or ""))
        request.type = str(options.get("SpotInstanceType") or "one-time")
        request.instance_interruption_behavior = str(options.get("InstanceInterruptionBehavior") or "terminate")
        if request.type == "one-time" and request.instance_interruption_behavior != "terminate":
            raise Fault(
                "InvalidParameterCombination",
                f"The interruption behavior {request.instance_interruption_behavior} needs a persistent Spot request.",
            )
        request.add_tags(tags)
        self.spot_instance_requests[request.id] = request
        instance.spot_instance_request_id = request.id

    # States. Each of these returns (instance, its state before) as moto's responses want it.

    def _each(self, instance_ids: list[str]) -> list[tuple[Instance, Any]]:
        if not instance_ids:
            raise Fault("MissingParameter", "The request must contain the parameter InstanceIds")
        for instance_id in instance_ids:
            if not INSTANCE_ID.fullmatch(instance_id):
                raise Fault("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        missing = [i for i in instance_ids if i not in self.by_id]
        if missing:
            raise InvalidInstanceIdError(missing)
        return [(self.by_id[i], copy.copy(self.by_id[i].instance_state)) for i in dict.fromkeys(instance_ids)]

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, Any]]:
        """End instances; those that ended already are no error."""
        found = self._each(instance_ids)
        for instance, _ in found:
            if instance.disable_api_termination:
                raise Fault("OperationNotPermitted", f"The instance '{instance.id}' may not be terminated.")
        for instance, _ in found:
            self.end(instance, _USER, "User initiated shutdown")
        return found

    def end(self, instance: Instance, reason: str, message: str) -> None:
        """Begin to terminate one instance for a reason."""
        if instance.state not in ENDED:
            instance.become("shutting-down", reason, message)
            self.work.destroy(instance)

    def stop_instances(self, instance_ids: list[str]) -> list[tuple[Instance, Any]]:
        """Power running instances off; spot instances cannot be stopped."""
        found = self._each(instance_ids)
        for instance, before in found:
            if before.name in ENDED or before.name == "pending":
                raise _wrong_state(instance, "stopped")
            if instance.disable_api_stop:
                raise Fault("OperationNotPermitted", f"The instance '{instance.id}' may not be stopped.")
            if before.name == "running":
                self.demand_stoppable(instance)
        for instance, before in found:
            if before.name == "running":
                self.stopped_by_user(instance)
                instance.become("stopping", _USER, "User initiated shutdown")
                self.work.power_off(instance)
        return found

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Instance, Any]]:
        """Boot stopped instances."""
        found = self._each(instance_ids)
        for instance, before in found:
            if before.name not in ("stopped", "running", "pending"):
                raise _wrong_state(instance, "started")
            if before.name == "stopped":
                self.demand_startable(instance)
        for instance, before in found:
            if before.name == "stopped":
                self.started_by_user(instance)
                instance.launch_time = utcnow()
                instance.become("pending")
                self.work.boot(instance)
        return found

    def reboot_instances(self, instance_ids: list[str]) -> list[Instance]:
        """Power running instances off and boot them; their state stays running."""
        found = self._each(instance_ids)
        for instance, before in found:
            if before.name != "running":
                raise _wrong_state(instance, "rebooted")
        for instance, _ in found:
            self.announce(instance.id, "rebooting")
            self.work.reboot(instance)
        return [instance for instance, _ in found]

    def release(self, instance: Instance) -> None:
        """Give back what an ended instance held: interfaces and volumes by their lifetimes, profile, spot request."""
        for eni in list(instance.nics.values()):
            instance.detach_eni(eni)
            if eni.delete_on_termination:
                self.delete_network_interface(eni.id)
        instance.teardown_defaults()
        association = self.iam_instance_profile_associations.pop(instance.id, None)
        if association is not None:
            association.state = "disassociated"
        request = self.spot_instance_requests.get(instance.spot_instance_request_id)
        if isinstance(request, SpotRequest):
            request.close("instance-terminated-by-user", "The instance ended.")
        instance.become("terminated")
        self.collect_layers()

    def teardown(self, instance: Instance) -> None:
        """Forget a terminated instance, its tags and its spot request."""
        self.by_id.pop(instance.id, None)
        self.tags.pop(instance.id, None)
        request = instance.spot_instance_request_id
        if request:
            self.spot_instance_requests.pop(request, None)
            self.tags.pop(request, None)
        reservation = self.reservations.get(instance.reservation_id)
        if reservation is not None:
            with contextlib.suppress(ValueError):
                reservation.instances.remove(instance)
            if reservation.instances:
                self.reservations[reservation.id] = reservation
            else:
                del self.reservations[reservation.id]


def _wrong_state(instance: Instance, verb: str) -> Fault:
    return Fault(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {verb}: {instance.state}.",
    )
