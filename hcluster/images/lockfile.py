"""The lock of the distribution: the SHA-256 of every file that Maven delivered, in ``sha256sum -c`` form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from hcluster.errors import IntegrityError

_SHOWN = 12
"""How many differing files an error names."""


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def digest_of_text(text: str) -> str:
    """SHA-256 (hex) of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def scan(folder: Path) -> dict[str, str]:
    """Digest of every file below ``folder`` by relative path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in files}


def read(lock: Path) -> dict[str, str]:
    """The locked digests by path; empty when there is no lock yet."""
    if not lock.exists():
        return {}
    pairs = (line.split(maxsplit=1) for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def render(digests: Mapping[str, str]) -> str:
    """The text of a lock."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def verify(found: Mapping[str, str], locked: Mapping[str, str]) -> None:
    """Compare what Maven delivered with the lock.

    Raises:
        IntegrityError: a file differs, is missing or is new; the context names them.
    """
    differing = [f"differs: {name}" for name in sorted(found.keys() & locked.keys()) if found[name] != locked[name]]
    missing = [f"missing: {name}" for name in sorted(locked.keys() - found.keys())]
    added = [f"not in the lock: {name}" for name in sorted(found.keys() - locked.keys())]
    problems = differing + missing + added
    if problems:
        shown = problems[:_SHOWN] + ([f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else [])
        message = (
            f"the jars that Maven delivered are not those of ami/hadoop/checksums.txt ({len(problems)} differences)"
        )
        raise IntegrityError(
            message,
            context="\n".join(shown),
            hint="after a wanted change of versions: hcluster ami lock; otherwise do not bake",
        )
