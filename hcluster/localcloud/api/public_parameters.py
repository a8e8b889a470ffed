"""SSM's public parameters that name images: those of the images that are here, and no others.

Debian publishes its images' ids (https://wiki.debian.org/Cloud/AmazonEC2Image). Parameters of images that this cloud
does not have, such as Amazon Linux's, do not exist here: their ids would lead nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.utils import utcnow
from moto.ssm.models import Parameter as _Parameter
from moto.ssm.models import ParameterDict

from hcluster.localcloud.api.images import DEBIAN
from hcluster.localcloud.api.parts import ec2_backends

Parameter: Any = _Parameter

PREFIX = "/aws/service/debian/release"
RELEASE, CODENAME = "12", "bookworm"
_IMAGES = ("/aws/service/ami-amazon-linux-latest", "/aws/service/ecs/optimized-ami")


def install() -> None:
    """Put our public parameters in the place of moto's."""
    parameters: Any = ParameterDict
    known: Callable[[Any, str], None] = getattr(parameters, "_moto_loading", parameters._check_loading_status)  # noqa: SLF001
    parameters._moto_loading = known  # noqa: SLF001

    def load(self: Any, key: str) -> None:
        key = str(key or "")
        if not key.startswith(_IMAGES):
            known(self, key)
        if key.startswith(PREFIX) or PREFIX.startswith(key.rstrip("/") + "/"):
            _debian(self)

    parameters._check_loading_status = load  # noqa: SLF001


def _debian(parameters: Any) -> None:
    backend = ec2_backends[parameters.account_id][parameters.region_name]
    images = [image for image in backend.amis.values() if image.owner_id == DEBIAN]
    if not images:
        return
    newest = max(images, key=lambda image: str(image.creation_date))
    for name in (f"{PREFIX}/{RELEASE}/latest/amd64", f"{PREFIX}/{CODENAME}/latest/amd64"):
        dict.__setitem__(
            parameters,
            name,
            [
                Parameter(
                    account_id=parameters.account_id,
                    name=name,
                    value=newest.id,
                    parameter_type="String",
                    description=None,
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=utcnow(),
                    version=1,
                    data_type="aws:ec2:image",
                )
            ],
        )
