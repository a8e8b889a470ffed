"""Files in the platform's bucket, below the prefixes that hold data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from hcluster.errors import NotFoundError, UsageError
from hcluster.flows.context import Context
from hcluster.model.events import Progress
from hcluster.plan.words import amount

DATA_PREFIXES = ("data/", "tmp/", "warehouse/", "logs/", "registry/")
"""What people may touch; the rest of the bucket is hcluster's own state."""


def checked_key(key: str, bucket: str) -> str:
    """A key from what people write: ``data/x``, ``s3://BUCKET/data/x`` or ``s3a://BUCKET/data/x``. Pure.

    Raises:
        UsageError: another bucket, or a key outside the data prefixes.
    """
    scheme, separator, rest = key.partition("://")
    if separator:
        if scheme not in ("s3", "s3a") or rest.partition("/")[0] != bucket:
            raise UsageError(
                f"{key} is not in the platform's bucket {bucket}", hint=f"write the key alone, or s3a://{bucket}/…"
            )
        key = rest.partition("/")[2]
    key = key.lstrip("/")
    if not key.startswith(DATA_PREFIXES):
        raise UsageError(
            f"{key or 'the whole bucket'} is not a place for data",
            hint=f"keys begin with one of {', '.join(DATA_PREFIXES)}",
        )
    return key


def put(ctx: Context, file: Path, key: str) -> str:
    """Upload a file; the full ``s3a://`` address. A key that ends with / keeps the file's name.

    Raises:
        NotFoundError: there is no such file.
    """
    target = checked_key(key, ctx.store.bucket)
    if not file.is_file():
        wrong = "is a folder" if file.is_dir() else "does not exist"
        raise NotFoundError(f"{file} {wrong}", hint="hcluster data put FILE KEY uploads one file")
    target = f"{target}{file.name}" if target.endswith("/") else target
    whole = file.stat().st_size
    size = amount(whole)
    gone, lock = 0, threading.Lock()

    def sent(count: int) -> None:
        nonlocal gone
        with lock:
            gone += count
            ctx.report(Progress("put", f"uploading {file.name} ({size})", gone >> 20, whole >> 20))

    ctx.report(Progress("put", f"uploading {file.name} ({size})"))
    ctx.store.put_file(target, str(file), sent)
    address = f"s3a://{ctx.store.bucket}/{target}"
    ctx.report(Progress("put", f"uploaded {address} ({size})", state="ok"))
    return address


def cat(ctx: Context, key: str) -> Iterator[bytes]:
    """The bytes of an object of any size, piece by piece.

    Raises:
        NotFoundError: there is none; when the first piece is asked for.
    """
    checked = checked_key(key, ctx.store.bucket)
    try:
        yield from ctx.store.stream(checked)
    except NotFoundError as cause:
        cause.hint = cause.hint or f"`hcluster data list {checked.rpartition('/')[0]}/` shows what there is"
        raise


def listing(ctx: Context, prefix: str) -> Iterator[tuple[str, float]]:
    """(key, last modified in epoch seconds) of everything below a prefix."""
    return ctx.store.list(checked_key(prefix, ctx.store.bucket))
