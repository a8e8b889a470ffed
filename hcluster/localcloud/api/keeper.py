"""Keeps the cloud's records: told of each request, it has them on disk before the answer leaves."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from hcluster.localcloud.api.changes import Changes, Path
from hcluster.localcloud.api.control_records import ControlRecords
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.journal import Journal
from hcluster.localcloud.api.store import Store, StoreError
from hcluster.localcloud.settings import CloudSettings

log = logging.getLogger(__name__)

FILE = "control.sqlite"
_ID = re.compile(rb"\b(i|eni|vol|r|sir|fleet)-[0-9a-f]{8,36}\b")
_COLLECTIONS = {
    b"i": "by_id",
    b"eni": "enis",
    b"vol": "volumes",
    b"r": "reservations",
    b"sir": "spot_instance_requests",
    b"fleet": "fleets",
}
ROUND = 30.0
"""Seconds between two rounds of ``tidy``: forgetting what ended long ago, and a look for changes nobody spoke of."""
_PERISHABLE = ("RunInstances", "CreateNetworkInterface", "CreateVolume")
"""What these made lies in collections that grow, so it is known when it is gone."""
_SLICE, _REST = 50, 0.01
"""Records that are looked at while the lock is held, and the seconds until the next."""


class Keeper:
    """``prune`` is called with the lock held, now and then, to forget what ended long ago."""

    def __init__(
        self, settings: CloudSettings, lock: threading.RLock, changes: Changes, prune: Callable[[], None]
    ) -> None:
        """Reads nothing yet: see ``load``."""
        self._lock = lock
        self._changes = changes
        self._prune = prune
        self._store = Store(settings.folder / "records" / FILE)
        self._control = ControlRecords(settings, changes, self._store)
        self._journal = Journal(self._store, lock, self._control.stage)
        self._closing = threading.Event()
        self._moved = False
        self._thread = threading.Thread(target=self._tidying, name="tidy", daemon=True)

    def load(self) -> None:
        """Restore what was written. Raises LocalCloudError, which names the cure, when it cannot be read."""
        with self._lock:
            self._control.load()

    def start(self) -> None:
        """Begin to write what nobody waits for."""
        self._journal.start()
        self._thread.start()

    # For each request

    def ready(self) -> None:
        """Raises Fault while changes cannot be written: nothing is changed then. Call without the lock."""
        try:
            self._journal.ready()
        except StoreError as error:
            raise unwritten(error) from error

    def changed(self, service: str, body: bytes = b"") -> None:
        """A request of ``service`` may have changed records; ``body`` names those that it was about. The lock is
        held."""
        self._control.suspect(service)
        if service == "ec2":
            self._touch_named(body)

    def settle(self) -> None:
        """Return when all that was changed is on the disk. Raises Fault when it is not: the caller may try again, and
        so do we. Call without the lock."""
        self._moved = True
        try:
            self._journal.settle()
        except StoreError as error:
            raise unwritten(error) from error

    # For everything else

    def later(self, service: str = "ec2") -> None:
        """Something changed for which no caller waits. The lock is held."""
        self._moved = True
        self._control.suspect(service)
        self._journal.changed()

    def forget_tokens(self) -> None:
        """Client tokens of what is gone, as a start would. The lock is held."""
        tokens = self._control.backends["ec2"].tokens
        for key, (_, result) in list(tokens.items()):
            if key[0] in _PERISHABLE and id(result) not in self._changes.homes:
                del tokens[key]

    def save(self) -> None:
        """Forget what ended long ago and write everything that is not as it was written. Raises StoreError."""
        with self._lock:
            self._prune()
            for service in ("ec2", "iam"):
                self._control.suspect(service)
            self._look(self._control.kept())
        self._journal.settle()
        self._control.migrated()

    def close(self) -> None:
        """Write all and give the file back. Raises StoreError when something is not written."""
        self._closing.set()
        self._journal.stop()
        if self._thread.is_alive():
            self._thread.join(10)
        try:
            self.save()
        finally:
            self._store.close()

    def _touch_named(self, body: bytes) -> None:
        """What a request names may have changed in depth, with what hangs on it."""
        backend = self._control.backends["ec2"]
        for match in _ID.finditer(body):
            found = getattr(backend, _COLLECTIONS[match[1]]).get(match[0].decode())
            if found is not None:
                self._changes.touch(found)
                if match[1] == b"i":
                    self._changes.touch(*found.nics.values())
                    mapped: Any = found.block_device_mapping.values()
                    self._changes.touch(*(backend.volumes.get(device.volume_id) for device in mapped))

    def _tidying(self) -> None:
        while not self._closing.wait(ROUND):
            try:
                self._tidy()
            except Exception:
                log.exception("a look at the records failed")

    def _tidy(self) -> None:
        with self._lock:
            self._prune()
            waits = bool(self._changes.unwritten)
            paths = self._control.kept() if self._moved else []
        self._moved = False
        for start in range(0, len(paths), _SLICE):
            with self._lock:
                waits |= self._look(paths[start : start + _SLICE])
            if self._closing.wait(_REST):
                return
        if waits:
            self._journal.changed()

    def _look(self, paths: list[Path]) -> bool:
        """Look at records for changes that nobody told."""
        missed = [path for path in paths if self._control.missed(path)]
        if missed:
            log.warning("changes were not told: %s", missed)
        return bool(missed)


def unwritten(error: Exception) -> Fault:
    """What a caller is told whose change is not on the disk."""
    message = f"The request has failed due to a temporary failure of the server: its records are not written ({error})."
    return Fault("ServiceUnavailable", message, 503)
