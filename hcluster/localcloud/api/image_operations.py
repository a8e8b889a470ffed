"""EC2's operations on images where moto's own answer is missing or wrong.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Response


class ImageOperations(EC2Response):  # type: ignore[misc]
    """One request to EC2 about an image."""

    _backend: Any
    _request: Any

    def describe_image_attribute(self) -> Any:
        """DescribeImageAttribute; ImdsSupport is the one that moto does not know."""
        request = self._request()
        if request.get("Attribute") != "imdsSupport":
            return super().describe_image_attribute()
        image = self._backend.describe_images(ami_ids=[str(request.get("ImageId"))])[0]
        value = {"Value": image.imds_support} if image.imds_support else {}
        return ActionResult({"ImageId": image.id, "ImdsSupport": value})

    def deregister_image(self) -> ActionResult:
        """DeregisterImage, with its snapshots when that is asked for."""
        request = self._request()
        image_id = str(request.get("ImageId") or "")
        image = self._backend.amis.get(image_id)
        if image is None:
            raise Fault("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        snapshot = image.ebs_snapshot
        self._backend.deregister_image(image_id)
        results: list[dict[str, str]] = []
        if str(request.get("DeleteAssociatedSnapshots")).lower() == "true" and snapshot is not None:
            self._backend.delete_snapshot(snapshot.id)
            results.append({"SnapshotId": snapshot.id, "ReturnCode": "success"})
        return ActionResult({"Return": True, "DeleteSnapshotResults": results})
