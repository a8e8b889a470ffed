"""Which resources each action of EC2 is about, as tables.

What is in none of them is judged on ``*``: Describe and its kin have no resources, and of the rest only these are
served. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

KINDS = {
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "ami": "image",
    "snap": "snapshot",
    "lt": "launch-template",
    "subnet": "subnet",
    "vpc": "vpc",
    "fleet": "fleet",
    "key": "key-pair",
    "sir": "spot-instances-request",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "pg": "placement-group",
    "acl": "network-acl",
    "r": "reservation",
    "eipalloc": "elastic-ip",
    "dopt": "dhcp-options",
    "vpce": "vpc-endpoint",
}
"""Kinds of resources by the prefix of their ids."""
WITHOUT_ACCOUNT = ("image", "snapshot")
"""Their ARNs name no account."""

NAMED = {
    "InstanceId": "instance",
    "InstanceIds": "instance",
    "VolumeId": "volume",
    "NetworkInterfaceId": "network-interface",
    "GroupId": "security-group",
    "Groups": "security-group",
    "ImageId": "image",
    "SnapshotId": "snapshot",
    "LaunchTemplateId": "launch-template",
    "SubnetId": "subnet",
    "VpcId": "vpc",
    "FleetId": "fleet",
    "FleetIds": "fleet",
    "SpotInstanceRequestIds": "spot-instances-request",
    "SourceSnapshotIds": "snapshot",
}
"""Parameters that name resources by id. Names of templates, groups and keys are looked up."""

EXISTING: dict[str, tuple[str, ...]] = {
    "TerminateInstances": ("InstanceIds",),
    "StopInstances": ("InstanceIds",),
    "StartInstances": ("InstanceIds",),
    "RebootInstances": ("InstanceIds",),
    "MonitorInstances": ("InstanceIds",),
    "UnmonitorInstances": ("InstanceIds",),
    "ModifyInstanceAttribute": ("InstanceId",),
    "ModifyInstanceMetadataOptions": ("InstanceId",),
    "ModifyInstancePlacement": ("InstanceId",),
    "ResetInstanceAttribute": ("InstanceId",),
    "GetConsoleOutput": ("InstanceId",),
    "GetConsoleScreenshot": ("InstanceId",),
    "GetPasswordData": ("InstanceId",),
    "GetLaunchTemplateData": ("InstanceId",),
    "SendDiagnosticInterrupt": ("InstanceId",),
    "AssociateIamInstanceProfile": ("InstanceId",),
    "AttachVolume": ("InstanceId", "VolumeId"),
    "DetachVolume": ("InstanceId", "VolumeId"),
    "DeleteVolume": ("VolumeId",),
    "ModifyVolume": ("VolumeId",),
    "CreateSnapshot": ("VolumeId",),
    "DeleteSnapshot": ("SnapshotId",),
    "CreateImage": ("InstanceId",),
    "DeregisterImage": ("ImageId",),
    "ModifyImageAttribute": ("ImageId",),
    "ResetImageAttribute": ("ImageId",),
    "CreateNetworkInterface": ("SubnetId", "Groups"),
    "DeleteNetworkInterface": ("NetworkInterfaceId",),
    "AttachNetworkInterface": ("InstanceId", "NetworkInterfaceId"),
    "ModifyNetworkInterfaceAttribute": ("NetworkInterfaceId", "Groups"),
    "AssignPrivateIpAddresses": ("NetworkInterfaceId",),
    "UnassignPrivateIpAddresses": ("NetworkInterfaceId",),
    "CreateSecurityGroup": ("VpcId",),
    "DeleteSecurityGroup": ("GroupId",),
    "AuthorizeSecurityGroupIngress": ("GroupId",),
    "AuthorizeSecurityGroupEgress": ("GroupId",),
    "RevokeSecurityGroupIngress": ("GroupId",),
    "RevokeSecurityGroupEgress": ("GroupId",),
    "ModifySecurityGroupRules": ("GroupId",),
    "UpdateSecurityGroupRuleDescriptionsIngress": ("GroupId",),
    "UpdateSecurityGroupRuleDescriptionsEgress": ("GroupId",),
    "CreateLaunchTemplateVersion": ("LaunchTemplateId",),
    "ModifyLaunchTemplate": ("LaunchTemplateId",),
    "DeleteLaunchTemplate": ("LaunchTemplateId",),
    "DeleteLaunchTemplateVersions": ("LaunchTemplateId",),
    "CreateSubnet": ("VpcId",),
    "DeleteSubnet": ("SubnetId",),
    "ModifySubnetAttribute": ("SubnetId",),
    "DeleteVpc": ("VpcId",),
    "ModifyVpcAttribute": ("VpcId",),
    "DeleteFleets": ("FleetIds",),
    "ModifyFleet": ("FleetId",),
    "CancelSpotInstanceRequests": ("SpotInstanceRequestIds",),
    "EnableFastSnapshotRestores": ("SourceSnapshotIds",),
}
"""Actions on what exists, by the parameters that name it."""

CREATES: dict[str, tuple[str, ...]] = {
    "CreateVolume": ("volume",),
    "CreateSnapshot": ("snapshot",),
    "CreateImage": ("image", "snapshot"),
    "CopyImage": ("image",),
    "RegisterImage": ("image",),
    "CreateNetworkInterface": ("network-interface",),
    "CreateSecurityGroup": ("security-group",),
    "CreateLaunchTemplate": ("launch-template",),
    "CreateSubnet": ("subnet",),
    "CreateVpc": ("vpc",),
}
"""Actions that make something: its kinds."""
