"""Who may call what: a policy for the people and programs of each group of verbs, as small as the verbs allow.

They are printed by ``hcluster policies`` and put into the account by whoever runs it; hcluster gives itself no rights.
What belongs to a platform is known by its tag, which every call that makes something carries; what is found by that tag
alone can be ended.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hcluster.model import names
from hcluster.plan.access import partition

Group = Literal["reader", "operator", "admin", "baker", "publisher"]

VERBS: Mapping[Group, tuple[str, ...]] = {
    "reader": ("list", "show", "nodes", "events", "doctor", "platform status", "ami list"),
    "operator": (
        "up",
        "wait",
        "resize",
        "down",
        "exec",
        "cp",
        "proxy",
        "ssh",
        "sql",
        "job",
        "logs",
        "data",
        "and what a reader may",
    ),
    "admin": ("platform up", "platform down", "and what an operator may"),
    "baker": ("ami bake", "ami list"),
    "publisher": ("puppet publish",),
}
"""What each group is for."""

MANAGED_CHARACTERS = 6144
"""The size of a managed policy at most, white space not counted.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

Statement = dict[str, Any]
_DATA = (names.WAREHOUSE_PREFIX, "data/", "tmp/", "logs/")
_EC2 = "ec2.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Scope:
    """The platform that a policy is for."""

    platform: str
    bucket: str
    region: str
    account: str
    team: str = ""
    """Only what this team's clusters consist of; "" for all teams of the platform."""
    ssh_user: str = "admin"

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """An ARN in the platform's account and region."""
        where = (self.region if region else "", self.account if account else "")
        return f"arn:{partition(self.region)}:{service}:{where[0]}:{where[1]}:{resource}"

    def ec2(self, *kinds: str) -> list[str]:
        """All resources of kinds; images and snapshots have no account in their ARNs."""
        return [self.arn("ec2", f"{kind}/*", account=kind not in ("image", "snapshot")) for kind in kinds]

    def iam(self, resource: str) -> str:
        """An ARN of IAM, which knows no regions."""
        return self.arn("iam", resource, region=False)

    def s3(self, *keys: str) -> list[str]:
        """Objects of the bucket; the bucket itself without keys."""
        bucket = self.arn("s3", self.bucket, region=False, account=False)
        return [f"{bucket}/{key}" for key in keys] or [bucket]

    def tags(self, kind: Literal["RequestTag", "ResourceTag"]) -> dict[str, str]:
        """The condition that something is, or will be, the platform's (and the team's)."""
        found = {f"aws:{kind}/{names.TAG_PLATFORM}": self.platform}
        return found | ({f"aws:{kind}/{names.TAG_TEAM}": self.team} if self.team else {})


def policy(group: Group, scope: Scope) -> dict[str, Any]:
    """The policy document of a group of verbs."""
    statements = {
        "reader": _reader,
        "operator": lambda one: [*_reader(one), *_operator(one)],
        "admin": lambda one: [*_looking(one), *_admin(one)],
        "baker": _baker,
        "publisher": _publisher,
    }[group]
    document: dict[str, Any] = {"Version": "2012-10-17", "Statement": statements(scope)}
    if len(json.dumps(document, separators=(",", ":"))) > MANAGED_CHARACTERS:
        # Names of statements are for people alone; those of platforms, buckets and regions may be long.
        for statement in document["Statement"]:
            del statement["Sid"]
    return document


