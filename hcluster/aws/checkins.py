"""ports.CheckIns over an object store."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hcluster.errors import IntegrityError, NotFoundError
from hcluster.model import names
from hcluster.model.node import CheckIn
from hcluster.ports import ObjectStore


class StoredCheckIns:
    """Check-ins as objects below ``clusters/NAME/nodes/``. Implements ``hcluster.ports.CheckIns``."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def listed(self, cluster: str) -> dict[str, dict[str, CheckIn]]:
        """By instance and phase, without bodies: one listing page per 1,000 objects."""
        prefix = names.checkins_prefix(cluster)
        found: dict[str, dict[str, CheckIn]] = {}
        for key, modified in self._store.list(prefix):
            instance, _, phase = key.removeprefix(prefix).partition("/")
            if instance and phase and "/" not in phase:
                found.setdefault(instance, {})[phase] = CheckIn(instance, phase, datetime.fromtimestamp(modified, UTC))
        return found

    def read(self, cluster: str, instance: str, phase: str) -> CheckIn:
        """With its body. Raises NotFoundError, and IntegrityError when it is not a JSON object."""
        key = names.checkin_key(cluster, instance, phase)
        # A listing tells S3's own time of writing, as ``listed`` does.
        modified = next((when for found, when in self._store.list(key) if found == key), None)
        if modified is None:
            raise NotFoundError(f"{instance} of cluster {cluster} has not checked in as {phase}")
        body, _ = self._store.get(key)
        try:
            content = json.loads(body)
        except ValueError as cause:
            raise IntegrityError(f"{key} is not JSON", context=str(cause)) from cause
        if not isinstance(content, dict):
            raise IntegrityError(f"{key} is not a JSON object")
        return CheckIn(instance, phase, datetime.fromtimestamp(modified, UTC), content)
