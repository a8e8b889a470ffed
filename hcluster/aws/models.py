"""The SDK's descriptions of services, read at less cost: most of what a client costs to make is reading them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import botocore
from botocore.loaders import JSONFileLoader, Loader

from hcluster.aws import trim
from hcluster.aws.trim import OPERATIONS, trimmed

_TYPE = "service-2"
"""The SDK's name for what describes a service's operations."""
_LETTERS = 16
"""Of the part of a kept file's name that tells what it was made of."""
_CUTTING = hashlib.sha256(Path(trim.__file__).read_bytes()).hexdigest()
"""What is cut out, and how: that may change without the SDK's own files."""
_KEPT = 2
"""Of each service: two versions of hcluster, or of the SDK, may be used side by side."""
_ABANDONED_SECONDS = 3600
"""A file that was begun so long before another was done belongs to a process that was killed."""


class _Files(JSONFileLoader):  # type: ignore[misc]
    """Descriptions as plain dictionaries, which keep the order of their keys as well as an OrderedDict and are made in
    half the time."""

    def _load_file(self, full_path: str, open_method: Callable[[str, str], BinaryIO]) -> Any:
        if not Path(full_path).is_file():
            return None
        with open_method(full_path, "rb") as stream:
            return json.loads(stream.read())


class ServiceModels(Loader):  # type: ignore[misc]
    """The SDK's own loader, but for two things.

    Which services there are is answered from the names of the folders, without looking into each of four hundred. And
    of the large descriptions only what hcluster calls is read: it is cut out of the SDK's own when first needed, and
    kept.

    Args:
        folder: where to keep what was cut out; None: descriptions are always read as a whole. It may be removed at any
            time, and whoever may not write there does without.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(file_loader=_Files())
        self._folder = folder

    def list_available_services(self, type_name: str) -> list[str]:
        """Names of services, among them those that have no description of ``type_name``."""
        del type_name
        folders = [Path(one) for one in self.search_paths]
        return sorted({entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()})

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """A service's description of a type."""
        if self._folder is None or type_name != _TYPE or api_version or service_name not in OPERATIONS:
            return super().load_service_model(service_name, type_name, api_version)
        kept = self._folder / f"{service_name}-{self._origin(service_name)}.json"
        found = _read(kept, service_name)
        if found is None:
            found = super().load_service_model(service_name, type_name, api_version)
            # Somebody's own description may lack what ours calls; it is taken as it is.
            with suppress(KeyError, TypeError, AttributeError):
                found = trimmed(found, OPERATIONS[service_name])
                _write(kept, service_name, found)
        return found

    def _origin(self, service: str) -> str:
        """What changes whenever the files change of which a description is made, or what is wanted of them."""
        version = self.determine_latest_version(service, _TYPE)
        places = [Path(folder) / service / version for folder in self.search_paths]
        files = sorted(file for place in places for file in place.glob(f"{_TYPE}*"))
        seen = [(str(file), (state := file.stat()).st_size, state.st_mtime_ns) for file in files]
        told = json.dumps([botocore.__version__, seen, OPERATIONS[service], _CUTTING])
        return hashlib.sha256(told.encode()).hexdigest()[:_LETTERS]


def _read(kept: Path, service: str) -> Any:
    """What was kept; None when there is nothing, or nothing that can be used.

    It says how requests are made and signed, so that what others can write counts for nothing: the folder may be one
    that is shared.
    """
    try:
        with kept.open("rb") as stream:
            state = os.fstat(stream.fileno())
            if state.st_uid not in (0, os.geteuid()) or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            found = json.load(stream)
        whole = found["metadata"] and found["shapes"] and set(found["operations"]) == set(OPERATIONS[service])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if whole else None


def _write(kept: Path, service: str, found: Any) -> None:
    """In one step, as calls run side by side, also from several machines; what was cut out long before goes."""
    import tempfile

    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        begun = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it is renamed, or removed below
            "w", encoding="utf-8", prefix=f".{service}-", dir=kept.parent, delete=False
        )
        try:
            with begun:
                begun.write(json.dumps(found, separators=(",", ":")))
            Path(begun.name).replace(kept)
        finally:
            Path(begun.name).unlink(missing_ok=True)
        _tidy(kept, service)


def _tidy(kept: Path, service: str) -> None:
    """Remove what nobody reads any more."""
    done = kept.stat().st_mtime
    digest = "?" * _LETTERS
    whole = sorted(kept.parent.glob(f"{service}-{digest}.json"), key=lambda path: (path == kept, path.stat().st_mtime))
    begun = [one for one in kept.parent.glob(f".{service}-*") if done - one.stat().st_mtime > _ABANDONED_SECONDS]
    for old in [*whole[:-_KEPT], *begun]:
        old.unlink(missing_ok=True)