@dataclass(frozen=True, slots=True)
class Question:
    """What a simulation is asked, so that whoever has the policy is told "allowed" throughout."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Mapping[str, str]
    """Condition keys, each with one value."""


def questions(group: Group, scope: Scope) -> Iterator[Question]:
    """What to ask of a caller to know whether it may do what the group does; a question a statement."""
    for statement in policy(group, scope)["Statement"]:
        context = {
            key: value if isinstance(value, str) else value[0]
            for tests in statement.get("Condition", {}).values()
            for key, value in tests.items()
        }
        plain = tuple(one for one in statement["Resource"] if "${" not in one)
        if plain:
            yield Question(tuple(statement["Action"]), () if plain == ("*",) else plain, context)


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str], **tests: Mapping[str, Any]) -> Statement:
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return found | ({"Condition": {name: dict(test) for name, test in tests.items()}} if tests else {})


def _described(*nouns: str) -> list[str]:
    return [f"ec2:Describe{noun}" for noun in nouns]


_LOOKS = (
    "Images",
    "InstanceTypes",
    "Instances",
    "LaunchTemplateVersions",
    "LaunchTemplates",
    "NetworkInterfaces",
    "RouteTables",
    "SecurityGroups",
    "SpotPriceHistory",
    "Subnets",
    "Volumes",
    "Vpcs",
)


_PRICES = ("pricing:GetProducts",)
_BUCKET_LOOKS = (
    "s3:GetBucketLocation",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:ListBucket",
)


def _looking(scope: Scope) -> list[Statement]:
    """Look at the account's network and machines, and at one's own rights."""
    own = [scope.iam("user/${aws:username}"), scope.iam("role/*")]
    return [
        _allow("LookAround", [*_described(*_LOOKS), *_PRICES, "servicequotas:GetServiceQuota"], ["*"]),
        _allow("KnowOneself", ["iam:GetRole", "iam:SimulatePrincipalPolicy"], own),
    ]


def _reader(scope: Scope) -> list[Statement]:
    """Look at everything of the platform."""
    return [
        *_looking(scope),
        _allow("LookAtTheBucket", _BUCKET_LOOKS, scope.s3()),
        _allow(
            "ReadRecords",
            ["s3:GetObject"],
            scope.s3(
                "clusters/*", names.PLATFORM_KEY, "puppet/channels/*", f"{names.REGISTRY_PREFIX}*", names.HISTORY_KEY
            ),
        ),
    ]


def _operator(scope: Scope) -> list[Statement]:
    """Start and end clusters, and reach into them."""
    return [
        _allow(
            "KeepRecords",
            ["s3:DeleteObject", "s3:PutObject"],
            scope.s3("clusters/*", f"{names.REGISTRY_PREFIX}*", names.HISTORY_KEY),
        ),
        _allow(
            "Data",
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            scope.s3(*(f"{prefix}*" for prefix in (*_DATA, "registry/"))),
        ),
        *_running(scope),
    ]


def _running(scope: Scope, more: Sequence[str] = (), kinds: Sequence[str] = ()) -> list[Statement]:
    """Launch and end instances, and reach into them; and do ``more`` to what is ours, also of other ``kinds``."""
    return [
        *_launching(scope, scope.iam(f"role/{names.resource_name(scope.platform, scope.team or '*', 'node')}")),
        _allow(
            "EndWhatIsOurs",
            [
                "ec2:CreateLaunchTemplateVersion",
                "ec2:DeleteLaunchTemplate",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteVolume",
                "ec2:GetConsoleOutput",
                "ec2:ModifyLaunchTemplate",
                "ec2:TerminateInstances",
                *more,
            ],
            scope.ec2("instance", "launch-template", "network-interface", "volume", *kinds),
            StringEquals=scope.tags("ResourceTag"),
        ),
        # This tag alone: with others a node could be made another team's.
        _allow(
            "TellNodes",
            ["ec2:CreateTags"],
            scope.ec2("instance"),
            **{"ForAllValues:StringEquals": {"aws:TagKeys": [names.TAG_TOLD]}},
            StringEquals=scope.tags("ResourceTag"),
        ),
        _allow(
            "ReachNodes",
            ["ec2-instance-connect:SendSSHPublicKey"],
            scope.ec2("instance"),
            StringEquals={"ec2:osuser": scope.ssh_user, **_platform(scope, "ResourceTag")},
        ),
    ]


def _platform(scope: Scope, kind: Literal["RequestTag", "ResourceTag"]) -> dict[str, str]:
    """The platform's tag alone: its own node serves every team."""
    return {f"aws:{kind}/{names.TAG_PLATFORM}": scope.platform}


def _launching(scope: Scope, role: str) -> list[Statement]:
    """Launch instances that carry the platform's tag, with its nodes' roles."""
    launch = ["ec2:CreateFleet", "ec2:CreateNetworkInterface", "ec2:RunInstances"]
    made = ["instance", "launch-template", "network-interface", "volume"]
    return [
        _allow("LaunchFrom", launch, scope.ec2("image", "snapshot", "subnet", "fleet", "spot-instances-request")),
        _allow(
            "LaunchWithOurs",
            launch,
            scope.ec2("launch-template", "network-interface", "security-group"),
            StringEquals=scope.tags("ResourceTag"),
        ),
        _allow(
            "Launch",
            ["ec2:CreateLaunchTemplate", *launch],
            scope.ec2(*made),
            StringEquals=scope.tags("RequestTag"),
        ),
        _allow(
            "TagWhatIsMade",
            ["ec2:CreateTags"],
            scope.ec2(*made),
            StringEquals={
                "ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "CreateNetworkInterface", "RunInstances"]
            },
        ),
        _allow("GiveNodesTheirRole", ["iam:PassRole"], [role], StringEquals={"iam:PassedToService": _EC2}),
        _allow(
            "FirstSpotInstanceOfAnAccount",
            ["iam:CreateServiceLinkedRole"],
            [scope.iam("role/aws-service-role/*")],
            StringEquals={"iam:AWSServiceName": ["ec2fleet.amazonaws.com", "spot.amazonaws.com"]},
        ),
    ]


