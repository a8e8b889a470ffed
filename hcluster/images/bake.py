"""Bake the Hadoop image with Packer: once for the same inputs, on AWS and the local cloud alike."""

from __future__ import annotations

import fcntl
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from hcluster.errors import BakeError, DeadlineError, NotFoundError, UsageError
from hcluster.images import distribution, inputs, node_tree
from hcluster.images.transcript import Transcript
from hcluster.model import names
from hcluster.model.events import Progress, Report, silent
from hcluster.model.image import Image
from hcluster.model.principal import Principal
from hcluster.ports import Clock, Compute, Images

FORMAT = 1
"""Raise it when what this module does to an image changes otherwise than through its inputs."""
DEADLINE_SECONDS = 1800.0
BUILDER_ROLE = "bake"
"""Role tag of the instance on which an image is baked."""
STEP = "bake"
SSH_PORT = 22
_BASTION = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\s\[\]]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Sources:
    """The checkout that an image is made of."""

    root: Path

    def check(self) -> None:
        """Raises NotFoundError when this is no checkout."""
        if not (self.root / "ami" / "hadoop.pkr.hcl").is_file():
            raise NotFoundError(
                f"{self.root} holds no ami/hadoop.pkr.hcl",
                hint="run it in a checkout of hcluster, or name one: --source DIR",
            )

    @property
    def ami(self) -> Path:
        """Template, scripts and distribution."""
        return self.root / "ami"

    @property
    def package(self) -> Path:
        """Hcluster's own code."""
        return self.root / "hcluster"

    @property
    def lock(self) -> Path:
        """The pinned Python packages."""
        return self.root / "uv.lock"


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
    """The platform's say in its image."""

    platform: str
    family: str
    """Name that clusters ask for, such as hadoop."""
    base_name: str
    base_owner: str
    instance_type: str
    vpc: str = "default"
    subnets: tuple[str, ...] = ()
    ssh_user: str = "admin"
    package_proxy: str = ""
    bastion: str = ""


@dataclass(frozen=True, slots=True)
class Baked:
    """What came of it."""

    image: Image
    inputs: str
    """Hash of every input."""
    baked: bool
    """False: an image of the same inputs was there."""
    seconds: float


def inputs_of(sources: Sources, wanted: Wanted, base: Image, release_digest: str) -> str:
    """Hash (hex) of everything that an image depends on: a difference in any input is another image."""
    values = {
        "format": FORMAT,
        "platform": wanted.platform,
        "family": wanted.family,
        "ssh_user": wanted.ssh_user,
        "base": base.id,
        "release": release_digest,
        "distribution": distribution.key_of(sources.ami / "hadoop"),
        "node": node_tree.key_of(sources.package, sources.lock),
    }
    files = [sources.ami / "hadoop.pkr.hcl", *inputs.files_below(sources.ami / "scripts")]
    return inputs.hash_of(values, {"ami": files}, sources.root)


def bake(
    images: Images,
    compute: Compute,
    access: Access,
    wanted: Wanted,
    sources: Sources,
    release: tuple[str, bytes],
    *,
    cache: Path,
    principal: Principal,
    clock: Clock,
    environment: Mapping[str, str],
    report: Report = silent,
    force: bool = False,
    deadline: float = DEADLINE_SECONDS,
) -> Baked:
    """Make sure that there is an image of these inputs.

    Args:
        images: where images are.
        compute: for the network that the building instance is put into.
        access: how Packer reaches EC2.
        wanted: the platform's say.
        sources: the checkout.
        release: (SHA-256, bytes) of the packed Puppet code that installs.
        cache: folder for what can be built again, and for logs.
        principal: who bakes; recorded in the image.
        clock: time.
        environment: of this process; Packer's is made from it.
        report: where progress goes.
        force: bake even when an image of the same inputs exists; the newest one wins.
        deadline: seconds that Packer may take.

    Raises:
        BakeError: Packer, Puppet or the validation failed; the context has the end of what they said.
        NotFoundError: no base image, no network.
        DeadlineError: it took too long; Packer removed its instance.
        IntegrityError: Maven delivered other jars than locked.
    """
    began = clock.now()
    sources.check()
    report(Progress(STEP, "computing the image's inputs"))
    base = images.base_image(wanted.base_name, wanted.base_owner)
    key = inputs_of(sources, wanted, base, release[0])
    tags = {names.TAG_PLATFORM: wanted.platform, names.TAG_IMAGE_NAME: wanted.family, names.TAG_IMAGE_HASH: key}
    if not force and (existing := _existing(images, tags)):
        return _done(images, existing, key, report, baked=False, seconds=clock.now() - began)
    dist = distribution.build(sources.ami / "hadoop", cache, report=report).archive
    tree = node_tree.build(sources.package, sources.lock, cache, report=report)
    name = f"hcluster-{wanted.family}-{key[:12]}"
    with _alone(cache / f"bake-{name}.lock", clock, deadline, report) as guard:
        if not force and (existing := _existing(images, tags)):
            return _done(images, existing, key, report, baked=False, seconds=clock.now() - began)
        if force and images.images(tags):
            # The old one stays: nodes may still be launched from it.
            name = f"{name}-{datetime.fromtimestamp(clock.now(), UTC):%Y%m%d%H%M%S}"
        _sweep(compute, wanted.platform, clock.now() - 2 * deadline)
        with tempfile.TemporaryDirectory(prefix="hcluster-bake-") as scratch:
            variables = _variables(compute, access, wanted, base, name, tags)
            files = {"distribution": str(dist), "node_tree": str(tree)}
            about = _about(name, key, base, release[0], principal, clock.now())
            files |= _write(Path(scratch), {"release": release[1], "version_file": about})
            var_file = Path(scratch) / "variables.pkrvars.json"
            var_file.write_text(json.dumps(variables | files))
            image = _packer(access, sources, var_file, name, cache, environment, report, deadline, guard)
    found = images.image(image) if image else _existing(images, tags)
    if found is None:
        raise BakeError(f"Packer ended well but made no image {name}", hint=f"see {_log(cache, name)}")
    return _done(images, found, key, report, baked=True, seconds=clock.now() - began)


