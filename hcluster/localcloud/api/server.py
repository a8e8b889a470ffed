"""The API of one local cloud: serves it, keeps its records, and makes its machines follow them."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Network
from typing import Any, cast

from moto.core.utils import get_service_model, utcnow
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api import hooks, own_services, public_parameters, queues
from hcluster.localcloud.api.changes import Changes, watch
from hcluster.localcloud.api.controls import Controls
from hcluster.localcloud.api.events import Events
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.federation import Federation
from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.gateway import Environ, Gateway, Hooks, StartResponse
from hcluster.localcloud.api.hold import Hold
from hcluster.localcloud.api.http import ApiHandler, SocketServer
from hcluster.localcloud.api.identity import Identities
from hcluster.localcloud.api.imds import ImdsServer
from hcluster.localcloud.api.instance import Instance
from hcluster.localcloud.api.instance_index import InstanceIndex
from hcluster.localcloud.api.instance_operations import writer
from hcluster.localcloud.api.keeper import Keeper
from hcluster.localcloud.api.lifecycle import Lifecycle
from hcluster.localcloud.api.metadata import Metadata
from hcluster.localcloud.api.parts import PARTITION, BaseModel, ec2_backends, iam_backends, sts_backends
from hcluster.localcloud.api.responses import CloudResponse
from hcluster.localcloud.api.rules import Rules
from hcluster.localcloud.api.s3.service import ObjectService
from hcluster.localcloud.api.store import StoreError
from hcluster.localcloud.machines import Machines
from hcluster.localcloud.settings import CloudSettings

log = logging.getLogger(__name__)

REMEMBERED = timedelta(hours=1)
"""How long a terminated instance is still described, as on AWS."""
_PARALLEL = 8
_GRACE = 20.0


def spare_collector() -> None:
    """Let Python's garbage collector look at what was loaded never again, and at new objects less often: records are
    many and live long, and a launch of a thousand spent half its time in looking. For a process that serves one cloud
    until its end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class ApiServer:
    """One per process: moto's records are the process's.

    Order of use: make it, ``load``, ``register_base_image``, ``admin_keys``, ``serve``, ``resume``;
    at the end ``shutdown``.
    """

    def __init__(self, settings: CloudSettings, machines: Machines) -> None:
        """Imports moto and installs our parts in it; about a second."""
        self._settings = settings
        self._machines = machines
        self._lock = threading.RLock()
        self.rules = Rules(settings.folder)
        self._identities = Identities(settings.account_id, self.rules.clock)
        self._changes = Changes()
        public_parameters.install()
        door = hooks.install(settings, self._identities)
        self.objects = ObjectService(settings.folder / "records", settings.account_id, settings.region, door, self._now)
        queues.install(self._lock)
        watch(BaseModel, self._changes)
        written = writer(tuple(CloudResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()))
        self._index = InstanceIndex(self._changes, written, self.rules.lag)
        self._keeper = Keeper(settings, self._lock, self._changes, self._prune)
        self._lifecycle = Lifecycle(machines, self._lock, self._control_changed)
        self._metadata = Metadata(lambda: self._backend, lambda: self._keeper.later("sts"))
        self._events = Events(
            settings.account_id, settings.region, self._lock, lambda: self._keeper.later("sqs"), self._there
        )
        hold = Hold(self.rules, self._lock, lambda: self._backend, self._control_changed)
        self.controls = Controls(hold, machines, self._metadata, self._events)
        self._servers: list[SocketServer] = []
        self._attach()

    @property
    def _backend(self) -> CloudBackend:
        return cast("CloudBackend", ec2_backends[self._settings.account_id][self._settings.region])

    def _attach(self) -> None:
        """Give the backends what is not part of their records."""
        backend = self._backend
        backend.settings = self._settings
        backend.work = self._lifecycle
        backend.layers = self._lifecycle
        backend.volume_work = self._lifecycle.volumes
        backend.index = self._index
        backend.changes = self._changes
        self._index.attach(backend)
        backend.rules = self.rules
        backend.announce = self.controls.state_changed

    # Records

    def _now(self) -> float:
        """The API's clock."""
        return time.time() + self.rules.clock().total_seconds()

    def load(self) -> None:
        """Restore what was saved. Raises LocalCloudError when it cannot be read."""
        self._keeper.load()
        self.objects.open()
        self._attach()

    def save(self) -> None:
        """Write all records now. Raises StoreError when the disk does not take them."""
        self._keeper.save()

    def _prune(self) -> None:
        """Forget what ended long ago. The lock is held."""
        now = utcnow()
        for instance in list(self._backend.by_id.values()):
            if instance.state == "terminated" and instance.ended and now - instance.ended > REMEMBERED:
                self._backend.teardown(instance)
        self._keeper.forget_tokens()
        sts = sts_backends[self._settings.account_id][PARTITION]
        expired = [role for role in sts.assumed_roles if role.expiration < now]
        sts.assumed_roles[:] = [role for role in sts.assumed_roles if role.expiration >= now]
        keys = iam_backends[self._settings.account_id][PARTITION].access_keys
        for role in expired:
            keys.pop(role.access_key_id, None)

    # What the daemon asks for

    def admin_keys(self) -> tuple[str, str]:
        """(access key, secret key) of the administrator; the same at each start."""
        with self._lock:
            keys = self._identities.administrator(self._settings.region)
            self._keeper.changed("iam")
        try:
            self._keeper.settle()
        except Fault as fault:
            raise LocalCloudError(
                f"the local cloud's records cannot be written to {self._settings.folder}",
                context=fault.message,
                hint="make room on that disk",
            ) from fault
        return keys

    def register_base_image(self, image_id: str, name: str) -> None:
        """Make a base image known to EC2; repeatable."""
        with self._lock:
            self._backend.register_base(image_id, name)
            self._control_changed()

    def resume(self) -> None:
        """Take up what the last stop interrupted: boot again what ran, end what was ending. Returns at once."""
        with self._lock:
            self._lifecycle.resume_volumes()
            for instance in self._backend.alive():
                self._resume(instance)
            for image in list(self._backend.amis.values()):
                if image.state == "pending":
                    image.state = "failed"
                    # Its layer may have been made just before the end.
                    self._lifecycle.discard(image.id)
            self.controls.resume()
            self._control_changed()

    def _resume(self, instance: Instance) -> None:
        if instance.state in ("running", "pending"):
            instance.become("pending")
            self._lifecycle.boot(instance)
        elif instance.state == "stopping":
            self._lifecycle.power_off(instance)
        elif instance.state == "shutting-down":
            self._lifecycle.destroy(instance)

    def _there(self, instance_id: str) -> bool:
        """Whether events about it make sense: what a launch took back was never there."""
        return instance_id in self._backend.by_id

    def counts(self) -> dict[str, int]:
        """Instances by state, for the daemon's status."""
        found: dict[str, int] = {}
        with self._lock:
            for instance in self._backend.by_id.values():
                found[instance.state] = found.get(instance.state, 0) + 1
        return found

    def serve(self, api_socket: socket.socket, imds_socket: socket.socket) -> None:
        """Answer on both sockets, which listen already, in threads. Returns when it does."""
        gateway = Gateway(
            self._application(),
            self._identities,
            self._settings.region,
            self._lock,
            Hooks(self._ready, self._changed, self._settle),
            self.rules,
            Federation(self._identities, IPv4Network(self._settings.cidr)),
            self.objects,
        )
        self.objects.open()
        self.objects.start()
        self._keeper.start()
        self._lifecycle.start(self._backend)
        self._events.start()
        self._servers = [
            SocketServer(api_socket, ApiHandler, gateway),
            ImdsServer(imds_socket, self._metadata, self._lock),
        ]
        for server in self._servers:
            server.start()

    def _application(self) -> Any:
        """Moto's application, with the parts loaded that the first requests need."""
        dispatcher = DomainDispatcherApplication(create_backend_app)
        for service in ("ec2", "iam", "sts"):
            dispatcher.app_instances[service] = create_backend_app(service)
            get_service_model(service)
        own = own_services.applications()

        def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            environ["hcluster.machines"] = self._machines
            if environ["hcluster.service"] in own:
                return own[environ["hcluster.service"]](environ, start_response)  # type: ignore[no-any-return]
            return dispatcher(environ, start_response)  # type: ignore[no-any-return]

        return application

    def _changed(self, service: str, body: bytes) -> None:
        self._keeper.changed(service, body)
        self._index.changed()
        self._lifecycle.records_changed()

    def _ready(self, _: str) -> None:
        self._keeper.ready()

    def _settle(self, _: str) -> None:
        self._keeper.settle()

    def _control_changed(self) -> None:
        self._keeper.later()
        self._index.changed()

    def shutdown(self) -> None:
        """Stop serving, power all machines off, save. What ran is recorded as running, for ``resume``."""
        for server in self._servers[:1]:
            server.stop()
        self.controls.close()
        self._lifecycle.close(_GRACE)
        self._events.close()
        with self._lock:
            ids = [instance.id for instance in self._backend.alive()]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(self._power_off, ids))
        for server in self._servers[1:]:
            server.stop()
        self._servers = []
        self.objects.close()
        try:
            self._keeper.close()
        except (Fault, StoreError):
            log.exception("what changed last is not written; everything that was acknowledged is")

    def _power_off(self, instance_id: str) -> None:
        try:
            self._machines.power_off(instance_id, _GRACE)
        except Exception:
            log.exception("%s was not powered off", instance_id)
