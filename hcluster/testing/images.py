"""Machine images in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hcluster.errors import NotFoundError
from hcluster.model.image import Image
from hcluster.ports import Clock
from hcluster.testing.probes import Probe, Probed, no_probe, probed

OWN = "self"


@dataclass(slots=True)
class _Registered:
    image: Image
    owner: str
    imdsv2: bool = False


class InMemoryImages(Probed):
    """Implements ``hcluster.ports.Images``. ``register`` is what baking would do."""

    port = "images"

    def __init__(self, clock: Clock, *, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self._clock = clock
        self._numbers = itertools.count(1)
        self._registered: dict[str, _Registered] = {}

    def register(self, name: str, tags: Mapping[str, str] | None = None, *, owner: str = OWN) -> Image:
        """Put an image there."""
        number = next(self._numbers)
        # Two images of the same virtual second still have an order.
        created = datetime.fromtimestamp(self._clock.now(), UTC).replace(microsecond=number * 1000)
        image = Image(
            id=f"ami-{number:017x}",
            name=name,
            state="available",
            created=created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            tags=dict(tags or {}),
        )
        self._registered[image.id] = _Registered(image, owner)
        return image

    def serves_imdsv2_only(self, image_id: str) -> bool:
        """Whether ``require_imdsv2`` was called for the image."""
        return self._found(image_id).imdsv2

    @probed
    def images(self, tags: Mapping[str, str]) -> list[Image]:
        """The account's own available images with all ``tags``, newest first."""
        return self._newest_first(
            [
                one.image
                for one in self._registered.values()
                if one.owner == OWN and tags.items() <= one.image.tags.items()
            ]
        )

    @probed
    def image(self, image_id: str) -> Image:
        """One image. Raises NotFoundError."""
        return self._found(image_id).image

    @probed
    def base_image(self, name_pattern: str, owner: str) -> Image:
        """The newest image that fits, as Packer's source. Raises NotFoundError."""
        found = self._newest_first(
            [
                one.image
                for one in self._registered.values()
                if one.owner == owner and fnmatchcase(one.image.name, name_pattern)
            ]
        )
        if not found:
            raise NotFoundError(f"no image {name_pattern} of owner {owner}")
        return found[0]

    @probed
    def require_imdsv2(self, image_id: str) -> None:
        """Set the image's attribute so that its instances serve IMDSv2 only."""
        self._found(image_id).imdsv2 = True

    @probed
    def deregister(self, image_id: str) -> None:
        """Remove the image; gone already is no error."""
        self._registered.pop(image_id, None)

    def _found(self, image_id: str) -> _Registered:
        found = self._registered.get(image_id)
        if found is None:
            raise NotFoundError(f"no image {image_id}")
        return found

    @staticmethod
    def _newest_first(images: list[Image]) -> list[Image]:
        return sorted(images, key=lambda image: (image.created, image.id), reverse=True)