def _existing(images: Images, tags: Mapping[str, str]) -> Image | None:
    return next((image for image in images.images(tags) if image.state == "available"), None)


def _done(images: Images, image: Image, key: str, report: Report, *, baked: bool, seconds: float) -> Baked:
    """The attribute is set in either case: whoever baked before may have been killed just before this."""
    images.require_imdsv2(image.id)
    said = f"baked in {seconds:.0f} s" if baked else "exists, its inputs are unchanged"
    report(Progress(STEP, f"image {image.id} ({image.name}) {said}", state="ok"))
    return Baked(image, key, baked, seconds)


def _variables(
    compute: Compute, access: Access, wanted: Wanted, base: Image, name: str, tags: Mapping[str, str]
) -> dict[str, object]:
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
        "base_image": base.id,
        "instance_type": wanted.instance_type,
        "subnet": (wanted.subnets or subnets)[0],
        "security_group": group,
        "ssh_user": wanted.ssh_user,
        "bastion_host": host,
        "bastion_port": port,
        "bastion_user": user or wanted.ssh_user,
        "package_proxy": wanted.package_proxy,
        "image_name": name,
        "image_tags": {**tags, "Name": name},
        "run_tags": {**platform_tag, names.TAG_ROLE: BUILDER_ROLE, "Name": f"bake {name}"},
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


def _about(name: str, key: str, base: Image, release: str, principal: Principal, now: float) -> bytes:
    """Content of /etc/hcluster/image.json."""
    about = {
        "name": name,
        "inputs": key,
        "base": {"id": base.id, "name": base.name},
        "release": release,
        "baked": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "by": {"user": principal.user, "team": principal.team},
    }
    return (json.dumps(about, indent=1, sort_keys=True) + "\n").encode()


def _write(folder: Path, bodies: Mapping[str, bytes]) -> dict[str, str]:
    """Put each body into a file; the paths."""
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return {name: str(folder / name) for name in bodies}


def _log(cache: Path, name: str) -> Path:
    return cache / "logs" / f"{name}.log"


def _packer(
    access: Access,
    sources: Sources,
    var_file: Path,
    name: str,
    cache: Path,
    environment: Mapping[str, str],
    report: Report,
    deadline: float,
    guard: IO[str],
) -> str:
    """Run Packer; the image's id, "" when it did not say."""
    from hcluster.images.packer import LivePacker, Run

    transcript, log = Transcript(), _log(cache, name)

    def on_line(line: str) -> None:
        if transcript.feed(line):
            report(Progress(STEP, f"{name}: {transcript.step}"))

    own = {
        "TMPDIR": str(var_file.parent),
        "PACKER_CACHE_DIR": str(var_file.parent),
        "PACKER_CONFIG_DIR": str(var_file.parent),
    }
    # Packer holds the lock too: should we be killed, it still comes to its end, and a second bake waits for that.
    run = Run(access.environment(environment) | own, log, deadline, on_line, (guard.fileno(),))
    report(Progress(STEP, f"{name}: {transcript.step}"))
    code, _, _ = LivePacker("packer", run).build(str(sources.ami / "hadoop.pkr.hcl"), var_file=var_file)
    if code:
        report(Progress(STEP, f"{name}: {transcript.step}", state="failed"))
        raise BakeError(
            f"baking {name} failed in the step: {transcript.step}",
            context=transcript.context(),
            hint=f"the whole output is in {log}; correct the cause and run `hcluster ami bake` again",
        )
    return transcript.image


def _sweep(compute: Compute, platform: str, before: float) -> None:
    """Terminate building instances of bakes that were killed with their Packer: older than any bake may take."""
    found = compute.instances({names.TAG_PLATFORM: platform, names.TAG_ROLE: BUILDER_ROLE})
    stale = [instance.id for instance in found if instance.launched.timestamp() < before]
    if stale:
        compute.terminate(stale)


@contextmanager
def _alone(path: Path, clock: Clock, deadline: float, report: Report) -> Iterator[IO[str]]:
    """Hold the lock of one image's name on this machine.

    Raises:
        DeadlineError: another bake held it all the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as guard:
        until = clock.now() + deadline
        while True:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(Progress(STEP, "waiting for another bake of the same image"))
            if clock.now() > until:
                raise DeadlineError(
                    "another bake of the same image did not end", hint=f"look for its packer; lock: {path}"
                )
            clock.sleep(1)
        yield guard
