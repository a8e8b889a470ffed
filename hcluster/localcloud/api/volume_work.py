"""Makes disks follow the records of volumes, in the background; what a kill cut off is taken up again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hcluster.errors import HclusterError
from hcluster.localcloud.api.volumes import Snapshot, Volume, Volumes
from hcluster.localcloud.machines import Disk, Machines

log = logging.getLogger(__name__)

_PARALLEL = 4
BUSY = 1.0
"""Seconds until a volume that is still in use is tried again."""


class VolumeJobs:
    """Implements ``volumes.VolumeWork`` on Machines.

    ``turn`` gives the lock of an instance that is held while its machine is changed; it is taken before ``lock``, the
    cloud's.
    """

    def __init__(
        self,
        machines: Machines,
        lock: threading.RLock,
        turn: Callable[[str], threading.Lock],
        changed: Callable[[], None],
    ) -> None:
        self._machines = machines
        self._lock = lock
        self._turn = turn
        self._changed = changed
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(_PARALLEL, "volume")

    def close(self) -> None:
        """Begin nothing more and wait for what runs; records keep what is left to do."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def resume(self, backend: Volumes) -> None:
        """Take up what was cut off. No machine runs yet; the cloud's lock is held."""
        volumes = [volume for volume in backend.volumes.values() if isinstance(volume, Volume)]
        snapshots = [snapshot for snapshot in backend.snapshots.values() if isinstance(snapshot, Snapshot)]
        self._submit(self._sweep, {one.id for one in volumes} | {one.id for one in snapshots})
        for snapshot in snapshots:
            if snapshot.status == "pending":
                snapshot.status = "error"
        for volume in volumes:
            if volume.condition == "creating":
                self.make(volume)
            if volume.attachment and volume.attachment.status in ("detaching", "busy"):
                backend.end_detach(volume)

    # VolumeWork

    def make(self, volume: Volume) -> None:
        """A volume that is being created becomes available, or an error."""
        self._submit(self._make, volume)

    def attach(self, volume: Volume) -> None:
        """A volume that is being attached becomes attached; an instance that is off finds it when it boots."""
        self._submit(self._attach, volume)

    def detach(self, volume: Volume) -> None:
        """A volume that is being detached becomes available; it is busy while something in the instance uses it."""
        self._submit(self._detach, volume)

    def grow(self, volume: Volume) -> None:
        """A volume gets the size that its record has."""
        self._submit(self._machines.create_volume, volume.id, volume.size)

    def keep(self, snapshot: Snapshot) -> None:
        """A pending snapshot is completed, or an error."""
        self._submit(self._keep, snapshot)

    def discard(self, name: str) -> None:
        """The data of a volume or snapshot goes."""
        self._submit(self._machines.delete_volume if name.startswith("vol-") else self._machines.delete_snapshot, name)

    # For whoever boots the instance, in its turn

    def disks(self, backend: Volumes, instance: Any) -> tuple[Disk, ...]:
        """The disks to boot an instance with; those that are still being created are made now. Raises what Machines
        does."""
        with self._lock:
            wanted = [v for v in backend.disks_of(instance) if v.attachment.status in ("attaching", "attached")]
            # What was being detached when the instance went off is detached by that.
            for volume in backend.disks_of(instance):
                if volume not in wanted:
                    backend.end_detach(volume)
        for volume in wanted:
            if volume.condition == "creating":
                self._make(volume)
        return tuple(backend.disk(volume) for volume in wanted)

    def booted(self, backend: Volumes, instance: Any) -> None:
        """An instance has its disks. The cloud's lock is held."""
        for volume in backend.disks_of(instance):
            if volume.attachment.status == "attaching":
                backend.move_on(volume, "attached")

    # Jobs

    def _submit(self, job: Callable[..., None], *arguments: Any) -> None:
        if not self._closing.is_set():
            self._pool.submit(self._guarded, job, *arguments)

    @staticmethod
    def _guarded(job: Callable[..., None], *arguments: Any) -> None:
        try:
            job(*arguments)
        except Exception:
            log.exception("%s failed", getattr(job, "__name__", job))

    def _sweep(self, kept: set[str]) -> None:
        self._machines.sweep_volumes(kept)

    def _make(self, volume: Volume) -> None:
        problem = ""
        try:
            self._machines.create_volume(volume.id, volume.size, volume.snapshot_id or "")
        except HclusterError as error:
            problem = error.message
            log.warning("%s could not be made: %s", volume.id, problem)
        with self._lock:
            gone = volume.id not in volume.ec2_backend.volumes
            if not gone and volume.condition == "creating":
                volume.condition = "error" if problem else "available"
                self._changed()
        if gone:
            self._machines.delete_volume(volume.id)

    def _attach(self, volume: Volume) -> None:
        attachment = volume.attachment
        if attachment is None:
            return
        instance, backend = attachment.instance, volume.ec2_backend
        with self._turn(instance.id):
            with self._lock:
                if volume.attachment is not attachment or attachment.status != "attaching":
                    return
                running = instance.state == "running"
            problem = ""
            if running:
                try:
                    self._machines.attach_volume(instance.id, backend.disk(volume))
                except HclusterError as error:
                    problem = error.message
                    log.warning("%s could not be attached to %s: %s", volume.id, instance.id, problem)
            with self._lock:
                if volume.attachment is attachment:
                    if problem:
                        backend.end_detach(volume)
                    else:
                        backend.move_on(volume, "attached")
                    self._changed()

    def _detach(self, volume: Volume) -> None:
        attachment = volume.attachment
        if attachment is None:
            return
        instance, backend = attachment.instance, volume.ec2_backend
        with self._turn(instance.id):
            with self._lock:
                if volume.attachment is not attachment or attachment.status not in ("detaching", "busy"):
                    return
            busy = False
            try:
                self._machines.detach_volume(instance.id, volume.id)
            except HclusterError as error:
                busy = True
                log.info("%s stays with %s for now: %s", volume.id, instance.id, error.message)
            with self._lock:
                if volume.attachment is attachment:
                    if not busy:
                        backend.end_detach(volume)
                    elif attachment.status != "busy":
                        backend.move_on(volume, "busy")
                    self._changed()
        if busy:
            again = threading.Timer(BUSY, self.detach, (volume,))
            again.daemon = True
            again.start()

    def _keep(self, snapshot: Snapshot) -> None:
        status = "completed"
        try:
            self._machines.create_snapshot(snapshot.volume.id, snapshot.id)
        except HclusterError as error:
            log.warning("%s could not be made: %s", snapshot.id, error.message)
            status = "error"
        with self._lock:
            snapshot.status = status
            gone = snapshot.id not in snapshot.ec2_backend.snapshots
            self._changed()
        if gone:
            self._machines.delete_snapshot(snapshot.id)
