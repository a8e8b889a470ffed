"""What the flows need of the outside, as Protocols; adapters implement them, tests have stateful fakes.

Unless a method says otherwise: it raises CredentialsError, DeniedError, ThrottledError (after the adapter's own
retries), UnreachableError or CloudError, and can be repeated safely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from hcluster.model.account import BucketFacts, SubnetFacts, VcpuQuota
from hcluster.model.image import Image
from hcluster.model.launch import FleetRequest, FleetResult, TemplateRequest
from hcluster.model.node import CheckIn, Instance
from hcluster.model.price import ListPrice, SpotPrice
from hcluster.model.volume import Volume


class Clock(Protocol):
    """Time, so that tests and the simulator can own it."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Compute(Protocol):
    """EC2 and IAM as the flows use them."""

    def region(self) -> str:
        """The region's name."""

    def caller(self) -> tuple[str, str]:
        """(account id, ARN) of the caller, from STS."""

    def instances(self, tags: Mapping[str, str], *, alive_only: bool = True) -> list[Instance]:
        """Instances that carry all ``tags`` (all pages). ``alive_only``: pending and running ones only."""

    def default_network(self) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
        """(VPC id, its CIDR blocks, ids of its default subnets, one a zone) of the region's default VPC, None when
        there is none."""

    def network(self, vpc: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The same of a VPC by id. Raises NotFoundError."""

    def subnet_cidrs(self, subnets: Sequence[str]) -> dict[str, str]:
        """CIDR block of each subnet."""

    def subnet_zones(self, subnets: Sequence[str]) -> dict[str, str]:
        """Availability zone of each subnet, in the order asked for. Raises NotFoundError when one is missing."""

    def ensure_security_group(
        self, name: str, *, vpc: str, allow_from: Mapping[str, int], allow_cidrs: Sequence[str], tags: Mapping[str, str]
    ) -> str:
        """Create or adopt the group by name; its members may speak to each other, be reached by members of
        ``allow_from`` (group ids) on the TCP port that it names, and from ``allow_cidrs`` on port 22. Returns its id.
        Raises ConflictError when the group of that name does not carry the platform's tag."""

    def delete_security_groups(self, tags: Mapping[str, str]) -> int:
        """Delete groups that carry ``tags``; how many. Groups still in use raise ConflictError."""

    def ensure_instance_profile(self, name: str, policy: Mapping[str, object], *, tags: Mapping[str, str]) -> str:
        """Create or adopt role and instance profile of that name, with exactly ``policy`` inline. Returns the name.
        Raises ConflictError when either does not carry the platform's tag, or another region's."""

    def delete_instance_profiles(self, tags: Mapping[str, str]) -> int:
        """Delete roles and profiles whose name starts with ``hcluster-`` and which carry ``tags``; how many."""

    def ensure_interface(
        self,
        *,
        subnet: str,
        groups: Sequence[str],
        description: str,
        client_token: str,
        tags: Mapping[str, str],
        more_tags: Mapping[str, str] | None = None,
    ) -> tuple[str, str, str]:
        """(id, private address, private DNS name) of the interface that carries all ``tags``, made with ``tags`` and
        ``more_tags`` when there is none. Raises CapacityError when the subnet has no free address, ConflictError when
        the token was used for another one."""

    def delete_interfaces(self, tags: Mapping[str, str]) -> int:
        """Delete available interfaces with ``tags``, waiting up to 60 s for those still detaching; how many."""

    def ensure_template(self, request: TemplateRequest) -> str:
        """Create the launch template, or add a default version to it when it differs. Returns its id. Raises
        ConflictError when the template of that name does not carry the platform's tag."""

    def delete_templates(self, tags: Mapping[str, str]) -> int:
        """Delete launch templates with ``tags``; how many."""

    def create_fleet(self, request: FleetRequest) -> FleetResult:
        """Launch. The same ``client_token`` again gives the same instances. A shortage is not raised but told in the
        result's errors; raises NotFoundError for a missing image or template, and CloudError or one of its kin for
        whatever else kept nodes from being launched (those that were launched stay)."""

    def memory_mib(self, types: Sequence[str]) -> dict[str, int]:
        """Memory of each instance type, in MiB, in one call. Raises NotFoundError for an unknown type."""

    def terminate(self, instances: Sequence[str]) -> None:
        """Terminate; ids that are gone already are no error."""

    def tag(self, instances: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set tags of instances, 1,000 of them a call; other tags stay. Ids that are gone already are no error."""

    def console(self, instance: str) -> str:
        """The latest console output, "" when there is none yet."""

    def find_volumes(self, tags: Mapping[str, str]) -> list[Volume]:
        """Volumes that carry all ``tags`` (all pages), by id; those that are being deleted are left out. One that was
        made a moment ago may not be among them yet."""

    def create_volume(self, *, size_gib: int, zone: str, client_token: str, tags: Mapping[str, str]) -> Volume:
        """Create an encrypted gp3 volume, with its tags in the same call. The same ``client_token`` again gives the
        same volume, ConflictError when it was used with other arguments. Raises CapacityError when a quota is used
        up."""

    def attach_volume(self, volume: str, instance: str) -> None:
        """Attach an available volume to a running instance as ``/dev/sdf``; it stays when the instance ends. Attached
        there already is no error. Raises ConflictError when another instance has it, NotFoundError when either does not
        exist, and CloudError when the instance does not run yet or is in another zone."""

    def delete_volumes(self, tags: Mapping[str, str]) -> int:
        """Delete available volumes with ``tags``; how many."""

    def inventory(self, tags: Mapping[str, str]) -> dict[str, int]:
        """How many instances (alive), interfaces, templates, groups and volumes carry ``tags``."""

    def push_ssh_key(self, instance: str, user: str, public_key: str) -> None:
        """EC2 Instance Connect: ``public_key`` opens ``user`` for 60 s."""


class Account(Protocol):
    """What the caller's account is and grants; read only."""

    def refused(self, actions: Sequence[str], resources: Sequence[str], context: Mapping[str, str]) -> tuple[str, ...]:
        """Those of ``actions`` ("ec2:CreateFleet") that IAM would refuse the caller on any of ``resources`` (ARNs; none
        means ``*``) under ``context`` (condition keys), from its simulation: nothing is done. () when the caller is the
        account's root. Raises DeniedError when the caller may not simulate its own policies."""

    def clock_offset(self) -> float:
        """Seconds by which this machine's clock is ahead of AWS's, to a second or so."""

    def bucket(self, name: str) -> BucketFacts:
        """How a bucket is kept. Raises NotFoundError."""

    def subnets(self, subnets: Sequence[str]) -> list[SubnetFacts]:
        """What subnets offer. Raises NotFoundError."""

    def vcpu_quotas(self) -> list[VcpuQuota]:
        """Quota and use of virtual CPUs of the standard families, by market."""

    def vcpus(self, types: Sequence[str]) -> dict[str, int]:
        """Virtual CPUs of each instance type. Raises NotFoundError for an unknown type."""


class Prices(Protocol):
    """What instances cost; read only."""

    def on_demand(self, types: Sequence[str]) -> dict[str, ListPrice]:
        """The listed price of each type in the region, as a plain Linux instance; types that the list does not hold,
        or holds more than once, are left out. No call for no types."""

    def spot(self, types: Sequence[str], zones: Sequence[str]) -> dict[tuple[str, str], SpotPrice]:
        """The present price of each pool (type, zone); pools that do not exist are left out. No call for none."""


class Images(Protocol):
    """Machine images."""

    def images(self, tags: Mapping[str, str]) -> list[Image]:
        """The account's own available images with all ``tags``, newest first."""

    def image(self, image_id: str) -> Image:
        """One image. Raises NotFoundError."""

    def base_image(self, name_pattern: str, owner: str) -> Image:
        """The newest image that fits, as Packer's source. Raises NotFoundError."""

    def require_imdsv2(self, image_id: str) -> None:
        """Set the image's attribute so that its instances serve IMDSv2 only."""

    def deregister(self, image_id: str) -> None:
        """Remove the image and its snapshots; gone already is no error."""


Sent = Callable[[int], object]
"""Told of bytes that were sent."""


def unheard(_count: int) -> None:
    """Nobody wants to know."""


class ObjectStore(Protocol):
    """One S3 bucket."""

    bucket: str

    def endpoint(self) -> str:
        """URL of S3 as this adapter reaches it."""

    def exists(self) -> bool:
        """Whether the bucket exists and may be read."""

    def ensure_bucket(self, tags: Mapping[str, str]) -> None:
        """Create the bucket (all public access blocked, encrypted) or adopt it. Raises ConflictError when it is
        somebody else's."""

    def delete_bucket(self) -> None:
        """Delete every object and the bucket; gone already is no error."""

    def get(self, key: str) -> tuple[bytes, str]:
        """(body, etag). Raises NotFoundError."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The body of an object of any size, piece by piece, as it was when the first was asked for; NotFoundError and
        all other errors are raised then or later, and nothing is repeated."""

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str:
        """Write; returns the etag. With a condition that does not hold: ConflictError, nothing written."""

    def put_file(self, key: str, path: str, sent: Sent = unheard) -> None:
        """Upload a file of any size. ``sent`` is told how many bytes of it have gone, piece by piece, by several
        threads; what goes again is taken back before, as a negative number."""

    def delete(self, key: str) -> None:
        """Gone already is no error."""

    def delete_prefix(self, prefix: str) -> int:
        """Delete all below a prefix, 1,000 a call; how many."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below a prefix, without what is in them."""

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        """(key, last modified in epoch seconds) of all below a prefix, in pages of 1,000."""


class CheckIns(Protocol):
    """The nodes' reports of one cluster."""

    def listed(self, cluster: str) -> dict[str, dict[str, CheckIn]]:
        """By instance and phase, without bodies: one listing page per 1,000 objects."""

    def read(self, cluster: str, instance: str, phase: str) -> CheckIn:
        """With its body. Raises NotFoundError."""


Moved = Callable[[int, int], object]
"""Told of each piece that was copied: how many bytes it has, and how many there are in all."""
Copied = tuple[int, int, tuple[str, ...]]
"""How many files and bytes were copied, and what was left out because it is neither file nor folder."""


class Remote(Protocol):
    """One SSH session to a node. Host keys are those of its check-in."""

    def run(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bytes = b"",
        timeout: float = 600,
        on_output: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> tuple[int, bytes, bytes]:
        """(exit code, stdout, stderr). A sequence is quoted; a string goes to the node's shell as it is. ``on_output``
        gets each piece of both streams as it comes, or of stdout alone when ``on_stderr`` gets those of stderr. Raises
        DeadlineError after ``timeout`` seconds without an end."""

    def put(
        self, sources: Sequence[str], target: str, *, recursive: bool = False, timeout: float = 3600, moved: Moved = ...
    ) -> Copied:
        """Copy local files (with ``recursive``: folders, too) to ``target``, below it when it is a folder there. Each
        name appears only once its bytes are complete and checked. Raises NotFoundError for a local file that is not
        there, CopyError when the node cannot store one, DeadlineError after ``timeout`` seconds, or when nothing moved
        for a minute. Can be repeated."""

    def get(
        self, sources: Sequence[str], target: str, *, recursive: bool = False, timeout: float = 3600, moved: Moved = ...
    ) -> Copied:
        """The same from there to here. Raises CopyError also when there is no such file on the node."""

    def open_channel(self, host: str, port: int) -> object:
        """A socket-like channel to a TCP port seen from the node (direct-tcpip)."""

    def shell(self) -> int:
        """An interactive terminal; its exit code."""

    def alive(self) -> bool:
        """Whether the session still stands, as far as is known here; no call is made."""

    def close(self) -> None:
        """End it; safe to repeat."""


class Connector(Protocol):
    """Opens Remote sessions."""

    def connect(self, instance: Instance, cluster: str) -> Remote:
        """Push a 60-second key, open the session, check the host key. Raises UnreachableError (also for an address
        outside the platform's network) and HostKeyError."""


class Catalog(Protocol):
    """The shared Hive metastore, spoken to through a node that reaches it."""

    def ensure_registry(self, remote: Remote, uri: str, bucket: str) -> None:
        """Make the database ``hcluster`` and its table ``clusters`` when they do not exist. ``uri``: thrift://HOST:PORT.
        Raises UnreachableError."""

    def dump(self, remote: Remote) -> None:
        """Let the node of ``remote``, whose metastore is its own, write a dump of it into the bucket now. Raises
        RemoteCommandError."""
