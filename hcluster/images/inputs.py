"""Hashes over inputs: the same inputs give the same name, so that work done once is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

_IGNORED = frozenset({"__pycache__", "target"})


def files_below(folder: Path, *, ignore: frozenset[str] = frozenset()) -> list[Path]:
    """Every file below ``folder``, sorted by path; byte code, build output and names in ``ignore`` left out."""
    unwanted = _IGNORED | ignore
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path for path in found if unwanted.isdisjoint(path.relative_to(folder).parts) and path.suffix != ".pyc"
    )


def hash_of(values: Mapping[str, object], files: Mapping[str, Iterable[Path]], root: Path) -> str:
    """SHA-256 (hex) of JSON-like ``values`` and of groups of files by path below ``root``, mode and content."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for group in sorted(files):
        for path in files[group]:
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            body = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\n{group} {path.relative_to(root).as_posix()} {mode} {body}".encode())
    return digest.hexdigest()
