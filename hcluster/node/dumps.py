"""Dumps of what this node keeps for others: written into the bucket, pruned, and fetched for a node with nothing on it.

What a dump holds is known to the program that Puppet wrote; this module moves bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hcluster.errors import IntegrityError, NodeFailedError
from hcluster.model.dumps import PREFIX, Dump, newest_first, surplus
from hcluster.node.bucket import Bucket

NONE = 4
"""Exit code of ``fetch`` when there never was a dump. Any other than 0 means that nobody knows."""
SECONDS = 840.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on a node; tests move them."""

    node: Path = Path("/etc/hcluster/node.yaml")
    """The node's Hiera layer, which the bootstrap wrote as JSON."""
    program: Path = Path("/usr/local/lib/hcluster/dump")
    """Prints a dump."""
    scratch: Path = Path("/var/lib/hcluster")


def bucket_of(node: Path) -> Bucket:
    """The bucket that this node belongs to, without asking the metadata service: it also runs while a machine ends."""
    values = json.loads(node.read_text())
    return Bucket(*(str(values[f"hcluster::{key}"]) for key in ("bucket", "region", "s3_endpoint")))


def dump(places: Places | None = None, bucket: Bucket | None = None) -> Dump:
    """Write a dump, then delete those that are not kept; the one that was written.

    Raises:
        NodeFailedError: the program failed or printed nothing; nothing was written.
        DeniedError, NotFoundError, UnreachableError: the bucket did not take it, or old ones cannot be deleted.
    """
    places = places or Places()
    bucket = bucket or bucket_of(places.node)
    at = datetime.now(UTC).replace(microsecond=0)
    with _scratch(places.scratch) as path:
        _run(places.program, path)
        made = Dump(at, _sha256(path))
        # The whole object or none: a name is never written twice.
        bucket.put_file(made.key, path)
    # Only now: however often writing fails, what is there stays.
    for old in surplus(newest_first(bucket.keys(PREFIX))):
        bucket.delete(old.key)
    return made


def fetch(target: Path, places: Places | None = None, bucket: Bucket | None = None) -> Dump | None:
    """Write the newest dump to ``target``, checked against the digest in its name; None when there never was one.

    Raises:
        IntegrityError: it is damaged; an older one is not taken instead, as nobody would notice what is missing.
        DeniedError, UnreachableError: the bucket does not tell.
    """
    places = places or Places()
    bucket = bucket or bucket_of(places.node)
    newest = next(iter(newest_first(bucket.keys(PREFIX))), None)
    if newest is None:
        return None
    with _scratch(target.parent) as path:
        bucket.get_file(newest.key, path)
        found = _sha256(path)
        if found != newest.sha256:
            raise IntegrityError(
                f"dump s3://{bucket.name}/{newest.key} is damaged",
                context=f"its bytes have the digest {found}; delete that object to use the dump before it",
            )
        path.replace(target)
    return newest


def _run(program: Path, target: Path) -> None:
    try:
        with target.open("wb") as out:
            done = subprocess.run(
                [str(program)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise NodeFailedError(f"{program} cannot be run to its end: {cause}") from cause
    if done.returncode != 0 or not target.stat().st_size:
        raise NodeFailedError(
            f"{program} ended with code {done.returncode} after {target.stat().st_size} bytes",
            context=done.stderr.decode(errors="replace")[-4000:],
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A file that only root reads, gone afterwards unless it was moved away."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".dump-", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def main(words: list[str]) -> int:
    """``dump`` or ``fetch-dump FILE``; the exit code."""
    if words[0] == "dump":
        print(f"hcluster: dumped to {dump().key}", flush=True)
        return 0
    found = fetch(Path(words[1]))
    if found is None:
        print("hcluster: there is no dump", flush=True)
        return NONE
    print(f"hcluster: fetched {found.key}", flush=True)
    return 0
