"""The AWS profile of a local cloud, in files of its own: the caller's ~/.aws stays untouched."""

from __future__ import annotations

from hcluster.localcloud.settings import CloudSettings
from hcluster.localcloud.system import write_atomically


def write(settings: CloudSettings, access_key: str, secret: str) -> None:
    """Write ``config`` and ``credentials`` (readable by their owner alone) into the cloud's ``aws`` folder."""
    settings.aws_folder.mkdir(parents=True, exist_ok=True)
    settings.aws_folder.chmod(0o700)
    config = f"[profile {settings.profile}]\nregion = {settings.region}\nendpoint_url = {settings.endpoint_url}\n"
    credentials = f"[{settings.profile}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n"
    write_atomically(settings.aws_folder / "config", config, mode=0o600)
    write_atomically(settings.aws_folder / "credentials", credentials, mode=0o600)
