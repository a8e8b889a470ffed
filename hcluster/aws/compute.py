"""ports.Compute over boto3."""

from __future__ import annotations

from collections.abc import Mapping

from hcluster.aws.identity import Identity
from hcluster.aws.instances import Instances
from hcluster.aws.launch import Launch
from hcluster.aws.network import Network
from hcluster.aws.part import carries, tag_filters
from hcluster.aws.volumes import Volumes


class AwsCompute(Instances, Network, Identity, Launch, Volumes):
    """EC2, IAM, STS and EC2 Instance Connect of one session. Implements ``hcluster.ports.Compute``."""

    def region(self) -> str:
        """The region's name."""
        return self._session.region()

    def inventory(self, tags: Mapping[str, str]) -> dict[str, int]:
        """How many instances (alive), interfaces, templates, groups and volumes carry ``tags``."""
        filters = tag_filters(tags)
        groups = self._pages("listing security groups", "describe_security_groups", "SecurityGroups", Filters=filters)
        volumes = self._pages("listing volumes", "describe_volumes", "Volumes", Filters=filters)
        return {
            "instances": len(self.instances(tags)),
            "interfaces": len(self._interfaces(tags)),
            "templates": len(self._templates(tags)),
            "groups": sum(carries(one, tags) for one in groups),
            "volumes": sum(carries(one, tags) for one in volumes),
        }
