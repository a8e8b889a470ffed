"""Carries lifecycle configurations out: what they say is due goes."""

from __future__ import annotations

import json
import logging

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.s3.context import Context
from hcluster.localcloud.api.s3.lifecycle_rules import Rule, rules_of
from hcluster.localcloud.api.s3.objects import delete_version
from hcluster.localcloud.api.s3.store import current, drop_version, one_version
from hcluster.localcloud.api.s3.uploads import drop_upload

log = logging.getLogger(__name__)

_BATCH = 500


def expire(cloud: Context) -> int:
    """Remove everything that is due in any bucket; how many versions and uploads."""
    removed = 0
    for bucket, document in cloud.store.database.rows("select bucket, document from settings where kind='lifecycle'"):
        rules = rules_of(document.encode())
        removed += _abort(cloud, bucket, rules)
        removed += _expire_current(cloud, bucket, rules)
        removed += _expire_noncurrent(cloud, bucket, rules)
        removed += _drop_markers(cloud, bucket, rules)
    return removed


def _abort(cloud: Context, bucket: str, rules: list[Rule]) -> int:
    now, removed = cloud.store.now(), 0
    uploads = cloud.store.database.rows("select key, id, started from uploads where bucket=?", (bucket,))
    for key, identity, started in uploads:
        if any(key.startswith(rule.prefix) and rule.aborts(started, now) for rule in rules):
            try:
                drop_upload(cloud, bucket, key, identity)
            except Fault:
                continue  # completed or aborted meanwhile
            removed += 1
    return removed


def _expire_current(cloud: Context, bucket: str, rules: list[Rule]) -> int:
    now = cloud.store.now()
    rows = cloud.store.database.rows(
        "select key, size, tags, modified, version from versions where bucket=? and latest=1 and marker=0", (bucket,)
    )
    due = [
        (key, version)
        for key, size, tags, modified, version in rows
        if any(rule.covers(key, size, json.loads(tags)) and rule.expires(modified, now) for rule in rules)
    ]
    for first in range(0, len(due), _BATCH):
        files: list[str] = []
        with cloud.store.database.write(frees=True) as connection:
            row = connection.execute("select versioning from buckets where name=?", (bucket,)).fetchone()
            if row is None:
                return first
            for key, version in due[first : first + _BATCH]:
                found = current(connection, bucket, key)
                if found is not None and found.version == version and found.modified <= now:
                    files.extend(delete_version(connection, (bucket, key, ""), row[0], None, now)[0])
        cloud.store.files.remove(files)
    return len(due)


def _expire_noncurrent(cloud: Context, bucket: str, rules: list[Rule]) -> int:
    """Old versions: their age counts from when the next one replaced them."""
    now, removed = cloud.store.now(), 0
    rows = cloud.store.database.rows(
        "select key, version, size, tags, modified, latest from versions where bucket=? order by key, id desc",
        (bucket,),
    )
    before: tuple[str, float] = ("", 0.0)
    newer = 0
    for key, version, size, tags, modified, latest in rows:
        if key != before[0]:
            newer = 0
        elif not latest:
            replaced = before[1]
            if any(
                rule.covers(key, size, json.loads(tags))
                and rule.outlived(replaced, now)
                and newer >= rule.noncurrent_kept
                for rule in rules
            ):
                removed += _drop(cloud, bucket, key, version)
            newer += 1
        before = (key, modified)
    return removed


def _drop_markers(cloud: Context, bucket: str, rules: list[Rule]) -> int:
    """Delete markers that no version stands behind."""
    rows = cloud.store.database.rows(
        "select key, version from versions v where bucket=? and latest=1 and marker=1 and not exists"
        " (select 1 from versions o where o.bucket=v.bucket and o.key=v.key and o.id<>v.id)",
        (bucket,),
    )
    return sum(
        _drop(cloud, bucket, key, version)
        for key, version in rows
        if any(rule.markers and key.startswith(rule.prefix) for rule in rules)
    )


def _drop(cloud: Context, bucket: str, key: str, version: str) -> int:
    with cloud.store.database.write(frees=True) as connection:
        found = one_version(connection, bucket, key, version)
        files = drop_version(connection, found) if found is not None else []
    cloud.store.files.remove(files)
    return int(found is not None)
