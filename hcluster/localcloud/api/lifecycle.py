"""Makes machines follow the records, in the background, and the records follow the machines."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from hcluster.errors import HclusterError, LocalCloudError
from hcluster.localcloud.api.firewalls import Enforcer, firewalls
from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.instance import Instance
from hcluster.localcloud.api.network import hostname
from hcluster.localcloud.api.parts import StateReason
from hcluster.localcloud.api.volume_work import VolumeJobs
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.machines import Machines, MachineSpec
from hcluster.localcloud.settings import DOMAIN

log = logging.getLogger(__name__)

BOOTS = min(max(4, os.cpu_count() or 1), 16)
"""Machines that boot at the same time: a boot waits more than it works, yet many make each other late."""
ENDS = 4
WATCH = 2.0
"""Seconds between two looks at whether running machines still run."""


class Lifecycle:
    """Implements ``instances.Work`` and ``images.Layers`` on Machines.

    Each job holds its instance's lock while it talks to the machine, and the cloud's lock only to change records.
    """

    def __init__(self, machines: Machines, lock: threading.RLock, changed: Callable[[], None]) -> None:
        self._machines = machines
        self._lock = lock
        self._changed = changed
        self.volumes = VolumeJobs(machines, lock, self._turn, changed)
        self._enforcer = Enforcer(machines, self._firewalls)
        self._boots = ThreadPoolExecutor(BOOTS, "boot")
        self._ends = ThreadPoolExecutor(ENDS, "end")
        self._turns: dict[str, threading.Lock] = {}
        self._running: set[Future[None]] = set()
        self._closing = threading.Event()
        self._suspects: set[str] = set()
        self._watch = threading.Thread(target=self._watching, name="watch", daemon=True)

    def memory_mib(self, instance_type: str) -> int | None:
        """What a machine of this type is granted here; None when there are none."""
        try:
            return self._machines.memory_mib(instance_type)
        except LocalCloudError:
            return None

    def start(self, backend: CloudBackend) -> None:
        """Begin to watch the machines of ``backend``."""
        self._backend = backend
        self._enforcer.start()
        self._watch.start()

    def resume_volumes(self) -> None:
        """Take up what was cut off with volumes. The cloud's lock is held, and no machine runs."""
        self.volumes.resume(self._backend)

    def records_changed(self) -> None:
        """The records changed, perhaps what the machines' firewalls follow."""
        self._enforcer.changed()

    def _firewalls(self) -> dict[str, Firewall]:
        with self._lock:
            return firewalls(self._backend, self._backend.alive())

    def close(self, timeout: float) -> None:
        """Begin nothing more, drop what waits, and wait for what runs. The records of dropped work keep its state, so
        that a resume takes it up again."""
        self._closing.set()
        for pool in (self._boots, self._ends):
            pool.shutdown(wait=False, cancel_futures=True)
        wait(list(self._running), timeout)
        self.volumes.close()
        self._enforcer.close()

    # Work

    def boot(self, instance: Instance) -> None:
        """A pending instance becomes running, or terminated with a reason."""
        self._submit(self._boots, self._boot, instance)

    def power_off(self, instance: Instance) -> None:
        """A stopping instance becomes stopped."""
        self._submit(self._ends, self._power_off, instance)

    def reboot(self, instance: Instance) -> None:
        """A running instance is powered off and booted."""
        self._submit(self._boots, self._reboot, instance)

    def destroy(self, instance: Instance) -> None:
        """An instance that shuts down becomes terminated."""
        self._submit(self._ends, self._destroy, instance)

    # Layers

    def capture(self, image: Any, instance_id: str, *, reboot: bool) -> None:
        """A pending image becomes available, or failed with a reason."""
        self._submit(self._boots if reboot else self._ends, self._capture, image, instance_id, reboot)

    def discard(self, image_id: str) -> None:
        """Remove a layer that nothing needs."""
        self._submit(self._ends, self._discard, image_id)

    def _submit(self, pool: ThreadPoolExecutor, job: Callable[..., None], *arguments: Any) -> None:
        if self._closing.is_set():
            return
        future = pool.submit(self._guarded, job, *arguments)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

    @staticmethod
    def _guarded(job: Callable[..., None], *arguments: Any) -> None:
        try:
            job(*arguments)
        except Exception:
            log.exception("%s failed", job.__name__)

    def _turn(self, instance_id: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(instance_id, threading.Lock())

    def _still(self, instance: Instance, state: str) -> bool:
        with self._lock:
            return bool(instance.state == state)

    def _boot(self, instance: Instance) -> None:
        with self._turn(instance.id):
            if not self._still(instance, "pending"):
                return
            if problem := self._start(instance):
                self._boot_failed(instance, problem)
                return
            self._enforcer.settle()
            with self._lock:
                self.volumes.booted(self._backend, instance)
                if instance.state == "pending":
                    instance.become("running")
                    instance.launched = True
                self._changed()

    def _start(self, instance: Instance) -> str:
        """Boot the machine; the problem in words, "" when it is up."""
        address = str(instance.private_ip)
        try:
            disks = self.volumes.disks(self._backend, instance)
            self._machines.boot(
                MachineSpec(
                    instance.id,
                    instance.image_id,
                    address,
                    hostname(address),
                    DOMAIN,
                    str(instance.instance_type),
                    disks,
                    key_pair=bool(instance.key_name),
                )
            )
        except HclusterError as error:
            if error.hint:
                log.warning("%s: %s", instance.id, error.hint)
            return "; ".join(part for part in (error.message, error.context) if part)
        except Exception as error:
            log.exception("boot of %s", instance.id)
            return f"{type(error).__name__}: {error}"
        return ""

    def _boot_failed(self, instance: Instance, problem: str) -> None:
        """A launch that fails is undone; what ran before keeps its root, and may be started again."""
        log.warning("%s did not boot: %s", instance.id, problem)
        with self._lock:
            if instance.launched and instance.lifecycle != "spot":
                if instance.state == "pending":
                    instance.become("stopped", "Server.InternalError", f"Internal error on start: {problem}")
                self._changed()
                return
            instance.become("shutting-down", "Server.InternalError", f"Internal error on launch: {problem}")
        self._end(instance)

    def _power_off(self, instance: Instance) -> None:
        with self._turn(instance.id):
            if not self._still(instance, "stopping"):
                return
            self._machines.power_off(instance.id)
            with self._lock:
                if instance.state == "stopping":
                    instance.become("stopped")
                self._changed()

    def _reboot(self, instance: Instance) -> None:
        with self._turn(instance.id):
            if not self._still(instance, "running"):
                return
            self._machines.power_off(instance.id)
            self._start_again(instance)

    def _start_again(self, instance: Instance) -> None:
        """Boot a running instance whose machine is off for a moment."""
        problem = self._start(instance)
        if problem:
            log.warning("%s did not reboot: %s", instance.id, problem)
        with self._lock:
            if problem and instance.state == "running":
                instance.become("stopped", "Server.InternalError", f"Internal error on reboot: {problem}")
            else:
                self.volumes.booted(self._backend, instance)
            self._changed()

    def _destroy(self, instance: Instance) -> None:
        with self._turn(instance.id):
            if self._still(instance, "shutting-down"):
                self._end(instance)

    def _end(self, instance: Instance) -> None:
        try:
            self._machines.destroy(instance.id)
        finally:
            with self._lock:
                self._backend.release(instance)
                self._turns.pop(instance.id, None)
                self._changed()
            self._enforcer.changed()

    def _capture(self, image: Any, instance_id: str, reboot: object) -> None:
        with self._turn(instance_id):
            instance = self._backend.by_id.get(instance_id)
            problem = ""
            try:
                if reboot:
                    self._machines.power_off(instance_id)
                self._machines.create_layer(instance_id, image.id)
            except HclusterError as error:
                log.warning("no image %s of %s: %s", image.id, instance_id, error.message)
                problem = error.message
            except Exception as error:
                log.exception("image %s of %s", image.id, instance_id)
                problem = str(error) or type(error).__name__
            if reboot and instance is not None and self._still(instance, "running"):
                self._start_again(instance)
        with self._lock:
            image.state = "failed" if problem else "available"
            if problem:
                image.state_reason = StateReason(f"Client.InternalError: {problem}", "Client.InternalError")
            self._changed()

    def _discard(self, image_id: str) -> None:
        self._machines.delete_layer(image_id)

    def _watching(self) -> None:
        while not self._closing.wait(WATCH):
            with self._lock:
                running = [instance for instance in self._backend.by_id.values() if instance.state == "running"]
            dead = {i.id for i in running if not self._turn(i.id).locked() and not self._machines.alive(i.id)}
            # Twice in a row: no look falls between two records then.
            for instance in running:
                if instance.id in dead and self._machines.rebooting(instance.id):
                    self._submit(self._boots, self._boot_again, instance)
                elif instance.id in dead & self._suspects:
                    self._ended_itself(instance)
            self._suspects = dead

    def _boot_again(self, instance: Instance) -> None:
        """Its machine was rebooted from inside: it stays running, as EC2 has it."""
        with self._turn(instance.id):
            if self._still(instance, "running") and self._machines.rebooting(instance.id):
                self._start_again(instance)

    def _ended_itself(self, instance: Instance) -> None:
        """Its machine was powered off from inside: EC2's behaviour is the instance's own setting."""
        with self._lock:
            if instance.state != "running":
                return
            reason, message = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
            if instance.instance_initiated_shutdown_behavior == "terminate" or instance.lifecycle == "spot":
                self._backend.end(instance, reason, message)
            else:
                instance.become("stopping", reason, message)
                self.power_off(instance)
            self._changed()
