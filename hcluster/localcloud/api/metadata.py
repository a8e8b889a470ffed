"""What the instance metadata service shows of one instance, as a flat table of paths."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.instance import Instance
from hcluster.localcloud.api.parts import PARTITION, iam_backends, sts_backends
from hcluster.localcloud.api.policy import Asker, Policies, Policy, PolicyError, decide
from hcluster.localcloud.api.sts_operations import remember

CREDENTIALS_LIFE = timedelta(hours=6)
RENEW_BEFORE = timedelta(minutes=45)
"""SDKs ask again 15 minutes before the end or later; they must get newer ones then."""
_STAMP = "%Y-%m-%dT%H:%M:%SZ"

Value = str | Callable[[], str]
"""A leaf: its text, or what makes it when it is read (credentials)."""


class Metadata:
    """Answers for the instances of one backend. Call with the cloud's lock held."""

    def __init__(self, backend: Callable[[], CloudBackend], changed: Callable[[], None]) -> None:
        self._backend = backend
        self._changed = changed
        self._sessions: dict[str, Any] = {}
        self.notices: dict[str, str] = {}
        """By instance: what ``spot/instance-action`` shows (JSON)."""
        self.recommendations: dict[str, str] = {}
        """By instance: what ``events/recommendations/rebalance`` shows (JSON)."""

    def instance_at(self, address: str) -> Instance | None:
        """The instance that has a private address and is not ended."""
        eni = self._backend().interface_at(address)
        found = eni.instance if eni is not None else None
        return found if isinstance(found, Instance) and found.state != "terminated" else None

    def answer(self, instance: Instance, path: str) -> str | bytes | None:
        """The content at ``path`` below /latest/, None when there is nothing. Folders list what is in them."""
        path = path.strip("/")
        if path == "user-data":
            return base64.b64decode(str(instance.user_data)) if instance.user_data else None
        if path == "dynamic/instance-identity/document":
            return self._document(instance)
        if path in ("", "dynamic", "dynamic/instance-identity"):
            return {"": "dynamic\nmeta-data\nuser-data", "dynamic": "instance-identity/"}.get(path, "document")
        top, _, rest = path.partition("/")
        if top != "meta-data":
            return None
        return _look(self.table(instance), rest)

    def table(self, instance: Instance) -> dict[str, Value]:
        """Everything below meta-data/ by path."""
        nic = instance.nics[0]
        zone = str(instance.placement.zone)
        table: dict[str, Value] = {
            "ami-id": str(instance.image_id),
            "ami-launch-index": str(instance.ami_launch_index),
            "hostname": instance.private_dns_name,
            "instance-id": str(instance.id),
            "instance-life-cycle": instance.lifecycle or "on-demand",
            "instance-type": str(instance.instance_type),
            "local-hostname": instance.private_dns_name,
            "local-ipv4": str(nic.private_ip_address),
            "mac": str(nic.mac_address),
            "placement/availability-zone": zone,
            "placement/region": str(instance.region_name),
            "security-groups": "\n".join(sorted(group.name for group in nic.group_set)),
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
        }
        prefix = f"network/interfaces/macs/{nic.mac_address}"
        table[f"{prefix}/local-ipv4s"] = str(nic.private_ip_address)
        table[f"{prefix}/interface-id"] = str(nic.id)
        table[f"{prefix}/subnet-id"] = str(nic.subnet.id)
        table[f"{prefix}/vpc-id"] = str(nic.vpc_id)
        if instance.metadata_options.instance_metadata_tags == "enabled":
            tags = self._backend().tags.get(instance.id, {})
            table.update({f"tags/instance/{key}": value for key, value in tags.items() if not key.startswith("aws:")})
        pair = self._backend().key_pairs.get(instance.key_name)
        if pair is not None:
            table["public-keys/0/openssh-key"] = pair.material_public.decode().strip() + "\n"
        now = datetime.now(UTC).timestamp()
        for user, keys in self._backend().open_keys(instance.id, now).items():
            table[f"managed-ssh-keys/active-keys/{user}"] = "".join(f"{key}\n" for key in keys)
        if instance.id in self.notices:
            notice = json.loads(self.notices[instance.id])
            table["spot/instance-action"] = self.notices[instance.id]
            if notice["action"] == "terminate":
                # Older than instance-action, and still there.
                table["spot/termination-time"] = notice["time"]
        if instance.id in self.recommendations:
            table["events/recommendations/rebalance"] = self.recommendations[instance.id]
        table.update(self._iam(instance))
        return table

    def _document(self, instance: Instance) -> str:
        return json.dumps(
            {
                "accountId": instance.owner_id,
                "architecture": "x86_64",
                "availabilityZone": instance.placement.zone,
                "imageId": instance.image_id,
                "instanceId": instance.id,
                "instanceType": instance.instance_type,
                "pendingTime": instance.launch_time.strftime(_STAMP),
                "privateIp": instance.private_ip,
                "region": instance.region_name,
                "version": "2017-09-30",
            },
            indent=2,
        )

    def _iam(self, instance: Instance) -> dict[str, Value]:
        arn = (instance.iam_instance_profile or {}).get("Arn")
        iam = iam_backends[instance.owner_id][PARTITION]
        profile = next((p for p in iam.instance_profiles.values() if p.arn == arn), None)
        if profile is None:
            return {}
        stamp = datetime.now(UTC).strftime(_STAMP)
        info = {"Code": "Success", "LastUpdated": stamp, "InstanceProfileArn": arn, "InstanceProfileId": profile.id}
        found: dict[str, Value] = {"iam/info": json.dumps(info)}
        if profile.roles:
            role = profile.roles[0]
            found[f"iam/security-credentials/{role.name}"] = lambda: self._credentials(instance, role)
        return found

    def _credentials(self, instance: Instance, role: Any) -> str:
        now = datetime.now(UTC)
        stamp = now.strftime(_STAMP)
        if not _trusted(str(role.assume_role_policy_document)):
            message = "EC2 cannot assume the role; its trust policy must name ec2.amazonaws.com."
            return json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": message, "LastUpdated": stamp})
        session = self._sessions.get(instance.id)
        if session is None or session.role_arn != role.arn or _ends(session) - now < RENEW_BEFORE:
            session = sts_backends[instance.owner_id][PARTITION].assume_role(
                region_name=instance.region_name,
                role_session_name=instance.id,
                role_arn=role.arn,
                policy="",
                duration=int(CREDENTIALS_LIFE.total_seconds()),
                external_id="",
            )
            remember(session, facts=_facts(instance))
            self._sessions[instance.id] = session
            self._changed()
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": stamp,
                "Type": "AWS-HMAC",
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "Token": session.session_token,
                "Expiration": _ends(session).strftime(_STAMP),
            },
            indent=2,
        )


