"""Write reproducible ``tar.zst`` files."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from hcluster.errors import HclusterError

_EPOCH = 946684800
"""Every file's time: 2000-01-01. A constant other than 0, since Java takes 0 for "no such file"."""


def write(
    target: Path, entries: Sequence[tuple[str, Path | str | bytes]], *, on_entry: Callable[[int], None] | None = None
) -> None:
    """Pack ``entries`` as (name, content), in the order given, owned by root.

    A Path is a file's content (its executable bit is kept), bytes are content, a str is the target of a symbolic link.

    Raises:
        HclusterError: zstd is not installed or failed.
    """
    try:
        packer = subprocess.Popen(
            ["zstd", "--quiet", "--force", "-3", "-T0", "-o", str(target)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as cause:
        message = "zstd is not installed"
        raise HclusterError(message, hint="install zstd: `make setup` does", reference="program-missing") from cause
    with packer:
        sink = cast("IO[bytes]", packer.stdin)
        try:
            with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT) as tar:
                for number, (name, content) in enumerate(entries, start=1):
                    _add(tar, name, content)
                    if on_entry:
                        on_entry(number)
            sink.close()
        except BrokenPipeError:
            pass  # zstd says why, below
        complaint = cast("IO[bytes]", packer.stderr).read().decode(errors="replace").strip()
    if packer.returncode:
        message = f"zstd could not write {target}"
        raise HclusterError(message, context=complaint)


def _add(tar: tarfile.TarFile, name: str, content: Path | str | bytes) -> None:
    """One entry with fixed owner and time."""
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.mode, entry.uname, entry.gname = _EPOCH, 0o644, "root", "root"
    if isinstance(content, str):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content, 0o777
        tar.addfile(entry)
    elif isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    else:
        status = content.stat()
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        with content.open("rb") as source:
            tar.addfile(entry, source)