def _admin(scope: Scope) -> list[Statement]:
    """Make and remove what clusters stand on."""
    every, name = "hcluster-*", f"{names.resource_name(scope.platform)}-*"
    keeping = (
        "ec2:AttachVolume",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
        "ec2:RevokeSecurityGroupIngress",
    )
    # One statement for both when their condition is the same: a policy has 6,144 characters at most.
    running = _running(scope) if scope.team else _running(scope, keeping, ("security-group",))
    ours = scope.ec2("instance", "security-group", "volume")
    kept = _allow("KeepGroupsAndVolumes", keeping, ours, StringEquals=_platform(scope, "ResourceTag"))
    return [
        *running,
        *([kept] if scope.team else []),
        _allow(
            "KeepTheBucket",
            [
                *_BUCKET_LOOKS,
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:GetBucketTagging",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:PutEncryptionConfiguration",
            ],
            scope.s3(),
        ),
        _allow(
            "KeepEverythingInIt",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetObject",
                "s3:PutObject",
            ],
            scope.s3("*"),
        ),
        _allow(
            "MakeGroupsAndVolumes",
            ["ec2:CreateSecurityGroup", "ec2:CreateVolume"],
            scope.ec2("security-group", "volume"),
            StringEquals=_platform(scope, "RequestTag"),
        ),
        _allow("MakeGroupsIn", ["ec2:CreateSecurityGroup"], scope.ec2("vpc")),
        _allow(
            "TagGroupsAndVolumes",
            ["ec2:CreateTags"],
            scope.ec2("security-group", "volume"),
            StringEquals={"ec2:CreateAction": ["CreateSecurityGroup", "CreateVolume"]},
        ),
        _allow("FindRoles", ["iam:ListInstanceProfiles", "iam:ListRoles"], ["*"]),
        _allow("LookAtProfiles", ["iam:GetInstanceProfile"], [scope.iam(f"instance-profile/{every}")]),
        _allow(
            "KeepRoles",
            [
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UpdateAssumeRolePolicy",
            ],
            [scope.iam(f"role/{name}")],
        ),
        _allow(
            "KeepProfiles",
            [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
            ],
            [scope.iam(f"instance-profile/{name}")],
        ),
    ]


def _baker(scope: Scope) -> list[Statement]:
    """Bake images: what Packer's amazon-ebs builder calls for our template, and what we call around it.

    https://developer.hashicorp.com/packer/integrations/hashicorp/amazon#iam-task-or-instance-role
    """
    ours = _platform(scope, "ResourceTag")
    made = _platform(scope, "RequestTag")
    looks = [
        "Images",
        "InstanceStatus",
        "InstanceTypes",
        "Instances",
        "Regions",
        "SecurityGroups",
        "Snapshots",
        "Subnets",
        "Tags",
        "Volumes",
        "Vpcs",
    ]
    makers = ["CreateImage", "CreateKeyPair", "CreateSecurityGroup", "RunInstances"]
    tagged = scope.ec2("image", "instance", "key-pair", "network-interface", "security-group", "snapshot", "volume")
    return [
        _allow("LookAround", _described(*looks), ["*"]),
        _allow("LaunchFrom", ["ec2:RunInstances"], scope.ec2("image", "snapshot", "subnet", "network-interface")),
        _allow("LaunchWith", ["ec2:RunInstances"], scope.ec2("security-group"), StringEquals=ours),
        _allow("Launch", ["ec2:RunInstances"], scope.ec2("instance", "volume"), StringEquals=made),
        _allow(
            "OneKeyABake",
            ["ec2:CreateKeyPair", "ec2:DeleteKeyPair", "ec2:RunInstances"],
            [scope.arn("ec2", "key-pair/packer_*")],
        ),
        _allow(
            "EndTheBuilder",
            ["ec2:CreateImage", "ec2:StopInstances", "ec2:TerminateInstances"],
            scope.ec2("instance"),
            StringEquals=ours,
        ),
        _allow("MakeImages", ["ec2:CreateImage"], scope.ec2("image", "snapshot")),
        _allow("TagImages", ["ec2:CreateTags"], scope.ec2("image", "snapshot"), StringEquals=made),
        _allow("TagWhatIsMade", ["ec2:CreateTags"], tagged, StringEquals={"ec2:CreateAction": makers}),
        _allow(
            "KeepImages",
            ["ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:ModifyImageAttribute"],
            scope.ec2("image", "snapshot"),
            StringEquals=ours,
        ),
        _allow("MakeItsGroup", ["ec2:CreateSecurityGroup"], scope.ec2("security-group"), StringEquals=made),
        _allow("MakeItIn", ["ec2:CreateSecurityGroup"], scope.ec2("vpc")),
        _allow("OpenItsGroup", ["ec2:AuthorizeSecurityGroupIngress"], scope.ec2("security-group"), StringEquals=ours),
        _allow("ReadJarsOfImages", ["s3:GetObject"], scope.s3("data/images/*")),
    ]


def _publisher(scope: Scope) -> list[Statement]:
    """Publish Puppet releases and move channels."""
    return [
        _allow(
            "LookAtTheBucket",
            ["s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging", "s3:GetEncryptionConfiguration", "s3:ListBucket"],
            scope.s3(),
        ),
        _allow("Publish", ["s3:GetObject", "s3:PutObject"], scope.s3("puppet/channels/*", "puppet/releases/*")),
    ]
