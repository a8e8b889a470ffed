"""The fake cloud's instances and launches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from hcluster.errors import CapacityError, ConflictError, NotFoundError, UsageError
from hcluster.model import names
from hcluster.model.launch import FleetRequest, FleetResult, TemplateRequest
from hcluster.model.node import Instance, Market
from hcluster.model.told import CONVERGED, DRAINED, UNCONVERGED, Told
from hcluster.testing.clock import ManualClock
from hcluster.testing.images import InMemoryImages
from hcluster.testing.network import Interface, demand_own, demand_tags
from hcluster.testing.objects import InMemoryObjectStore
from hcluster.testing.probes import Probe, no_probe, probed
from hcluster.testing.script import NodeScript, Scripts, every_node_gets_ready
from hcluster.testing.volumes import InMemoryVolumes

USER_ENDED = "Client.UserInitiatedShutdown: User initiated shutdown"
ENDING = ("shutting-down", "terminated")


@dataclass(slots=True)
class Template:
    """A launch template; the newest version is the last one and the default."""

    id: str
    name: str
    tags: Mapping[str, str]
    versions: list[TemplateRequest] = field(default_factory=list)


class InMemoryCompute(InMemoryVolumes):
    """Implements ``hcluster.ports.Compute``.

    Args:
        clock: what flows sleep with, so that nodes can act meanwhile.
        images: where images must exist.
        store: where nodes check in; None: they stay silent.
        scripts: what each new node does.
        subnets: CIDR block by subnet id; small ones run out of addresses.
        probe: see ``hcluster.testing.probes``.
    """

    def __init__(
        self,
        clock: ManualClock,
        images: InMemoryImages,
        store: InMemoryObjectStore | None = None,
        *,
        scripts: Scripts = every_node_gets_ready,
        subnets: Mapping[str, str] | None = None,
        probe: Probe = no_probe,
    ) -> None:
        super().__init__(clock, subnets=subnets, probe=probe)
        self.templates: dict[str, Template] = {}
        self.consoles: dict[str, str] = {}
        """Console output by instance."""
        self.pushed_keys: list[tuple[str, str, str]] = []
        """(instance, user, public key) of every ``push_ssh_key``."""
        self._events = clock
        self._images = images
        self._store = store
        self._scripts = scripts
        self._script: dict[str, NodeScript] = {}
        self._nodes: dict[str, Instance] = {}
        self._fleets: dict[str, tuple[FleetRequest, FleetResult]] = {}
        self._left: dict[tuple[str, Market], int] = {}
        self._ready: set[str] = set()
        self._excluded: dict[str, set[str]] = {}
        self._idle: set[str] = set()

    def limit(self, instance_type: str, left: int = 0, markets: Sequence[Market] = ("on-demand", "spot")) -> None:
        """Program a shortage: only ``left`` more instances of a type in each of ``markets``."""
        for market in markets:
            self._left[instance_type, market] = left

    def end(self, instance: str, reason: str) -> None:
        """Let the cloud take an instance away at once."""
        with self.lock:
            self._end(instance, reason)

    def switch_off(self, instance: str) -> None:
        """Let an instance be stopped: it keeps its interface and its volumes."""
        with self.lock:
            self._nodes[instance] = replace(self._nodes[instance], state="stopped")

    def serves(self, instance: str) -> bool:
        """Whether YARN has a node: not while the master is told to leave it out, and not before it is told anything
        afterwards, as its NodeManager has ended."""
        node = self._nodes[instance]
        excluded = self._excluded.get(node.tags.get(names.TAG_CLUSTER, ""), set())
        return instance in self._ready and instance not in self._idle and node.private_dns not in excluded

    def leaving(self, instance: str) -> bool:
        """Whether an instance is on its way out."""
        return self._nodes[instance].state in ENDING

    def whereabouts(self, instance: str) -> tuple[str, str]:
        """(state, zone) of an instance. Raises NotFoundError."""
        self._demand(instance)
        return self._nodes[instance].state, self._nodes[instance].zone

    @probed
    def instances(self, tags: Mapping[str, str], *, alive_only: bool = True) -> list[Instance]:
        """Instances that carry all ``tags``. ``alive_only``: pending and running ones only."""
        return [
            one for one in self._nodes.values() if tags.items() <= one.tags.items() and (one.alive or not alive_only)
        ]

    @probed
    def memory_mib(self, types: Sequence[str]) -> dict[str, int]:
        """Memory of each instance type, in MiB: 8 GiB for ``large``, twice that for ``xlarge``, and so on."""
        sizes = {"small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32, "4xlarge": 64, "8xlarge": 128}
        unknown = [one for one in types if one.rpartition(".")[2] not in sizes]
        if unknown:
            raise NotFoundError(f"no instance type {unknown[0]}")
        return {one: sizes[one.rpartition(".")[2]] * 1024 for one in types}

    @probed
    def ensure_template(self, request: TemplateRequest) -> str:
        """Create the launch template, or add a default version to it when it differs. Returns its id."""
        template = next((one for one in self.templates.values() if one.name == request.name), None)
        if template is None:
            template = Template(self.new_id("lt"), request.name, dict(request.tags))
            self.templates[template.id] = template
        demand_own(template.tags, request.tags, f"launch template {request.name}", template.id)
        if not template.versions or template.versions[-1] != request:
            template.versions.append(request)
        return template.id

    @probed
    def delete_templates(self, tags: Mapping[str, str]) -> int:
        """Delete launch templates with ``tags``; how many."""
        demand_tags(tags)
        doomed = [one.id for one in self.templates.values() if tags.items() <= one.tags.items()]
        for identity in doomed:
            del self.templates[identity]
        return len(doomed)

    @probed
    def create_fleet(self, request: FleetRequest) -> FleetResult:
        """Launch. The same ``client_token`` again gives the same instances. Raises NotFoundError for a missing
        image or template; a shortage is not raised but told in the result's errors."""
        if request.count < 1 or not request.types:
            raise UsageError(f"a fleet needs a count and types, not {request.count} of {list(request.types)}")
        if request.client_token in self._fleets:
            earlier, result = self._fleets[request.client_token]
            if earlier != request:
                raise ConflictError("the client token was used with other arguments (IdempotentParameterMismatch)")
            return result
        if request.template not in self.templates:
            raise NotFoundError(f"no launch template {request.template}")
        template = self.templates[request.template].versions[-1]
        self._images.image(template.image)
        result = self._launch(request, template)
        self._fleets[request.client_token] = (request, result)
        return result

    @probed
    def terminate(self, instances: Sequence[str]) -> None:
        """Terminate; ids that are gone already are no error."""
        for identity in instances:
            node = self._nodes.get(identity)
            if node is None or node.state in ENDING:
                continue
            self._nodes[identity] = replace(node, state="shutting-down", reason=USER_ENDED)
            self._events.after(self._script[identity].shutting_down, partial(self.end, identity, USER_ENDED))

    @probed
    def tag(self, instances: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set tags of instances; their other tags stay. Ids that are gone already are no error."""
        for identity in [one for one in instances if one in self._nodes]:
            node = self._nodes[identity]
            self._nodes[identity] = replace(node, tags={**node.tags, **tags})
            seconds = self._script[identity].converges
            if names.TAG_TOLD in tags and seconds and node.tags.get(names.TAG_TOLD) != tags[names.TAG_TOLD]:
                self._events.after(seconds, partial(self._converge, identity, tags[names.TAG_TOLD]))

    @probed
    def console(self, instance: str) -> str:
        """The latest console output, "" when there is none yet."""
        self._demand(instance)
        return self.consoles.get(instance, "")

    @probed
    def inventory(self, tags: Mapping[str, str]) -> dict[str, int]:
        """How many instances (alive), interfaces, templates, groups and volumes carry ``tags``."""
        kinds: dict[str, list[Mapping[str, str]]] = {
            "instances": [one.tags for one in self._nodes.values() if one.alive],
            "interfaces": [one.tags for one in self.interfaces.values()],
            "templates": [one.tags for one in self.templates.values()],
            "groups": [one.tags for one in self.groups.values()],
            "volumes": [one.tags for one in self.volumes.values()],
        }
        return {kind: sum(tags.items() <= own.items() for own in found) for kind, found in kinds.items()}

    @probed
    def push_ssh_key(self, instance: str, user: str, public_key: str) -> None:
        """EC2 Instance Connect: ``public_key`` opens ``user`` for 60 s."""
        self._demand(instance)
        self.pushed_keys.append((instance, user, public_key))

    def _launch(self, request: FleetRequest, template: TemplateRequest) -> FleetResult:
        launched: list[str] = []
        errors: list[tuple[str, str]] = []
        for kind in request.types:
            while len(launched) < request.count:
                if self._left.get((kind, request.market), 1) < 1:
                    errors.append(("InsufficientInstanceCapacity", f"no more {kind} ({request.market})"))
                    break
                place = self._place(request, template)
                if not isinstance(place, Interface):
                    errors.append(place)
                    break
                launched.append(self._start(kind, request, template, place))
        return FleetResult(tuple(launched), tuple(dict.fromkeys(errors)))

    def _start(self, kind: str, request: FleetRequest, template: TemplateRequest, interface: Interface) -> str:
        tags = {**template.tags, **request.tags}
        identity = self.new_id("i")
        interface.holder = identity
        node = Instance(
            id=identity,
            state="pending",
            private_ip=interface.address,
            private_dns=interface.dns,
            type=kind,
            zone=self.zone_of(interface.subnet),
            market=request.market,
            image=template.image,
            launched=datetime.fromtimestamp(self.clock.now(), UTC),
            tags=tags,
        )
        self._nodes[identity] = node
        for _ in range(1 + len(template.disks)):
            self.launch_volume(template.tags, identity)
        if (kind, request.market) in self._left:
            self._left[kind, request.market] -= 1
        self._play(node, self._scripts(node))
        return identity

    def _place(self, request: FleetRequest, template: TemplateRequest) -> Interface | tuple[str, str]:
        """Where the next node goes, or (code, message) of what is in the way."""
        if template.interface:
            given = self.interfaces.get(template.interface)
            if given is None:
                return "InvalidNetworkInterfaceID.NotFound", f"no network interface {template.interface}"
            if given.holder:
                return "InvalidNetworkInterface.InUse", f"{given.id} is in use by {given.holder}"
            return given
        for subnet in request.subnets or tuple(self._subnets):
            try:
                return self.make_interface(subnet, template.security_groups, template.tags, own=False)
            except CapacityError:
                continue
        return "InsufficientFreeAddressesInSubnet", f"no free address in {', '.join(request.subnets)}"

    def _play(self, node: Instance, script: NodeScript) -> None:
        self._script[node.id] = script
        self._events.after(script.running, partial(self._run, node.id))
        for phase, seconds in script.phases:
            self._events.after(seconds, partial(self._check_in, node.id, phase))
        if script.ends:
            self._events.after(script.ends, partial(self.end, node.id, script.reason))

    def _run(self, identity: str) -> None:
        with self.lock:
            node = self._nodes[identity]
            if node.state == "pending":
                self._nodes[identity] = replace(node, state="running")

    def _check_in(self, identity: str, phase: str) -> None:
        node = self._nodes[identity]
        if self._store and node.alive:
            key = names.checkin_key(node.tags.get(names.TAG_CLUSTER, ""), identity, phase)
            self._store.write_as_node(key, self._script[identity].bodies.get(phase, {}))
            if phase == "ready":
                self._ready.add(identity)
                self._answer(identity, node.tags.get(names.TAG_TOLD, ""), CONVERGED)

    def _converge(self, identity: str, value: str) -> None:
        """What a node does that has heard of its new tag. One that still boots reads the tag when it gets there."""
        node, script = self._nodes[identity], self._script[identity]
        if not node.alive or identity not in self._ready or node.tags.get(names.TAG_TOLD) != value:
            return
        if script.refuses:
            self._answer(identity, value, UNCONVERGED, {"message": script.refuses, "log_tail": ""})
            return
        left_out = self._left_out(node, value)
        cluster = node.tags.get(names.TAG_CLUSTER, "")
        if node.tags.get(names.TAG_GROUP) == "master":
            self._excluded[cluster] = left_out
            self._idle |= {one.id for one in self._nodes.values() if one.private_dns in left_out}
        elif node.private_dns not in self._excluded.get(cluster, set()):
            self._idle.discard(identity)
        self._answer(identity, value, CONVERGED)
        if script.drains and left_out:
            self._events.after(script.drains, partial(self._answer, identity, value, DRAINED))

    def _left_out(self, node: Instance, value: str) -> set[str]:
        """Host names of the nodes that a master is told to leave out."""
        told = Told.parse(value)
        if told is None or self._store is None or node.tags.get(names.TAG_GROUP) != "master":
            return set()
        tags = node.tags
        key = names.node_config_key(tags[names.TAG_CLUSTER], tags[names.TAG_LAUNCH], told.config)
        return set(json.loads(self._store.read_as_node(key))["excluded"]["yarn"])

    def _answer(self, identity: str, value: str, word: str, body: Mapping[str, object] | None = None) -> None:
        node, told = self._nodes[identity], Told.parse(value)
        if told is not None and self._store and node.alive and node.tags.get(names.TAG_TOLD) == value:
            phase = told.answer(word, Told.again(value))
            key = names.checkin_key(node.tags.get(names.TAG_CLUSTER, ""), identity, phase)
            self._store.write_as_node(key, body or {})

    def _dated(self, reason: str) -> datetime | None:
        """When a node ended, as far as EC2 tells: not of what it took back itself."""
        return datetime.fromtimestamp(self.clock.now(), UTC) if reason == USER_ENDED else None

    def _end(self, identity: str, reason: str) -> None:
        self._nodes[identity] = replace(
            self._nodes[identity], state="terminated", reason=reason, ended=self._dated(reason)
        )
        self.release_volumes([identity])
        for one in [one for one in self.interfaces.values() if one.holder == identity]:
            one.holder = ""
            if not one.own:
                del self.interfaces[one.id]

    def _demand(self, instance: str) -> None:
        if instance not in self._nodes:
            raise NotFoundError(f"no instance {instance}")
