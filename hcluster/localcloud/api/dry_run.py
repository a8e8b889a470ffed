"""DryRun: whether the caller may, and nothing else.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html: the answer is always an error,
DryRunOperation for those who may and UnauthorizedOperation for those who may not.
"""

from __future__ import annotations

from moto.core.utils import camelcase_to_underscores

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Response


class DryRun(EC2Response):  # type: ignore[misc]
    """EC2's operations, each with its dry run: half of moto's know none, and would change things."""

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """What moto calls before each operation."""
        if not self._get_action():
            raise Fault("MissingAction", "The request is missing an action or a required parameter.", 400)
        super()._authenticate_and_authorize_normal_action(resource)
        supported = callable(getattr(self, camelcase_to_underscores(self._get_action()), None))
        if supported and str(self._get_param("DryRun")).lower() == "true":
            raise Fault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
