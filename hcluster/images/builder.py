"""The machine on which an image is made: what Packer is told, and how it is run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from hcluster.errors import BakeError, NotFoundError, UsageError
from hcluster.images.transcript import Transcript
from hcluster.model import names
from hcluster.model.events import Progress, Report
from hcluster.model.image import Image
from hcluster.model.user_data import builder_user_data
from hcluster.ports import Compute

BUILDER_ROLE = "bake"
"""Role tag of the instance on which an image is baked."""
STEP = "bake"
SSH_PORT = 22
_BASTION = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\s\[\]]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Access:
    """How Packer reaches EC2."""

    region: str
    ec2_endpoint: str
    """URL, such as https://ec2.us-east-1.amazonaws.com."""
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Of Packer's process: ours, but with these credentials and no others, and without a call home."""
        kept = {name: value for name, value in ours.items() if not name.startswith(("AWS_", "PACKER_", "PKR_VAR_"))}
        host = urlsplit(self.ec2_endpoint).hostname or ""
        direct = ",".join(part for part in (ours.get("NO_PROXY") or ours.get("no_proxy"), host) if part)
        kept |= {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            "NO_PROXY": direct,
            "no_proxy": direct,
        }
        return kept | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The platform's say in its images."""

    platform: str
    base_name: str
    base_owner: str
    instance_type: str
    vpc: str = "default"
    subnets: tuple[str, ...] = ()
    ssh_user: str = "admin"
    package_proxy: str = ""
    bastion: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """One run of Packer."""

    name: str
    """Of the image that comes of it."""
    description: str
    parent: Image
    role: str
    """Of Puppet: image, or layer on an image that has Hadoop."""
    tags: Mapping[str, str]
    uploads: Path
    """Folder whose content is put on the machine."""


def variables(compute: Compute, access: Access, wanted: Wanted, build: Build) -> dict[str, object]:
    """Of the template. Raises NotFoundError when there is no network."""
    found = compute.default_network() if wanted.vpc == "default" else compute.network(wanted.vpc)
    if found is None:
        raise NotFoundError(
            f"region {access.region} has no default VPC",
            hint="name a VPC in platform.yaml: `network: {vpc: vpc-…}`",
            reference="no-network",
        )
    vpc, cidrs, subnets = found
    platform_tag = {names.TAG_PLATFORM: wanted.platform}
    group = compute.ensure_security_group(
        names.resource_name(wanted.platform, BUILDER_ROLE), vpc=vpc, allow_from={}, allow_cidrs=cidrs, tags=platform_tag
    )
    user, host, port = bastion(wanted.bastion)
    return {
        "region": access.region,
        "ec2_endpoint": access.ec2_endpoint,
        "parent": build.parent.id,
        "puppet_role": build.role,
        "instance_type": wanted.instance_type,
        "subnet": (wanted.subnets or subnets)[0],
        "security_group": group,
        "ssh_user": wanted.ssh_user,
        "bastion_host": host,
        "bastion_port": port,
        "bastion_user": user or wanted.ssh_user,
        "package_proxy": wanted.package_proxy,
        "image_name": build.name,
        "image_description": build.description,
        "image_tags": {**build.tags, "Name": build.name},
        "run_tags": {**platform_tag, names.TAG_ROLE: BUILDER_ROLE, "Name": f"bake {build.name}"},
        "user_data": builder_user_data(build.name),
        "uploads": f"{build.uploads}/",
    }


def bastion(text: str) -> tuple[str, str, int]:
    """User ("" when not named), host and port of ``[user@]host[:port]``, an IPv6 address in brackets; pure.

    Raises:
        UsageError: the port is none, or there is no host.
    """
    if not text.strip():
        return "", "", SSH_PORT
    found = _BASTION.fullmatch(text.strip())
    port = int(found["port"] or SSH_PORT) if found else 0
    if not found or not 0 < port < 2**16:
        raise UsageError(
            f"network.bastion is {text!r}, which is not [user@]host[:port]",
            hint="write it like admin@bastion.example.com:22 in platform.yaml",
        )
    return found["user"] or "", found["host"].strip("[]"), port


def log_of(cache: Path, name: str) -> Path:
    """Where Packer's output of one image goes."""
    return cache / "logs" / f"{name}.log"


def run(
    access: Access,
    template: Path,
    values: Mapping[str, object],
    scratch: Path,
    cache: Path,
    environment: Mapping[str, str],
    report: Report,
    deadline: float,
    guard: IO[str],
) -> str:
    """Run Packer; the image's id, "" when it did not say.

    Raises:
        BakeError: a step failed; the context has the end of what was said.
        DeadlineError: it took too long, and was interrupted.
    """
    from hcluster.images.packer import LivePacker, Run

    name = str(values["image_name"])
    transcript, log = Transcript(), log_of(cache, name)

    def on_line(line: str) -> None:
        if transcript.feed(line):
            report(Progress(STEP, f"{name}: {transcript.step}"))

    var_file = scratch / "variables.pkrvars.json"
    var_file.write_text(json.dumps(values))
    own = {key: str(scratch) for key in ("TMPDIR", "PACKER_CACHE_DIR", "PACKER_CONFIG_DIR")}
    # Packer holds the lock too: should we be killed, it still comes to its end, and a second bake waits for that.
    settings = Run(access.environment(environment) | own, log, deadline, on_line, (guard.fileno(),))
    report(Progress(STEP, f"{name}: {transcript.step}"))
    code, _, _ = LivePacker("packer", settings).build(str(template), var_file=var_file)
    if code:
        report(Progress(STEP, f"{name}: {transcript.step}", state="failed"))
        raise BakeError(
            f"baking {name} failed in the step: {transcript.step}",
            context=transcript.context(),
            hint=f"the whole output is in {log}; correct the cause and run `hcluster ami bake` again",
        )
    return transcript.image


def sweep(compute: Compute, platform: str, before: float) -> None:
    """Terminate building instances of bakes that were killed with their Packer: older than any bake may take."""
    found = compute.instances({names.TAG_PLATFORM: platform, names.TAG_ROLE: BUILDER_ROLE})
    stale = [instance.id for instance in found if instance.launched.timestamp() < before]
    if stale:
        compute.terminate(stale)
