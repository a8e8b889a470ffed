"""Instances: what runs, ending it, its console, its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from hcluster.aws.codes import code_of
from hcluster.aws.part import Part, Record, carries, chunks, tag_filters, tag_list, tags_of
from hcluster.aws.session import AwsSession
from hcluster.errors import CloudError, NotFoundError
from hcluster.model.node import Instance

_STAMP = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")
ALIVE = ("pending", "running")
TERMINATE_AT_ONCE = 1000
"""EC2's limit of ids in one TerminateInstances call."""
TAG_AT_ONCE = 1000
"""EC2's limit of ids in one CreateTags call."""
FILTER_VALUES = 200
"""EC2's limit of values in one filter."""


def type_records(session: AwsSession, types: Sequence[str]) -> dict[str, Record]:
    """What DescribeInstanceTypes tells of each type, in one call. Raises NotFoundError for an unknown type."""
    with session.call(f"looking up instance types {', '.join(types)}"):
        try:
            answer = session.client("ec2").describe_instance_types(InstanceTypes=sorted(set(types)))
        except ClientError as cause:
            if code_of(cause) != "InvalidInstanceType":
                raise
            missing = (
                f"there is no instance type {types[0]}"
                if len(types) == 1
                else f"not all of the instance types {', '.join(types)} exist"
            )
            raise NotFoundError(
                f"{missing} in {session.region()}",
                context=str(cause),
                hint="correct `types` in the cluster's YAML",
                reference="no-such-type",
            ) from cause
    return {str(one["InstanceType"]): one for one in answer["InstanceTypes"]}


class Instances(Part):
    """The instances of the account that carry our tags."""

    def instances(self, tags: Mapping[str, str], *, alive_only: bool = True) -> list[Instance]:
        """Instances that carry all ``tags`` (all pages). ``alive_only``: pending and running ones only."""
        filters = tag_filters(tags)
        if alive_only:
            filters.append({"Name": "instance-state-name", "Values": list(ALIVE)})
        found = [
            _instance(record)
            for reservation in self._pages("listing instances", "describe_instances", "Reservations", Filters=filters)
            for record in reservation["Instances"]
            if carries(record, tags)
        ]
        # The server filters by a state that it may have looked up before it made the answer.
        return [one for one in found if one.alive or not alive_only]

    def memory_mib(self, types: Sequence[str]) -> dict[str, int]:
        """Memory of each instance type, in MiB, in one call. Raises NotFoundError for an unknown type."""
        records = type_records(self._session, types)
        found = {name: int(record["MemoryInfo"]["SizeInMiB"]) for name, record in records.items()}
        return {one: found[one] for one in types}

    def terminate(self, instances: Sequence[str]) -> None:
        """Terminate; ids that are gone already are no error."""
        for some in chunks(list(dict.fromkeys(instances)), TERMINATE_AT_ONCE):
            try:
                self._terminate(some)
            except NotFoundError:
                # One unknown id fails the whole call and ends nothing: name only those that exist.
                self._terminate(self._existing(some))

    def tag(self, instances: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set tags of instances, 1,000 of them a call; other tags stay. Ids that are gone already are no error."""
        for some in chunks(list(dict.fromkeys(instances)), TAG_AT_ONCE):
            try:
                self._tag(some, tags)
            except NotFoundError:
                # As with terminate: one unknown id fails the whole call.
                self._tag(self._existing(some), tags)

    def console(self, instance: str) -> str:
        """The latest console output, "" when there is none yet. Raises NotFoundError for an unknown instance."""
        with self._session.call(f"reading the console of {instance}"):
            try:
                answer = self._ec2().get_console_output(InstanceId=instance, Latest=True)
            except ClientError as failure:
                # Only instance types on Nitro can give the latest output at any time.
                if code_of(failure) not in ("UnsupportedOperation", "InvalidParameterCombination"):
                    raise
                answer = self._ec2().get_console_output(InstanceId=instance)
        return str(answer.get("Output") or "")

    def push_ssh_key(self, instance: str, user: str, public_key: str) -> None:
        """EC2 Instance Connect: ``public_key`` opens ``user`` for 60 s. Raises NotFoundError."""
        what = f"pushing an SSH key to {instance}"
        with self._session.call(what):
            answer = self._session.client("ec2-instance-connect").send_ssh_public_key(
                InstanceId=instance, InstanceOSUser=user, SSHPublicKey=public_key
            )
        if not answer.get("Success"):
            raise CloudError(f"{what}: EC2 Instance Connect did not take it", context=str(answer.get("RequestId", "")))

    def _terminate(self, instances: Sequence[str]) -> None:
        if instances:
            with self._session.call(f"terminating {len(instances)} instances"):
                self._ec2().terminate_instances(InstanceIds=list(instances))

    def _tag(self, instances: Sequence[str], tags: Mapping[str, str]) -> None:
        if instances:
            with self._session.call(f"tagging {len(instances)} instances"):
                self._ec2().create_tags(Resources=list(instances), Tags=tag_list(tags))

    def _existing(self, instances: Sequence[str]) -> list[str]:
        return [
            str(record["InstanceId"])
            for some in chunks(instances, FILTER_VALUES)
            for reservation in self._pages(
                "listing instances",
                "describe_instances",
                "Reservations",
                Filters=[{"Name": "instance-id", "Values": list(some)}],
            )
            for record in reservation["Instances"]
        ]


def _instance(record: Record) -> Instance:
    state = str(record["State"]["Name"])
    reason = str((record.get("StateReason") or {}).get("Message") or record.get("StateTransitionReason") or "")
    return Instance(
        id=str(record["InstanceId"]),
        state=state,
        private_ip=str(record.get("PrivateIpAddress") or ""),
        private_dns=str(record.get("PrivateDnsName") or ""),
        type=str(record["InstanceType"]),
        zone=str((record.get("Placement") or {}).get("AvailabilityZone") or ""),
        market="spot" if record.get("InstanceLifecycle") == "spot" else "on-demand",
        image=str(record.get("ImageId") or ""),
        launched=record["LaunchTime"].astimezone(UTC),
        tags=tags_of(record),
        reason="" if state in ALIVE else reason,
        ended=None if state in ALIVE else _ended(str(record.get("StateTransitionReason") or "")),
    )


def _ended(reason: str) -> datetime | None:
    """The time in ``User initiated (2026-11-22 03:54:23 GMT)``, None when there is none."""
    found = _STAMP.search(reason)
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None
