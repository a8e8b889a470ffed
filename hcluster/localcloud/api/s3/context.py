"""What every operation of S3 has at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hcluster.localcloud.api.access.need import Need
from hcluster.localcloud.api.s3.body import announced, receive
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import Bucket, Store

MAX_DOCUMENT = 8 << 20
"""Bytes of the largest XML that is read: a thousand of the longest keys, escaped."""


class Access(Protocol):
    """Judges by the caller's policies and the bucket's; ``api.access.door`` has it."""

    def s3(
        self,
        environ: Mapping[str, Any],
        operation: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        document: str = "",
        owner: str = "",
    ) -> None:
        """Raises Fault unless the request's caller may do all that the operation needs."""

    def s3_allows(
        self, environ: Mapping[str, Any], need: Need, bucket: str, *, document: str = "", owner: str = ""
    ) -> bool:
        """Whether the request's caller has one more right."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One cloud's S3."""

    store: Store
    account: str
    region: str
    access: Access

    def admit(self, ask: Request) -> None:
        """Raises AccessDenied unless the caller may do what the request needs. What the body of DeleteObjects names is
        judged when it was read."""
        if ask.operation != "DeleteObjects":
            owner = ask.found.account if ask.found is not None else ""
            self.access.s3(
                ask.environ,
                ask.operation,
                ask.bucket,
                ask.key,
                ask.query,
                ask.headers,
                document=ask.policy,
                owner=owner,
            )

    def may(self, ask: Request, action: str, key: str = "", version: str = "", bucket: str = "") -> bool:
        """Whether the caller may do one more thing ("GetObject") to a key or a bucket, the request's unless given."""
        bucket = bucket or ask.bucket
        resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        need = (
            Need(f"s3:{action}Version", resource, {"s3:VersionId": version})
            if version
            else Need(f"s3:{action}", resource)
        )
        own = bucket == ask.bucket
        policy = ask.policy if own else self.store.setting(bucket, "policy") or ""
        owner = ask.found.account if own and ask.found is not None else self.account
        return self.access.s3_allows(ask.environ, need, bucket, document=policy, owner=owner)

    def demand(self, ask: Request, action: str, key: str = "", version: str = "") -> None:
        """Raises AccessDenied unless the caller may do one more thing."""
        if not self.may(ask, action, key, version):
            raise problem("AccessDenied")

    def bucket(self, ask: Request) -> Bucket:
        """The request's bucket. Raises NoSuchBucket or AccessDenied."""
        found = ask.found
        if found is None:
            raise problem("NoSuchBucket", BucketName=ask.bucket)
        if (
            found.account != self.account
            or ask.headers.get("x-amz-expected-bucket-owner", self.account) != self.account
        ):
            raise problem("AccessDenied")
        return found


def read_document(ask: Request) -> bytes:
    """The whole body of a request that carries XML or JSON, checked as it was announced."""
    found = bytearray()
    said = announced(ask.headers)
    if said.length > MAX_DOCUMENT:
        raise problem("MaxMessageLengthExceeded")
    receive(ask.source, said, ask.signer, found.extend)
    return bytes(found)
