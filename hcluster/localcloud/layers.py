"""Image layers: folders that overlay mounts stack; an image is a layer and those below it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from hcluster.errors import HclusterError, LocalCloudError, NotFoundError
from hcluster.localcloud.system import run, write_atomically

# Unique to an instance, made anew by each one's first boot.
_IDENTITY = (
    "etc/ssh/ssh_host_*_key*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/log/journal/*",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
)
COPY_TIMEOUT = 600.0
_CURE = "make the image again, for example: hcluster ami bake --force"
_BASE_CURE = "let the base image be built again: hcluster local stop, then hcluster local start"


class Layers:
    """The layers of one cloud, in ``folder``; each holds ``layer.json`` and, unless it is a base, ``root``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()

    def register_base(self, image_id: str, root: Path) -> None:
        """Make a root file system outside this folder an image; again is fine."""
        self._write(image_id, {"root": str(root), "parent": ""})

    def exists(self, image_id: str) -> bool:
        """Whether there is such an image."""
        return (self._folder / image_id / "layer.json").is_file()

    def is_base(self, image_id: str) -> bool:
        """Whether it is a base image: instances of one are there to be baked."""
        return self.exists(image_id) and not self._read(image_id)["parent"]

    def chain(self, image_id: str) -> list[str]:
        """The image and those it stands on, top first.

        Raises:
            NotFoundError: the record of one is missing.
        """
        found = [image_id]
        while parent := self._read(found[-1])["parent"]:
            found.append(parent)
        return found

    def damaged(self) -> dict[str, str]:
        """Images that no instance can be started of, with the reason."""
        found = {}
        for path in sorted(self._folder.glob("*/layer.json")):
            try:
                self.roots(path.parent.name)
            except HclusterError as problem:
                found[path.parent.name] = problem.message
        return found

    def roots(self, image_id: str) -> list[Path]:
        """Folders to stack, top first.

        Raises:
            LocalCloudError: one of them is missing on disk.
        """
        found = [(name, Path(self._read(name)["root"])) for name in self.chain(image_id)]
        for name, root in found:
            if not root.is_dir():
                below = "" if name == image_id else f", which {image_id} stands on,"
                raise LocalCloudError(
                    f"the layer of the image {name}{below} is missing on disk ({root})",
                    hint=_CURE
                    if self._read(name)["parent"]
                    else "build the base again: hcluster local stop, then start",
                )
        return [root for _, root in found]

    def create(self, image_id: str, parent: str, upper: Path) -> None:
        """Copy an instance's changes to a new layer, without what is unique to the instance.

        Raises:
            LocalCloudError: the copy failed; no layer then.
        """
        self.chain(parent)
        target = self._folder / image_id
        fresh = self._folder / f".{image_id}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            run(["cp", "--archive", "--reflink=auto", str(upper), str(fresh / "root")], timeout=COPY_TIMEOUT)
            _forget_identity(fresh / "root")
            record = {"root": str(target / "root"), "parent": parent}
            write_atomically(fresh / "layer.json", json.dumps(record))
            # The layer appears whole, with its record, or not at all.
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def delete(self, image_id: str, in_use: Callable[[], Iterator[str]]) -> None:
        """Give a layer up; it goes once no layer and no instance (``in_use`` yields their images) stands on it."""
        with self._lock:
            if self.exists(image_id):
                self._write(image_id, self._read(image_id) | {"deleted": "yes"})
        self.collect(in_use)

    def collect(self, in_use: Callable[[], Iterator[str]]) -> None:
        """Remove given-up layers that nothing stands on any more."""
        with self._lock:
            names = [path.parent.name for path in self._folder.glob("*/layer.json")]
            kept = [name for name in names if "deleted" not in self._read(name)]
            needed = {below for name in (*kept, *in_use()) for below in self._there(name)}
            for name in set(names) - needed:
                shutil.rmtree(self._folder / name)

    def sweep(self) -> None:
        """Remove what a kill left of layers that were being made. Nothing is being made now."""
        for path in self._folder.glob(".*.new"):
            shutil.rmtree(path, ignore_errors=True)

    def _there(self, image_id: str) -> Iterator[str]:
        """The image and those below it, as far as their records are there."""
        while image_id and self.exists(image_id):
            yield image_id
            image_id = self._read(image_id)["parent"]

    def _read(self, image_id: str) -> dict[str, str]:
        try:
            record: dict[str, str] = json.loads((self._folder / image_id / "layer.json").read_text())
        except FileNotFoundError:
            raise NotFoundError(f"the local cloud has no layer of the image {image_id}", hint=_CURE) from None
        except ValueError as cause:
            raise LocalCloudError(f"the record of layer {image_id} is damaged: {cause}") from cause
        return record

    def _write(self, image_id: str, record: dict[str, str]) -> None:
        write_atomically(self._folder / image_id / "layer.json", json.dumps(record))


def _forget_identity(root: Path) -> None:
    for pattern in _IDENTITY:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if (root / "etc").is_dir():
        # Empty rather than absent: an absent one means "first boot" to systemd, which then enables units by preset.
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").touch(mode=0o644)
