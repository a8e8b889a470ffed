"""ports.Images over boto3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.aws.part import Part, Record, carries, tag_filters, tags_of
from hcluster.errors import NotFoundError
from hcluster.model.image import Image


class AwsImages(Part):
    """Machine images of one account. Implements ``hcluster.ports.Images``."""

    def images(self, tags: Mapping[str, str]) -> list[Image]:
        """The account's own available images with all ``tags``, newest first."""
        filters: list[dict[str, object]] = [*tag_filters(tags), {"Name": "state", "Values": ["available"]}]
        return _newest_first(
            [one for one in self._described("listing images", ["self"], filters) if carries(one, tags)]
        )

    def image(self, image_id: str) -> Image:
        """One image. Raises NotFoundError."""
        return _image(self._record(image_id))

    def base_image(self, name_pattern: str, owner: str) -> Image:
        """The newest image that fits, as Packer's source. Raises NotFoundError."""
        filters = [{"Name": "name", "Values": [name_pattern]}, {"Name": "state", "Values": ["available"]}]
        found = _newest_first(self._described("looking for the base image", [owner], filters))
        if not found:
            raise NotFoundError(
                f"no image {name_pattern} of owner {owner} in {self._session.region()}",
                hint="correct images.base in platform.yaml",
            )
        return found[0]

    def require_imdsv2(self, image_id: str) -> None:
        """Set the image's attribute so that its instances serve IMDSv2 only. Raises NotFoundError."""
        with self._session.call(f"requiring IMDSv2 of image {image_id}"):
            self._ec2().modify_image_attribute(ImageId=image_id, ImdsSupport={"Value": "v2.0"})

    def deregister(self, image_id: str) -> None:
        """Remove the image and its snapshots; gone already is no error."""
        try:
            record = self._record(image_id)
            with self._session.call(f"deregistering image {image_id}"):
                # EC2 deletes the snapshots in the same call, so that none is lost from sight when we end here.
                self._ec2().deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
        except NotFoundError:
            return
        for snapshot in self._left(_snapshots(record)):
            self._delete_snapshot(snapshot)

    def _described(self, what: str, owners: Sequence[str], filters: Sequence[Mapping[str, object]]) -> list[Record]:
        return list(self._pages(what, "describe_images", "Images", Owners=list(owners), Filters=list(filters)))

    def _record(self, image_id: str) -> Record:
        with self._session.call(f"looking for image {image_id}"):
            found = self._ec2().describe_images(ImageIds=[image_id])["Images"]
        # A deregistered image may still be told for a while, in that state.
        if not found or found[0].get("State") == "deregistered":
            raise NotFoundError(
                f"no image {image_id} in {self._session.region()}", hint="`hcluster ami list` shows what there is"
            )
        record: Record = found[0]
        return record

    def _left(self, snapshots: Sequence[str]) -> list[str]:
        """Those that still exist. Whoever may delete only what carries the platform's tag is refused what is gone."""
        if not snapshots:
            return []
        filters = [{"Name": "snapshot-id", "Values": list(snapshots)}]
        found = self._pages(
            "looking for snapshots", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters
        )
        return [str(one["SnapshotId"]) for one in found]

    def _delete_snapshot(self, snapshot: str) -> None:
        try:
            with self._session.call(f"deleting snapshot {snapshot}"):
                self._ec2().delete_snapshot(SnapshotId=snapshot)
        except NotFoundError:
            return


def _newest_first(records: Sequence[Record]) -> list[Image]:
    return sorted((_image(one) for one in records), key=lambda image: (image.created, image.id), reverse=True)


def _image(record: Record) -> Image:
    return Image(
        id=str(record["ImageId"]),
        name=str(record.get("Name") or ""),
        state=str(record.get("State") or ""),
        created=str(record.get("CreationDate") or ""),
        tags=tags_of(record),
    )


def _snapshots(record: Record) -> list[str]:
    disks = [one.get("Ebs") or {} for one in record.get("BlockDeviceMappings") or []]
    return [str(disk["SnapshotId"]) for disk in disks if disk.get("SnapshotId")]