def _facts(instance: Instance) -> dict[str, str]:
    """Condition keys of the credentials of an instance.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    return {
        "ec2:SourceInstanceARN": f"arn:aws:ec2:{instance.region_name}:{instance.owner_id}:instance/{instance.id}",
        "ec2:RoleDelivery": "2.0",
        "aws:EC2InstanceSourceVPC": str(instance.nics[0].vpc_id),
        "aws:EC2InstanceSourcePrivateIPv4": str(instance.private_ip),
    }


def _trusted(document: str) -> bool:
    """Whether a trust policy lets EC2 assume the role."""
    asked = Policies(trust=Policy("trust", document))
    try:
        return decide(asked, Asker(service="ec2.amazonaws.com"), "sts:AssumeRole", "*", {}).allowed
    except PolicyError:
        return False


def _ends(session: Any) -> datetime:
    ends: datetime = session.expiration.replace(tzinfo=UTC)
    return ends


def _look(table: Mapping[str, Value], path: str) -> str | None:
    if path in table:
        value = table[path]
        return value if isinstance(value, str) else value()
    if path == "public-keys" and "public-keys/0/openssh-key" in table:
        return "0=key"
    below = f"{path}/" if path else ""
    names = set()
    for known in table:
        if known.startswith(below):
            name, slash, _ = known[len(below) :].partition("/")
            names.add(name + slash)
    return "\n".join(sorted(names)) if names else None
