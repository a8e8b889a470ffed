"""Judges what ``doctor`` looked up: facts in, findings out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.model.account import BucketFacts, SubnetFacts, VcpuQuota
from hcluster.model.views import Finding
from hcluster.spec.cluster import ClusterSpec

DAY = 86_400.0
OLD_IMAGE_DAYS = 30
"""Debian publishes point releases about every two months, and security updates every week."""
OLD_RELEASE_DAYS = 180
SKEW_WARNS, SKEW_FAILS = 30.0, 300.0
"""Seconds. AWS refuses requests that are signed five minutes (S3: fifteen) away from its own time."""
_SHOWN = 6
"""Actions that a message names."""


def clock(offset: float) -> Finding:
    """``offset``: seconds by which this machine is ahead."""
    message = f"within {max(abs(offset), 1):.0f} s of AWS's"
    if abs(offset) < SKEW_WARNS:
        return Finding("clock", ok=True, message=message)
    direction = "ahead of" if offset > 0 else "behind"
    return Finding(
        "clock",
        ok=abs(offset) < SKEW_FAILS,
        message=f"{abs(offset):.0f} s {direction} AWS's; requests that are 5 minutes off are refused",
        cure="set this machine's clock (timedatectl set-ntp true)",
        warning=True,
    )


def bucket(name: str, facts: BucketFacts, region: str) -> Finding:
    """Policy, encryption and place of the platform's bucket."""
    if facts.public_policy:
        return Finding(
            "bucket's policy",
            ok=False,
            message=f"the policy of {name} lets anybody in",
            cure=f"aws s3api delete-bucket-policy --bucket {name}",
        )
    wrong = []
    if facts.region and facts.region != region:
        wrong.append(f"it lies in {facts.region}, not in {region}: each transfer is slow and billed")
    if not facts.encrypted:
        wrong.append("new objects are not encrypted by default")
    if not facts.public_blocked:
        wrong.append("public access is not blocked")
    if wrong:
        cure = "run `hcluster platform up`, which sets what is missing"
        return Finding("bucket's policy", ok=True, message=f"{name}: {'; '.join(wrong)}", cure=cure, warning=True)
    return Finding("bucket's policy", ok=True, message=f"{name} is private and encrypted")


def addresses(subnets: Sequence[SubnetFacts], nodes: int) -> Finding:
    """Whether ``nodes`` fit into the subnets, and whether they get to S3 from there."""
    free = sum(one.free_addresses for one in subnets)
    shut = [one.id for one in subnets if not one.way_out]
    zones = len({one.zone for one in subnets})
    if shut and len(shut) == len(subnets):
        return Finding(
            "network paths",
            ok=False,
            message=f"no route leads from {', '.join(shut)} to S3: nodes cannot fetch what they are to be",
            cure="add a gateway endpoint for S3 (no charge) or a NAT gateway to the subnets' route tables",
        )
    if free < nodes:
        return Finding(
            "network paths",
            ok=False,
            message=f"{free} free addresses in {len(subnets)} subnets, {nodes} needed",
            cure="name more or larger subnets in platform.yaml: `network: {subnets: […]}`",
        )
    if shut:
        return Finding(
            "network paths",
            ok=True,
            message=f"no route leads from {', '.join(shut)} to S3: nodes that land there fail",
            cure="add a gateway endpoint for S3 to their route tables, or leave them out of `network.subnets`",
            warning=True,
        )
    return Finding("network paths", ok=True, message=f"{free} free addresses in {zones} zones, S3 in reach")


def vcpus_wanted(spec: ClusterSpec, vcpus: Mapping[str, int]) -> dict[str, int]:
    """Virtual CPUs by market that a cluster takes at most: of each group, its largest type."""
    wanted: dict[str, int] = {}
    for group in spec.groups().values():
        if group.count:
            wanted[group.market] = wanted.get(group.market, 0) + group.count * max(vcpus[one] for one in group.types)
    return wanted


def quotas(found: Sequence[VcpuQuota], wanted: Mapping[str, int]) -> list[Finding]:
    """One finding a market: what is left, and whether it does for what is wanted."""
    findings = []
    for quota in found:
        need = wanted.get(quota.market, 0)
        state = f"{quota.left} of {quota.limit} vCPUs left"
        if need > quota.left:
            findings.append(
                Finding(
                    f"{quota.market} quota",
                    ok=False,
                    message=f"{state}, the cluster takes up to {need}",
                    cure="ask AWS for more (Service Quotas, Amazon EC2, standard instances), or use fewer or smaller "
                    "nodes",
                )
            )
        else:
            message = f"{state}, the cluster takes up to {need}" if need else state
            findings.append(Finding(f"{quota.market} quota", ok=True, message=message))
    return findings


def age(check: str, what: str, seconds: float, limit_days: int, cure: str, lacks: str) -> Finding:
    """How old an image or a release is, and beyond the limit what it ``lacks``."""
    days = int(max(seconds, 0) // DAY)
    told = f"{what} is {days} day{'s' if days != 1 else ''} old" if days else f"{what} is of today"
    if days <= limit_days:
        return Finding(check, ok=True, message=told)
    return Finding(check, ok=True, message=f"{told}: it lacks {lacks}", cure=cure, warning=True)


def tools(missing: Mapping[str, str]) -> Finding:
    """``missing``: programs that are not installed here, and what they are needed for."""
    if not missing:
        return Finding("local packages", ok=True, message="everything that the verbs call is installed")
    listed = "; ".join(f"{name} is not installed, needed for {verb}" for name, verb in sorted(missing.items()))
    cure = f"apt-get install {' '.join(sorted(missing))}"
    return Finding("local packages", ok=True, message=listed, cure=cure, warning=True)


def permissions(group: str, verbs: Sequence[str], asked: int, refused: Sequence[str]) -> Finding:
    """What IAM would refuse of the ``asked`` actions that a group of verbs needs."""
    check = f"{group}'s rights"
    if not refused:
        return Finding(check, ok=True, message=f"you may {', '.join(verbs)}")
    shown = ", ".join(refused[:_SHOWN]) + (f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else "")
    return Finding(
        check,
        ok=True,
        message=f"{len(refused)} of {asked} actions would be refused: {shown}",
        cure=f"only if you need {', '.join(verbs)}: have the policy attached that `hcluster policies {group}` prints",
        warning=True,
    )
