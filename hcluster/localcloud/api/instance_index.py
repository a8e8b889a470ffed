"""Instances as they are described: found by index, shown as XML that is kept until they change."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hcluster.localcloud.api.changes import Changes
from hcluster.localcloud.api.instance_filters import Values, is_plain, keys_of, matches, values_of
from hcluster.localcloud.api.serializing import Text

_MOST_PAST = 20_000
"""Earlier views that are kept for answers that lag."""


@dataclass(slots=True)
class View:
    """An instance as it was at one time."""

    id: str
    number: int
    """Launches count up."""
    instance: Any
    reservation_id: str
    keys: dict[str, Values]
    text: str | None = None
    """Its XML; made when it is first asked for."""


class InstanceIndex:
    """Call with the cloud's lock held."""

    def __init__(self, changes: Changes, write: Text, lag: Callable[[], float]) -> None:
        """``write`` gives the XML of an instance, ``lag`` how many seconds answers are behind."""
        self._changes = changes
        self._write = write
        self._lag = lag
        self._backend: Any = None
        self._views: dict[str, View] = {}
        self._index: dict[tuple[str, str], dict[str, None]] = {}
        self._number = 0
        self._past: deque[tuple[float, str, View | None]] = deque()
        """(when it ended, instance, what was shown until then; None: nothing), oldest first."""

    def attach(self, backend: Any) -> None:
        """Show another backend's instances from now on."""
        self._backend = backend
        self._views.clear()
        self._index.clear()
        self._past.clear()
        self._changes.unshown.clear()
        for instance_id in backend.by_id:
            self._update(instance_id)

    def refresh(self) -> None:
        """Take notice of what changed."""
        if not self._changes.unshown:
            return
        stale: dict[str, None] = {}
        for path in self._changes.unshown:
            if len(path) == 3 and path[0] == "ec2":
                stale.update(dict.fromkeys(self._about(path[1], path[2])))
        # Tags have no kind: those of volumes are not ours.
        stale = {i: None for i in stale if i in self._views or i in self._backend.by_id}
        self._changes.unshown.clear()
        lag = self._lag()
        now = time.monotonic()
        self._forget(now - lag)
        for instance_id in stale:
            before = self._views.get(instance_id)
            self._update(instance_id)
            if lag:
                self._past.append((now, instance_id, before))
        if lag:
            # Later they could only be written as they are then.
            for view in self._views.values():
                self.text(view)

    def changed(self) -> None:
        """Something changed just now: answers that lag need to know when."""
        if self._lag():
            self.refresh()

    def view(self, instance_id: str) -> View | None:
        """One instance, as of now."""
        self.refresh()
        return self._views.get(instance_id)

    def text(self, view: View) -> str:
        """The XML of an instance."""
        if view.text is None:
            view.text = self._write(view.instance) or ""
        return view.text

    def shown(self, ids: Iterable[str]) -> tuple[list[View], list[str]]:
        """The instances of these ids, and the ids that nothing is shown of."""
        self.refresh()
        past = self._earlier()
        views, missing = [], []
        for instance_id in dict.fromkeys(ids):
            view = past.get(instance_id, self._views.get(instance_id))
            if view is None:
                missing.append(instance_id)
            else:
                views.append(view)
        return views, missing

    def find(self, filters: Mapping[str, Values], views: Sequence[View] | None = None) -> list[View]:
        """The instances (of ``views``) that pass all filters, in the order of their launch."""
        self.refresh()
        if views is None:
            past = self._earlier()
            views = list(self._candidates(filters, past))
            if past:
                views = [seen for seen in (past.get(view.id, view) for view in views) if seen is not None]
        found = [view for view in views if all(_passes(view, name, wanted) for name, wanted in filters.items())]
        return sorted(found, key=lambda view: view.number)

    def _candidates(self, filters: Mapping[str, Values], past: Mapping[str, View | None]) -> Iterable[View]:
        """The views among which those must be that pass."""
        smallest: dict[str, None] | None = None
        for name, wanted in filters.items():
            if (name in _INDEXED or name.startswith("tag:")) and is_plain(wanted):
                found: dict[str, None] = {}
                for value in wanted:
                    found |= self._index.get((name, value), {})
                if smallest is None or len(found) < len(smallest):
                    smallest = found
        if smallest is None:
            return list(self._views.values())
        return [self._views[i] for i in smallest | dict.fromkeys(i for i in past if i in self._views)]

    def _about(self, collection: str, key: Any) -> Iterator[str]:
        """The instances whose description a record is part of."""
        if collection in ("by_id", "iam_instance_profile_associations", "tags"):
            yield str(key)
        elif collection == "enis":
            yield from self._index.get(("network-interface.network-interface-id", key), ())
            eni = self._backend.enis.get(key)
            if eni is not None and eni.instance is not None:
                yield eni.instance.id
        elif collection == "volumes":
            volume = self._backend.volumes.get(key)
            attachment = getattr(volume, "attachment", None)
            if attachment is not None and attachment.instance is not None:
                yield attachment.instance.id

    def _update(self, instance_id: str) -> None:
        before = self._views.pop(instance_id, None)
        if before is not None:
            for entry in _entries(before):
                listed = self._index.get(entry)
                if listed is not None:
                    listed.pop(instance_id, None)
                    if not listed:
                        del self._index[entry]
        instance = self._backend.by_id.get(instance_id)
        if instance is None:
            return
        if before is None:
            self._number += 1
        number = before.number if before else self._number
        tags = self._backend.tags.get(instance_id) or {}
        view = View(instance_id, number, instance, instance.reservation_id, keys_of(instance, tags))
        self._views[instance_id] = view
        for entry in _entries(view):
            self._index.setdefault(entry, {})[instance_id] = None

    def _earlier(self) -> dict[str, View | None]:
        """What is shown of instances that changed within the lag."""
        if not self._past:
            return {}
        self._forget(time.monotonic() - self._lag())
        earlier: dict[str, View | None] = {}
        for _, instance_id, view in self._past:
            earlier.setdefault(instance_id, view)
        return earlier

    def _forget(self, until: float) -> None:
        while self._past and (self._past[0][0] <= until or len(self._past) > _MOST_PAST):
            self._past.popleft()


_INDEXED = frozenset(
    (
        "instance-id",
        "instance-state-name",
        "vpc-id",
        "subnet-id",
        "private-ip-address",
        "reservation-id",
        "client-token",
        "spot-instance-request-id",
        "network-interface.network-interface-id",
        "tag-key",
    )
)


def _entries(view: View) -> Iterator[tuple[str, str]]:
    for name, values in view.keys.items():
        if name in _INDEXED or name.startswith("tag:"):
            for value in values:
                yield name, value


def _passes(view: View, name: str, wanted: Values) -> bool:
    found = view.keys.get(name)
    if found is None:
        found = () if name.startswith("tag:") else values_of(name, view.instance)
    return matches(wanted, found)
