"""Put a release into the platform's bucket and move a channel to it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hcluster.errors import ConflictError, NotFoundError, UsageError
from hcluster.model import names
from hcluster.model.events import Progress, Report, silent
from hcluster.model.principal import Principal
from hcluster.ports import Clock, ObjectStore
from hcluster.releases.pack import digest_of, pack
from hcluster.releases.validate import validate

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
STEP = "release"


@dataclass(frozen=True, slots=True)
class Published:
    """A channel and the release that it points to now."""

    channel: str
    digest: str
    key: str
    moved: bool
    """False: the channel pointed there already."""


def publish(
    store: ObjectStore, folder: Path, channel: str, principal: Principal, report: Report = silent, *, clock: Clock
) -> Published:
    """Validate, upload once, move the channel. Safe to repeat.

    Raises:
        UsageError: the channel's name or the folder is wrong.
        HclusterError: the code is not valid; nothing was published.
        NotFoundError: there is no bucket.
        ConflictError: somebody else moved the channel in the meantime; it is as they left it.
    """
    _check_name(channel)
    release = pack(folder)
    digest = digest_of(release)
    key = names.release_key(digest)
    pointer, etag = _pointer(store, channel)
    if pointer.get("digest") == digest:
        report(Progress(STEP, f"channel {channel} points to {digest[:12]} already", state="ok"))
        return Published(channel, digest, key, moved=False)
    report(Progress(STEP, "validating the Puppet code"))
    count = validate(folder)
    report(Progress(STEP, f"uploading release {digest[:12]} ({len(release) // 1024} KiB, {count} files validated)"))
    with suppress(ConflictError):  # there already: the same bytes, for the key is their digest
        store.put(key, release, if_none_match=True)
    _move(store, channel, etag, _body(digest, principal, clock.now()))
    report(Progress(STEP, f"channel {channel} points to release {digest[:12]}", state="ok"))
    return Published(channel, digest, key, moved=True)


def _check_name(channel: str) -> None:
    if not _CHANNEL.fullmatch(channel):
        raise UsageError(f"{channel!r} cannot be a channel", hint="use up to 32 of a-z, 0-9 and -, such as `stable`")


def _pointer(store: ObjectStore, channel: str) -> tuple[dict[str, object], str]:
    """(content, etag) of the channel's pointer; both empty when there is none."""
    if not store.exists():
        raise NotFoundError(f"there is no bucket {store.bucket}", hint="hcluster platform up", reference="no-bucket")
    try:
        body, etag = store.get(names.channel_key(channel))
    except NotFoundError:
        return {}, ""
    return json.loads(body), etag


def _body(digest: str, principal: Principal, now: float) -> bytes:
    by = {"user": principal.user, "team": principal.team}
    published = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return json.dumps({"digest": digest, "published": published, "by": by}, sort_keys=True, indent=1).encode()


def _move(store: ObjectStore, channel: str, etag: str, body: bytes) -> None:
    """Write the pointer, unless it changed since it was read."""
    key = names.channel_key(channel)
    try:
        if etag:
            store.put(key, body, if_match=etag)
        else:
            store.put(key, body, if_none_match=True)
    except ConflictError as cause:
        raise ConflictError(
            f"somebody else published to channel {channel} in the meantime",
            context=f"the pointer s3://{store.bucket}/{key} changed since it was read; it was left as it is",
            hint=f"look at their change, then run `hcluster puppet publish --channel {channel}` again",
        ) from cause
