"""The base image: Debian 12 made by mmdebstrap from this machine's own apt sources, kept by the hash of its inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud import base_files
from hcluster.localcloud.apt_sources import AptSource
from hcluster.localcloud.system import environment, hold, run, write_atomically
from hcluster.model.events import Progress, Report, silent

CODENAME = "bookworm"
BUILD_TIMEOUT = 900.0
"""Seconds that one build may take; it takes about 50."""

_PATIENCE = 30.0
UNUSED_SECONDS = 24 * 3600.0
"""So long an older base stays after its last use: a cloud that starts may not have noted yet that it needs it."""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A built base: ``root`` is its root file system, read by all clouds of the state folder."""

    digest: str
    root: Path
    built: str
    """Date, yyyymmdd."""

    @property
    def image_id(self) -> str:
        """Its id in EC2's form; the same inputs give the same id."""
        return f"ami-{self.digest[:17]}"

    @property
    def name(self) -> str:
        """Named as Debian names its own, so that one filter finds the base on either cloud."""
        return f"debian-12-amd64-{self.built}-local"


def debian_sources(sources: Sequence[AptSource]) -> tuple[AptSource, ...]:
    """Those that serve Debian 12.

    Raises:
        LocalCloudError: there are none.
    """
    found = tuple(source for source in sources if source.suite.split("/")[0].split("-")[0] == CODENAME)
    if not found:
        raise LocalCloudError(
            "this machine has no apt source for Debian 12 (bookworm), which the base image is made from",
            hint="add Debian's archive to /etc/apt/sources.list.d, then run: apt-get update",
        )
    return found


def digest_of(sources: Sequence[AptSource]) -> str:
    """SHA-256 (hex) over everything that the content of the base depends on, apart from the day."""
    inputs = {
        "sources": [source.line() for source in sources],
        "packages": base_files.PACKAGES,
        "files": base_files.FILES,
        "links": base_files.LINKS,
        "removed": base_files.REMOVED,
        "dpkg": base_files.DPKG_OPTIONS,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def find(cache: Path, digest: str) -> BaseImage | None:
    """The built base of that digest, None when it has yet to be built (or its root is gone)."""
    folder = cache / "base" / digest[:16]
    try:
        record = json.loads((folder / "image.json").read_text())
    except FileNotFoundError:
        return None
    if not (folder / "root/etc").is_dir():
        return None
    return BaseImage(record["digest"], folder / "root", record["built"])


def ensure(cache: Path, sources: Sequence[AptSource], report: Report = silent) -> BaseImage:
    """The base of this machine, built now when the cache has none.

    Raises:
        LocalCloudError: no Debian source, or mmdebstrap failed; nothing is left in the cache then.
    """
    chosen = debian_sources(sources)
    digest = digest_of(chosen)
    folder = cache / "base" / digest[:16]
    with hold(folder.with_name(folder.name + ".lock")):
        found = find(cache, digest)
        if found:
            folder.touch()
            return found
        for abandoned in folder.parent.glob(f"{folder.name}.*.new"):
            _discard(abandoned)
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
        try:
            fresh.mkdir()
            _bootstrap(fresh / "root", chosen, report)
            _customize(fresh / "root")
            built = datetime.now(UTC).strftime("%Y%m%d")
            write_atomically(fresh / "image.json", json.dumps({"digest": digest, "built": built}))
            _discard(folder)
            fresh.rename(folder)
        finally:
            _discard(fresh)
    report(Progress("base-image", "base image built", state="ok"))
    return BaseImage(digest, folder / "root", built)


def prune(cache: Path, clouds: Path, now: float) -> list[Path]:
    """Remove bases that no cloud below ``clouds`` has an image of, and that nobody used for a day; those removed.

    A cloud keeps each base that it ever started with, since its images may stand on it, until it is reset.
    """
    removed = []
    for folder in sorted((cache / "base").glob("*")):
        if not _unused(folder, now):
            continue
        with suppress(LocalCloudError), hold(folder.with_name(folder.name + ".lock"), wait=False):
            # Whoever starts a cloud touches its base before the cloud notes that it needs it: look in this order.
            if _unused(folder, now) and folder not in _needed(clouds):
                away = folder.with_name(f"{folder.name}.{os.getpid()}.new")
                folder.rename(away)
                _discard(away)
                removed.append(folder)
    return removed


def _unused(folder: Path, now: float) -> bool:
    return (folder / "image.json").is_file() and folder.stat().st_mtime < now - UNUSED_SECONDS


def _needed(clouds: Path) -> set[Path]:
    """Folders of the bases that some cloud has a layer of.

    Raises:
        LocalCloudError: the record of a layer is damaged, so that nobody knows.
    """
    found = set()
    for record in clouds.glob("*/layers/*/layer.json"):
        try:
            found.add(Path(json.loads(record.read_text())["root"]).parent)
        except FileNotFoundError:
            continue  # the layer goes at this moment
        except (ValueError, KeyError) as cause:
            raise LocalCloudError(f"{record} is damaged") from cause
    return found


def _discard(fresh: Path) -> None:
    if not fresh.exists():
        return
    # A build that was killed may have left its mounts; deleting through a bind of /dev would hit the machine itself.
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        target = line.split()[1]
        if target.startswith(f"{fresh}/"):
            run(["umount", "--lazy", target])
    # What a killed build still writes for a moment is found by the next one.
    shutil.rmtree(fresh, ignore_errors=True)


def bootstrap_command(root: Path, sources: Sequence[AptSource]) -> list[str]:
    """The mmdebstrap call that makes ``root``."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=apt",
        "--include=" + ",".join(base_files.PACKAGES),
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt={option}" for option in base_files.DPKG_OPTIONS),
        # Packages such as Java's link manuals and fail where the folder is missing.
        '--setup-hook=mkdir -p "$1/usr/share/man/man1" "$1/usr/share/man/man8"',
        '--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash --groups sudo --password "*" admin',
        CODENAME,
        str(root),
        *(source.line() for source in sources),
    ]


def _bootstrap(root: Path, sources: Sequence[AptSource], report: Report) -> None:
    report(Progress("base-image", "base image: Debian 12 from this machine's apt sources (about a minute, once)"))
    # The build ends with this process, however that ends.
    command = ["setpriv", "--pdeathsig", "TERM", "timeout", f"{BUILD_TIMEOUT:g}", *bootstrap_command(root, sources)]
    tail: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    ) as build:
        try:
            for line in build.stdout or ():
                tail.append(line.rstrip())
                if line.startswith("I: "):
                    report(Progress("base-image", f"base image: {line[3:].strip()}"))
        except BaseException:
            # It cleans up after itself when told to end; only then may its folder go.
            build.terminate()
            build.wait(_PATIENCE)
            raise
    if build.returncode != 0:
        report(Progress("base-image", "base image failed", state="failed"))
        raise LocalCloudError(
            f"mmdebstrap could not make the base image (code {build.returncode})",
            context="\n".join(tail),
            hint="check that `apt-get update` works on this machine, then run `hcluster local start` again",
        )


def _customize(root: Path) -> None:
    for pattern in base_files.REMOVED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, (mode, text) in base_files.FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
    for name, target in base_files.LINKS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
