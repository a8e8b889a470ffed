"""ports.ObjectStore over boto3."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from hcluster.aws.codes import code_of, message_of, retries_of
from hcluster.aws.part import tag_list
from hcluster.aws.session import AwsSession
from hcluster.errors import CloudError, ConflictError, NotFoundError
from hcluster.ports import Clock, Sent, unheard

CONFLICT_TRIES = 5
PIECE_BYTES = 1 << 20
PUBLIC_ACCESS: Mapping[str, bool] = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTION: Mapping[str, Any] = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]
}
NO_PUBLIC_ACCESS_BLOCK = "NoSuchPublicAccessBlockConfiguration"
NO_ENCRYPTION = "ServerSideEncryptionConfigurationNotFoundError"
NO_TAGS = "NoSuchTagSet"
NOT_OFFERED = ("NotImplemented", "MethodNotAllowed", "XNotImplemented")
"""What stores that speak S3 but not all of it answer to a setting they lack."""


class S3ObjectStore:
    """One S3 bucket of one session. Implements ``hcluster.ports.ObjectStore``."""

    def __init__(self, session: AwsSession, bucket: str, clock: Clock) -> None:
        self.bucket = bucket
        self._session = session
        self._clock = clock

    def endpoint(self) -> str:
        """URL of S3 as this adapter reaches it."""
        return self._session.endpoint("s3")

    def exists(self) -> bool:
        """Whether the bucket exists and may be read."""
        with self._session.call(f"looking for bucket {self.bucket}"):
            try:
                self._s3().head_bucket(Bucket=self.bucket)
            except ClientError as failure:
                # A HEAD has no body, so the status is all there is: 403 is a bucket that is not ours to read.
                if code_of(failure) in ("404", "403", "NoSuchBucket"):
                    return False
                raise
        return True

    def ensure_bucket(self, tags: Mapping[str, str]) -> None:
        """Create the bucket (all public access blocked, encrypted) or adopt it. Raises ConflictError when it is
        somebody else's."""
        place = {} if self._session.region() == "us-east-1" else {"LocationConstraint": self._session.region()}
        arguments: dict[str, Any] = {"CreateBucketConfiguration": place} if place else {}
        with self._session.call(f"creating bucket {self.bucket}"):
            try:
                self._s3().create_bucket(Bucket=self.bucket, **arguments)
            except ClientError as failure:
                if code_of(failure) == "BucketAlreadyExists":
                    raise ConflictError(
                        f"bucket {self.bucket} belongs to another account",
                        hint="choose another `bucket` in platform.yaml; the names of buckets are shared by all of AWS",
                    ) from failure
                # Whoever only publishes into it need not be allowed to create it.
                adopted = code_of(failure) == "AccessDenied" and self.exists()
                if code_of(failure) != "BucketAlreadyOwnedByYou" and not adopted:
                    raise
        self._ensure_settings(tags)

    def delete_bucket(self) -> None:
        """Delete every object (and version, and unfinished upload) and the bucket; gone already is no error."""
        try:
            self._delete_versions()
            self._abort_uploads()
            with self._session.call(f"deleting bucket {self.bucket}"):
                self._s3().delete_bucket(Bucket=self.bucket)
        except NotFoundError:
            return

    def get(self, key: str) -> tuple[bytes, str]:
        """(body, etag). Raises NotFoundError."""
        with self._session.call(f"reading s3://{self.bucket}/{key}"):
            answer = self._s3().get_object(Bucket=self.bucket, Key=key)
            return answer["Body"].read(), str(answer["ETag"])

    def stream(self, key: str) -> Iterator[bytes]:
        """The body of an object of any size, piece by piece; errors come when a piece is asked for."""
        with self._session.call(f"reading s3://{self.bucket}/{key}"):
            body = self._s3().get_object(Bucket=self.bucket, Key=key)["Body"]
            try:
                yield from body.iter_chunks(PIECE_BYTES)
            finally:
                # Left half read, the connection cannot serve another call.
                body.close()

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str:
        """Write; returns the etag. With a condition that does not hold: ConflictError, nothing written."""
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "Body": body}
        if if_none_match:
            arguments["IfNoneMatch"] = "*"
        if if_match:
            arguments["IfMatch"] = if_match
        with self._session.call(f"writing s3://{self.bucket}/{key}"):
            for attempt in range(CONFLICT_TRIES):
                try:
                    return str(self._s3().put_object(**arguments)["ETag"])
                except ClientError as failure:
                    code = code_of(failure)
                    if code in ("PreconditionFailed", "412"):
                        return self._written_after_all(key, body, failure)
                    if if_match and code == "NoSuchKey":
                        # What the condition speaks of was deleted: it does not hold.
                        raise ConflictError(f"s3://{self.bucket}/{key} is gone") from failure
                    # 409 says that another conditional write is under way and that nothing is decided yet.
                    last = attempt == CONFLICT_TRIES - 1
                    if last or code not in ("ConditionalRequestConflict", "409", "OperationAborted"):
                        raise
                self._clock.sleep(0.1 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def put_file(self, key: str, path: str, sent: Sent = unheard) -> None:
        """Upload a file of any size. Raises NotFoundError when there is no such file or bucket."""
        if not Path(path).is_file():
            raise NotFoundError(f"no file {path} to upload to s3://{self.bucket}/{key}")
        # It brings all of boto3 along, which nothing else here needs.
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

        manager = create_transfer_manager(self._s3(), TransferConfig(max_concurrency=8))
        with self._session.call(f"uploading {path} to s3://{self.bucket}/{key}"), manager:
            manager.upload(path, self.bucket, key, subscribers=[ProgressCallbackInvoker(sent)]).result()

    def delete(self, key: str) -> None:
        """Gone already is no error. Raises NotFoundError when the bucket is missing."""
        with self._session.call(f"deleting s3://{self.bucket}/{key}"):
            self._s3().delete_object(Bucket=self.bucket, Key=key)

    def delete_prefix(self, prefix: str) -> int:
        """Delete all below a prefix, 1,000 a call; how many."""
        deleted, batch = 0, list[dict[str, str]]()
        for key, _ in self.list(prefix):
            batch.append({"Key": key})
            if len(batch) == 1000:
                deleted += self._delete_batch(batch)
                batch = []
        return deleted + self._delete_batch(batch)

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        """(key, last modified in epoch seconds) of all below a prefix, in pages of 1,000."""
        for page in self._pages("list_objects_v2", Prefix=prefix):
            for one in page.get("Contents") or []:
                yield str(one["Key"]), one["LastModified"].timestamp()

    def folders(self, prefix: str) -> builtins.list[str]:
        """Names of the folders right below a prefix (which ends with a slash, or is ""), without what is in them."""
        found = [
            str(one["Prefix"]).removeprefix(prefix).rstrip("/")
            for page in self._pages("list_objects_v2", Prefix=prefix, Delimiter="/")
            for one in page.get("CommonPrefixes") or []
        ]
        return sorted(found)

    def _s3(self) -> Any:
        return self._session.client("s3")

    def _pages(self, operation: str, **arguments: object) -> Iterator[Mapping[str, Any]]:
        with self._session.call(f"listing s3://{self.bucket}/{arguments.get('Prefix', '')}"):
            yield from self._s3().get_paginator(operation).paginate(Bucket=self.bucket, **arguments)

    def _written_after_all(self, key: str, body: bytes, failure: ClientError) -> str:
        """The etag when the lost race was against ourselves: a first try whose answer got lost, and the SDK's next."""
        if retries_of(failure):
            with contextlib.suppress(NotFoundError):
                present, etag = self.get(key)
                if present == body:
                    return etag
        raise ConflictError(
            f"s3://{self.bucket}/{key} has changed or exists already", context=message_of(failure)
        ) from failure

    def _ensure_settings(self, tags: Mapping[str, str]) -> None:
        """Read first: whoever only adopts a bucket need not be allowed to change it."""
        s3, name = self._s3(), {"Bucket": self.bucket}
        if (
            self._setting("public_access_block", "PublicAccessBlockConfiguration", NO_PUBLIC_ACCESS_BLOCK)
            != PUBLIC_ACCESS
        ):
            with self._session.call(f"blocking public access to bucket {self.bucket}"), _unless_not_offered():
                s3.put_public_access_block(**name, PublicAccessBlockConfiguration=PUBLIC_ACCESS)
        if self._setting("bucket_encryption", "ServerSideEncryptionConfiguration", NO_ENCRYPTION) is None:
            with self._session.call(f"encrypting bucket {self.bucket}"), _unless_not_offered():
                s3.put_bucket_encryption(**name, ServerSideEncryptionConfiguration=ENCRYPTION)
        present = {one["Key"]: one["Value"] for one in self._setting("bucket_tagging", "TagSet", NO_TAGS) or []}
        if not tags.items() <= present.items():
            with self._session.call(f"tagging bucket {self.bucket}"), _unless_not_offered():
                s3.put_bucket_tagging(**name, Tagging={"TagSet": tag_list({**present, **tags})})

    def _setting(self, name: str, field: str, absent: str) -> Any:
        with self._session.call(f"reading {name.replace('_', ' ')} of bucket {self.bucket}"):
            try:
                return getattr(self._s3(), f"get_{name}")(Bucket=self.bucket)[field]
            except ClientError as failure:
                if code_of(failure) not in (absent, *NOT_OFFERED):
                    raise
        return None

    def _delete_batch(self, batch: Sequence[Mapping[str, str]]) -> int:
        if not batch:
            return 0
        with self._session.call(f"deleting {len(batch)} objects of bucket {self.bucket}"):
            answer = self._s3().delete_objects(Bucket=self.bucket, Delete={"Objects": list(batch), "Quiet": True})
        failed = answer.get("Errors") or []
        if failed:
            first = failed[0]
            raise CloudError(
                f"{len(failed)} objects of bucket {self.bucket} could not be deleted",
                context=f"{first.get('Key')}: {first.get('Code')} {first.get('Message')}",
            )
        return len(batch)

    def _delete_versions(self) -> None:
        for page in self._pages("list_object_versions"):
            records = [*(page.get("Versions") or []), *(page.get("DeleteMarkers") or [])]
            self._delete_batch([{"Key": one["Key"], "VersionId": one["VersionId"]} for one in records])

    def _abort_uploads(self) -> None:
        for page in self._pages("list_multipart_uploads"):
            for upload in page.get("Uploads") or []:
                with contextlib.suppress(NotFoundError), self._session.call(f"ending an upload of {upload['Key']}"):
                    self._s3().abort_multipart_upload(
                        Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )


@contextlib.contextmanager
def _unless_not_offered() -> Iterator[None]:
    try:
        yield
    except ClientError as failure:
        if code_of(failure) not in NOT_OFFERED:
            raise
