"""What the account is and grants: simulated permissions, quotas, the bucket's settings, the clock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from hcluster.aws.codes import code_of
from hcluster.aws.instances import type_records
from hcluster.aws.part import Part, Record, chunks
from hcluster.aws.session import AwsSession
from hcluster.model.account import BucketFacts, SubnetFacts, VcpuQuota
from hcluster.ports import Clock

STANDARD_QUOTAS = {"on-demand": "L-1216C47A", "spot": "L-34B43A08"}
"""Codes in Service Quotas of "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" and "All Standard (A,
C, D, H, I, M, R, T, Z) Spot Instance Requests": virtual CPUs of a region."""
STANDARD_FAMILIES = frozenset("acdhimrtz")
ACTIONS_AT_ONCE = 50
_ABSENT = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


class AwsAccount(Part):
    """Implements ``hcluster.ports.Account``."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        super().__init__(session, clock)
        self._lock = threading.Lock()
        self._source: str | None = None

    def refused(self, actions: Sequence[str], resources: Sequence[str], context: Mapping[str, str]) -> tuple[str, ...]:
        """Those of ``actions`` that IAM would refuse the caller on any of ``resources``, by simulation."""
        source = self._policy_source()
        if not source:
            return ()
        found: set[str] = set()
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in sorted(context.items())
        ]
        for some in chunks(list(dict.fromkeys(actions)), ACTIONS_AT_ONCE):
            for result in self._simulated(source, some, resources, entries):
                if result["EvalDecision"] != "allowed":
                    found.add(str(result["EvalActionName"]))
        return tuple(action for action in actions if action in found)

    def clock_offset(self) -> float:
        """Seconds by which this machine's clock is ahead of AWS's, from the Date of an answer."""
        before = self._clock.now()
        with self._session.call("asking STS for the time"):
            answer = self._session.client("sts").get_caller_identity()
        middle = (before + self._clock.now()) / 2
        told = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
        # The header has whole seconds: on average the answer is half a second older than it says.
        return middle - (told + 0.5)

    def bucket(self, name: str) -> BucketFacts:
        """How a bucket is kept. Raises NotFoundError."""
        s3 = self._session.client("s3")
        with self._session.call(f"looking at bucket {name}"):
            region = s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "")
        rules = self._setting(name, "bucket_encryption", "ServerSideEncryptionConfiguration")
        block = self._setting(name, "public_access_block", "PublicAccessBlockConfiguration") or {}
        status = self._setting(name, "bucket_policy_status", "PolicyStatus") or {}
        return BucketFacts(
            region=str(region),
            encrypted=bool(rules and rules.get("Rules")),
            public_blocked=len(block) >= len(_BLOCKS) and all(block.get(one) for one in _BLOCKS),
            public_policy=bool(status.get("IsPublic")),
        )

    def subnets(self, subnets: Sequence[str]) -> list[SubnetFacts]:
        """What subnets offer. Raises NotFoundError."""
        if not subnets:
            return []
        records = list(self._pages("looking at subnets", "describe_subnets", "Subnets", SubnetIds=list(subnets)))
        vpcs = sorted({str(one["VpcId"]) for one in records})
        filters = [{"Name": "vpc-id", "Values": vpcs}]
        tables = list(self._pages("looking at routes", "describe_route_tables", "RouteTables", Filters=filters))
        facts = [
            SubnetFacts(
                id=str(one["SubnetId"]),
                zone=str(one["AvailabilityZone"]),
                free_addresses=int(one["AvailableIpAddressCount"]),
                way_out=_leads_out(_table_of(one, tables)),
            )
            for one in records
        ]
        return sorted(facts, key=lambda one: (one.zone, one.id))

    def vcpu_quotas(self) -> list[VcpuQuota]:
        """Quota and use of virtual CPUs of the standard families, by market."""
        limits = {market: self._quota(code) for market, code in STANDARD_QUOTAS.items()}
        running: Counter[tuple[str, str]] = Counter()
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for reservation in self._pages("counting instances", "describe_instances", "Reservations", Filters=filters):
            for one in reservation["Instances"]:
                if str(one["InstanceType"])[:1] in STANDARD_FAMILIES:
                    market = "spot" if one.get("InstanceLifecycle") == "spot" else "on-demand"
                    running[market, str(one["InstanceType"])] += 1
        each = self.vcpus(sorted({kind for _, kind in running})) if running else {}
        used = dict.fromkeys(limits, 0)
        for (market, kind), count in running.items():
            used[market] += count * each[kind]
        return [VcpuQuota(market, limits[market], used[market]) for market in limits]

    def vcpus(self, types: Sequence[str]) -> dict[str, int]:
        """Virtual CPUs of each instance type. Raises NotFoundError for an unknown type."""
        records = type_records(self._session, types)
        found = {name: int(record["VCpuInfo"]["DefaultVCpus"]) for name, record in records.items()}
        return {one: found[one] for one in types}

    def _policy_source(self) -> str:
        """ARN of the user or role whose policies bind the caller; "" for root, whom none binds. Looked up once."""
        with self._lock:
            if self._source is None:
                self._source = self._bound_by()
            return self._source

    def _bound_by(self) -> str:
        with self._session.call("asking STS who we are"):
            arn = str(self._session.client("sts").get_caller_identity()["Arn"])
        *_, resource = arn.split(":", 5)
        if resource == "root":
            return ""
        if not resource.startswith("assumed-role/"):
            return arn
        role = resource.split("/")[1]
        with self._session.call(f"reading role {role}"):
            # A session's ARN does not tell the path of its role.
            return str(self._session.client("iam").get_role(RoleName=role)["Role"]["Arn"])

    def _simulated(
        self, source: str, actions: Sequence[str], resources: Sequence[str], entries: Sequence[Mapping[str, object]]
    ) -> Iterator[Record]:
        arguments: dict[str, Any] = {"PolicySourceArn": source, "ActionNames": list(actions)}
        if resources:
            arguments["ResourceArns"] = list(resources)
        if entries:
            arguments["ContextEntries"] = list(entries)
        with self._session.call("simulating our own permissions"):
            paginator = self._session.client("iam").get_paginator("simulate_principal_policy")
            for page in paginator.paginate(**arguments):
                yield from page["EvaluationResults"]

    def _setting(self, bucket: str, name: str, field: str) -> Any:
        with self._session.call(f"reading {name.replace('_', ' ')} of bucket {bucket}"):
            try:
                return getattr(self._session.client("s3"), f"get_{name}")(Bucket=bucket)[field]
            except ClientError as failure:
                if code_of(failure) not in _ABSENT:
                    raise
        return None

    def _quota(self, code: str) -> int:
        with self._session.call("reading quotas"):
            answer = self._session.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)
        return int(answer["Quota"]["Value"])


_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def _table_of(subnet: Record, tables: Sequence[Record]) -> Record:
    """The route table of a subnet: its own, else the main one of its VPC."""
    main: Record = {}
    for table in tables:
        for association in table.get("Associations") or ():
            if association.get("SubnetId") == subnet["SubnetId"]:
                return table
            if association.get("Main") and table["VpcId"] == subnet["VpcId"]:
                main = table
    return main


def _leads_out(table: Record) -> bool:
    """Whether a default route, or an endpoint's prefix list, takes packets to S3."""
    return any(
        route.get("State") == "active"
        and (
            route.get("DestinationCidrBlock") == "0.0.0.0/0"
            or (route.get("DestinationPrefixListId") and str(route.get("GatewayId", "")).startswith("vpce-"))
        )
        for route in table.get("Routes") or ()
    )
