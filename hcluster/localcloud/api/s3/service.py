"""S3 as the gateway calls it: finds the operation, has it carried out, shapes the answer."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.s3 import buckets, copying, deleting, expiry, listing, objects, uploads
from hcluster.localcloud.api.s3 import request as asked
from hcluster.localcloud.api.s3.answer import Answer
from hcluster.localcloud.api.s3.context import Access, Context
from hcluster.localcloud.api.s3.files import disk_problem
from hcluster.localcloud.api.s3.problem import Problem, error_xml, problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import Store, drop_version, one_version
from hcluster.localcloud.api.signature import ChunkSigner

log = logging.getLogger(__name__)

EXPIRY = 3600.0
"""Seconds between two looks at what lifecycle configurations say is due."""

Operation = Callable[[Context, Request], Answer]

OPERATIONS: dict[str, Operation] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "HeadBucket": buckets.head_bucket,
    "GetBucketLocation": buckets.get_location,
    "GetBucketVersioning": buckets.get_versioning,
    "PutBucketVersioning": buckets.put_versioning,
    "GetBucketPolicyStatus": buckets.policy_status,
    "GetBucketAcl": buckets.get_acl,
    "PutBucketAcl": buckets.put_acl,
    "GetObjectAcl": buckets.get_acl,
    "PutObjectAcl": buckets.put_acl,
    **dict.fromkeys(
        (
            "GetBucketPolicy",
            "GetBucketTagging",
            "GetBucketEncryption",
            "GetPublicAccessBlock",
            "GetBucketOwnershipControls",
            "GetBucketLifecycleConfiguration",
            "GetBucketLogging",
            "GetBucketNotificationConfiguration",
            "GetBucketAccelerateConfiguration",
            "GetBucketRequestPayment",
        ),
        buckets.get_setting,
    ),
    **dict.fromkeys(
        (
            "PutBucketPolicy",
            "PutBucketTagging",
            "PutBucketEncryption",
            "PutPublicAccessBlock",
            "PutBucketOwnershipControls",
            "PutBucketLifecycleConfiguration",
            "PutBucketLogging",
            "PutBucketNotificationConfiguration",
            "PutBucketAccelerateConfiguration",
            "PutBucketRequestPayment",
        ),
        buckets.put_setting,
    ),
    **dict.fromkeys(
        (
            "DeleteBucketPolicy",
            "DeleteBucketTagging",
            "DeleteBucketEncryption",
            "DeletePublicAccessBlock",
            "DeleteBucketOwnershipControls",
            "DeleteBucketLifecycle",
        ),
        buckets.delete_setting,
    ),
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects,
    "ListObjectVersions": listing.list_versions,
    "ListMultipartUploads": listing.list_uploads,
    "PutObject": objects.put_object,
    "GetObject": objects.get_object,
    "HeadObject": objects.get_object,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": deleting.delete_objects,
    "CopyObject": copying.copy_object,
    "GetObjectTagging": objects.object_tagging,
    "PutObjectTagging": objects.object_tagging,
    "DeleteObjectTagging": objects.object_tagging,
    "GetObjectAttributes": objects.object_attributes,
    "CreateMultipartUpload": uploads.create_upload,
    "UploadPart": uploads.upload_part,
    "UploadPartCopy": uploads.upload_part_copy,
    "CompleteMultipartUpload": uploads.complete_upload,
    "AbortMultipartUpload": uploads.abort_upload,
    "ListParts": uploads.list_parts,
}


class ObjectService:
    """One cloud's S3. Order of use: make it, ``open``, answer, ``close``."""

    def __init__(
        self,
        folder: Path,
        account: str,
        region: str,
        access: Access,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``folder``: the cloud's records. ``now``: the API's clock, in epoch seconds."""
        self._folder = folder
        self._store = Store(folder, now)
        self._context = Context(self._store, account, region, access)
        self._opened = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._expiring, name="lifecycle", daemon=True)

    def open(self) -> None:
        """Read the records; remove what a crash left; repeatable. Raises LocalCloudError when they cannot be read."""
        if self._opened:
            return
        old = self._folder / "objects.pickle"
        if old.exists():
            raise LocalCloudError(
                f"the local cloud's objects in {old} are of an older version of hcluster",
                hint="hcluster local reset (removes its instances, images and objects)",
            )
        self._store.files.prepare()
        self._store.database.open()
        self._check_files()
        self._opened = True

    def start(self) -> None:
        """Begin to carry lifecycle configurations out."""
        self._thread.start()

    def close(self) -> None:
        """Write everything down; repeatable."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._store.database.close()

    def bucket_policy(self, bucket: str) -> str:
        """The policy (JSON) of a bucket, "" when it has none."""
        return self._store.setting(bucket, "policy") or ""

    def reserve(self, bucket: str, account: str) -> None:
        """A bucket of another account, so that its name is taken; repeatable."""
        with self._store.database.write() as connection:
            connection.execute(
                "insert or ignore into buckets(name, account, region, created) values(?,?,?,?)",
                (bucket, account, self._context.region, self._store.now()),
            )

    def expire(self) -> int:
        """Remove what lifecycle configurations say is due; how many versions and uploads."""
        return expiry.expire(self._context)

    def _expiring(self) -> None:
        while not self._stop.wait(EXPIRY):
            try:
                self.expire()
            except Exception:
                log.exception("lifecycle configurations were not carried out")

    def _check_files(self) -> None:
        known: dict[str, int] = {}
        for (files,) in self._store.database.rows("select files from versions where files<>'[]'"):
            known.update(dict(json.loads(files)))
        known.update(dict(self._store.database.rows("select file, size from parts")))
        removed, torn = self._store.files.sweep(known)
        if removed:
            log.info("%d files of no object were removed", removed)
        if torn:
            # Only a machine that lost its power can do that: the record was written, the bytes were not yet.
            self._forget(set(torn))

    def _forget(self, torn: set[str]) -> None:
        gone: list[str] = []
        with self._store.database.write(frees=True) as connection:
            rows = connection.execute("select bucket, key, version, files from versions where files<>'[]'").fetchall()
            for bucket, key, version, files in rows:
                if torn & {name for name, _ in json.loads(files)}:
                    log.error(
                        "s3://%s/%s is lost: its bytes were not on the disk when the machine stopped", bucket, key
                    )
                    found = one_version(connection, bucket, key, version)
                    if found is not None:
                        gone.extend(drop_version(connection, found))
            for name in torn:
                connection.execute("delete from parts where file=?", (name,))
        self._store.files.remove(gone)

    # Requests

    def operation(self, method: str, raw: str, query: str, headers: Mapping[str, str]) -> str:
        """What a request is called, "" when S3 has none such."""
        try:
            return asked.operation_of(method, *asked.split_path(raw), asked.parse_query(query), headers)
        except Fault:
            return ""

    def answer(
        self,
        method: str,
        raw: str,
        query: str,
        headers: Mapping[str, str],
        source: Any,
        signer: ChunkSigner | None,
        environ: Mapping[str, Any],
        request_id: str,
    ) -> Answer:
        """Carry a request out. Every error becomes an answer."""
        resource = raw.split("?", 1)[0]
        try:
            bucket, key = asked.split_path(raw)
            parameters = asked.parse_query(query)
            operation = asked.operation_of(method, bucket, key, parameters, headers)
            ask = Request(method, bucket, key, parameters, headers, operation, source, signer, environ, request_id)
            return self._carried_out(ask)
        except Fault as fault:
            return refused(fault, resource, request_id)
        except OSError as error:
            log.warning("%s %s: %s", method, resource, error)
            return refused(disk_problem(error), resource, request_id)
        except Exception:
            log.exception("%s %s failed", method, resource)
            return refused(problem("InternalError"), resource, request_id)

    def _carried_out(self, ask: Request) -> Answer:
        found = OPERATIONS.get(ask.operation)
        if found is None:
            text = f"{ask.operation} is not supported by the local cloud."
            raise problem("NotImplemented", text, Operation=ask.operation)
        if ask.bucket:
            ask.found, ask.policy = self._store.bucket_and_policy(ask.bucket)
        self._context.admit(ask)
        return found(self._context, ask)


def refused(fault: Fault, resource: str, request_id: str) -> Answer:
    """The answer to a request that failed."""
    headers: dict[str, str] = dict(fault.headers) if isinstance(fault, Problem) else {}
    return Answer(fault.status, {"Content-Type": "application/xml", **headers}, error_xml(fault, resource, request_id))


def body_of(answer: Answer) -> Iterable[bytes]:
    """The body, as WSGI has it."""
    return [answer.body] if isinstance(answer.body, bytes) else answer.body


def headers_of(answer: Answer, request_id: str) -> list[tuple[str, str]]:
    """The headers, with those that every answer has."""
    found = [
        *answer.headers.items(),
        ("x-amz-request-id", request_id),
        ("x-amz-id-2", request_id),
        ("Server", "AmazonS3"),
    ]
    if answer.status not in (204, 304):
        found.append(("Content-Length", str(len(answer.body) if answer.length is None else answer.length)))
    return found
