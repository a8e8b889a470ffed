"""One folder of Puppet code as bytes that depend on nothing but its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from hcluster.errors import UsageError

_IGNORED = frozenset({"spec", "__pycache__"})
"""What nodes do not need: tests of modules."""


def files_of(folder: Path) -> list[Path]:
    """The files of a release, sorted; hidden ones and tests are left out.

    Raises:
        UsageError: it is no folder of Puppet code, or holds a symbolic link (which could lead out of the release).
    """
    if not (folder / "manifests" / "site.pp").is_file():
        raise UsageError(
            f"{folder} holds no manifests/site.pp",
            hint="run it in a checkout of hcluster, or name the folder: `hcluster puppet publish --source DIR`",
        )
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        parts = path.relative_to(folder).parts
        if any(part in _IGNORED or part.startswith(".") for part in parts):
            continue
        if path.is_symlink():
            raise UsageError(
                f"{path} is a symbolic link, which a release cannot hold", hint="put the file itself there"
            )
        if path.is_file():
            found.append(path)
    return found


def pack(folder: Path) -> bytes:
    """The folder as tar.gz: the same content gives the same bytes, on every machine and at any time."""
    tarball = io.BytesIO()
    with tarfile.open(fileobj=tarball, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in files_of(folder):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            body = path.read_bytes()
            entry.size = len(body)
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            entry.uname = entry.gname = "root"
            tar.addfile(entry, io.BytesIO(body))
    return gzip.compress(tarball.getvalue(), mtime=0)


def digest_of(release: bytes) -> str:
    """SHA-256 (hex), the release's address."""
    return hashlib.sha256(release).hexdigest()
