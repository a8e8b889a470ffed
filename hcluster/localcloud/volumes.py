"""Volumes of one cloud: sparse files, and the loop devices by which nodes get at them.

A loop device stays until it is given back (no autoclear): it is found by its file, so that whoever comes after a killed
daemon finds exactly this cloud's, and no other.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud.system import run

GIB = 1 << 30
COPY_TIMEOUT = 600.0
RELEASE_TIMEOUT = 10.0
"""Seconds until a device whose last user has ended is free; the kernel takes its mounts down by and by."""

_BLOCK = Path("/sys/block")
_VOLUME = re.compile(r"vol-[0-9a-f]{8,17}")
_SNAPSHOT = re.compile(r"snap-[0-9a-f]{8,17}")


@dataclass(frozen=True, slots=True)
class LoopDevice:
    """A block device of this machine that shows a file."""

    path: Path
    major: int
    minor: int


def loop_devices(folder: Path) -> dict[Path, LoopDevice]:
    """Loop devices by their files, those with files in ``folder`` only."""
    found = {}
    for entry in _BLOCK.glob("loop*"):
        try:
            # A file that is deleted already has a mark behind its name.
            file = Path((entry / "loop/backing_file").read_text().rstrip("\n").removesuffix(" (deleted)"))
            major, minor = (entry / "dev").read_text().split(":")
        except OSError:  # Free, or given back between two lines.
            continue
        if file.parent == folder:
            found[file] = LoopDevice(Path("/dev") / entry.name, int(major), int(minor))
    return found


def detach(device: LoopDevice) -> None:
    """Give a loop device back and wait until it is free.

    Raises:
        LocalCloudError: something still uses it after 10 s; it becomes free when that ends.
    """
    state = _BLOCK / device.path.name / "loop/backing_file"
    deadline = time.monotonic() + RELEASE_TIMEOUT
    while state.exists():
        # Repeated: a device in use is only marked, and that mark may come too late for its last user.
        run(["losetup", "--detach", str(device.path)], check=False)
        if not state.exists():
            return
        if time.monotonic() > deadline:
            raise LocalCloudError(f"the loop device {device.path} is still in use")
        time.sleep(0.02)


class Volumes:
    """The volumes and snapshots in ``folder``. Methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._lock = threading.Lock()
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """By volume: a copy may take long, and holds up nobody else."""

    def create(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """Make a volume, empty or as a snapshot, or grow the one that is there.

        Raises:
            LocalCloudError: no room, or no such snapshot; what was there before is unchanged.
        """
        path = self._path(volume_id)
        with self._making[volume_id]:
            if not path.exists():
                self._make(path, self._path(snapshot_id) if snapshot_id else None, size_gib)
            elif path.stat().st_size < size_gib * GIB:
                _resize(path, size_gib)
            if device := self._device(path):
                run(["losetup", "--set-capacity", str(device.path)])

    def delete(self, volume_id: str) -> None:
        """Remove a volume or snapshot with its device; gone already is fine.

        Raises:
            LocalCloudError: a node uses it.
        """
        path = self._path(volume_id)
        self.close(volume_id)
        path.unlink(missing_ok=True)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Copy what the volume holds now; what nodes have not written through is not in it.

        Raises:
            LocalCloudError: no room, or no such volume; no snapshot then.
        """
        source, target = self._present(volume_id), self._path(snapshot_id)
        if device := self._device(source):
            handle = os.open(device.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        if not target.exists():
            self._make(target, source, 0)

    def open(self, volume_id: str) -> LoopDevice:
        """The device of a volume, made when it has none.

        Raises:
            LocalCloudError: the volume is missing on disk, or this machine has no loop device for it.
        """
        path = self._present(volume_id)
        with self._lock:
            if found := self._device(path):
                return found
            run(["losetup", "--find", str(path)])
            made = self._device(path)
        if made is None:
            raise LocalCloudError(f"{volume_id} got no loop device")
        return made

    def close(self, volume_id: str) -> None:
        """Give a volume's device back, if it has one.

        Raises:
            LocalCloudError: something still uses it.
        """
        with self._lock:
            device = self._device(self._path(volume_id))
        if device is not None:
            detach(device)

    def busy(self, volume_id: str) -> bool:
        """Whether something holds the volume's device for itself, as a mounted file system does."""
        device = self._device(self._path(volume_id))
        if device is None:
            return False
        try:
            os.close(os.open(device.path, os.O_RDONLY | os.O_EXCL))
        except OSError as cause:
            if cause.errno == errno.EBUSY:
                return True
            raise LocalCloudError(f"{device.path} of {volume_id}: {cause.strerror}") from cause
        return False

    def sweep(self, kept: Collection[str]) -> list[str]:
        """Remove all but these volumes and snapshots, and what was cut off while it was made; what was removed."""
        removed = []
        for path in sorted(self._folder.glob("*")) if self._folder.is_dir() else ():
            if path.suffix == ".new":
                path.unlink()
            elif path.suffix == ".img" and path.stem not in kept:
                self.delete(path.stem)
                removed.append(path.stem)
        return removed

    def _make(self, path: Path, source: Path | None, size_gib: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        try:
            if source is not None:
                if not source.is_file():
                    raise LocalCloudError(f"{source.stem} is missing on disk ({source})")
                options = ("--sparse=always", "--reflink=auto")
                run(["cp", *options, str(source), str(fresh)], timeout=COPY_TIMEOUT)
            _resize(fresh, size_gib)
            fresh.rename(path)
            _keep_name(self._folder)
        finally:
            fresh.unlink(missing_ok=True)

    def _device(self, path: Path) -> LoopDevice | None:
        return loop_devices(self._folder).get(path)

    def _present(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise LocalCloudError(f"the volume {name} is missing on disk ({path})")
        return path

    def _path(self, name: str) -> Path:
        if not (_VOLUME.fullmatch(name) or _SNAPSHOT.fullmatch(name)):
            raise LocalCloudError(f"'{name}' names neither a volume nor a snapshot")
        return self._folder / f"{name}.img"


def _keep_name(folder: Path) -> None:
    """Have a folder's new names on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _resize(path: Path, size_gib: int) -> None:
    """Grow a sparse file, or make it; it never shrinks."""
    try:
        with path.open("ab") as file:
            if size_gib * GIB > file.tell():
                file.truncate(size_gib * GIB)
            os.fsync(file.fileno())
    except OSError as cause:
        raise LocalCloudError(f"{path.stem} cannot have {size_gib} GiB here: {cause.strerror}") from cause
