"""The platform's bucket as a node sees it, by its instance profile alone."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hcluster.errors import DeniedError, HclusterError, IntegrityError, NotFoundError, UnreachableError
from hcluster.model import names

CHECK_IN_SECONDS = 300.0
"""How long a check-in is tried: a fresh instance profile may need minutes until each part of the cloud knows of it."""
_LONGEST_PAUSE = 15.0
_MISSING = ("NoSuchKey", "404")
_FINAL = ("NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "AuthorizationHeaderMalformed")
"""Codes that say the same however often one asks: no such bucket, or not in that region."""


class Bucket:
    """Reads with digests, writes check-ins and dumps. Nothing is opened before the first call."""

    def __init__(self, bucket: str, region: str, endpoint: str) -> None:
        self.name = bucket
        self._region = region
        self._endpoint = endpoint
        self._opened: Any = None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            # Imported here: `hcluster-node --help` and the unit tests of other parts need no SDK.
            import botocore.session
            from botocore.config import Config

            self._opened = botocore.session.Session().create_client(
                "s3",
                region_name=self._region,
                endpoint_url=self._endpoint,
                config=Config(
                    connect_timeout=5,
                    read_timeout=30,
                    retries={"mode": "standard", "max_attempts": 6},
                    s3={"addressing_style": "path"},
                    proxies={},
                ),
            )
        return self._opened

    def fetch(self, key: str, sha256: str) -> bytes:
        """The object, checked against its digest (hex).

        Raises:
            IntegrityError: the bytes are not the expected ones.
            NotFoundError, DeniedError, UnreachableError: it cannot be read.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        where = f"s3://{self.name}/{key}"
        try:
            body: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as cause:
            raise _refusal(where, "read", cause) from cause
        found = hashlib.sha256(body).hexdigest()
        if found != sha256:
            raise IntegrityError(
                f"{where} has another digest than this node's user-data says",
                context=f"expected {sha256}\nfound    {found}",
            )
        return body

    def keys(self, prefix: str) -> list[str]:
        """All keys below a prefix, in order.

        Raises:
            NotFoundError, DeniedError, UnreachableError: the bucket does not tell.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return [str(item["Key"]) for page in pages for item in page.get("Contents", [])]
        except (BotoCoreError, ClientError) as cause:
            raise _refusal(f"s3://{self.name}/{prefix}", "listed", cause) from cause

    def get_file(self, key: str, path: Path) -> None:
        """Write an object of any size to ``path``.

        Raises:
            NotFoundError, DeniedError, UnreachableError: it cannot be read.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            body = self._client.get_object(Bucket=self.name, Key=key)["Body"]
            with path.open("wb") as out:
                for piece in body.iter_chunks(1 << 20):
                    out.write(piece)
        except (BotoCoreError, ClientError) as cause:
            raise _refusal(f"s3://{self.name}/{key}", "read", cause) from cause

    def put_file(self, key: str, path: Path) -> None:
        """Write a new object from a file of up to 5 GiB; one of that name that is there already stays as it is.

        Raises:
            NotFoundError, DeniedError, UnreachableError: it cannot be written.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with path.open("rb") as body:
                self._client.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
        except (BotoCoreError, ClientError) as cause:
            # 412: it is there. Its name holds its digest.
            if _code(cause) not in ("PreconditionFailed", "412"):
                raise _refusal(f"s3://{self.name}/{key}", "written", cause) from cause

    def delete(self, key: str) -> None:
        """Delete an object; gone already is no error.

        Raises:
            NotFoundError, DeniedError, UnreachableError: it cannot be deleted.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.delete_object(Bucket=self.name, Key=key)
        except (BotoCoreError, ClientError) as cause:
            raise _refusal(f"s3://{self.name}/{key}", "deleted", cause) from cause

    def close_row(self, cluster: str, launch: str, at: float) -> None:
        """Write the end of a launch's lifetime into its row of ``hcluster.clusters``; nothing when it has none.

        A launch that never was ready has no row.

        Raises:
            DeniedError, UnreachableError: the row cannot be read or written.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        key = names.registry_key(cluster, launch)
        where = f"s3://{self.name}/{key}"
        try:
            row = json.loads(self._client.get_object(Bucket=self.name, Key=key)["Body"].read())
            ended = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
            row |= {"state": "ended", "ended": ended, "ended_by": "lifetime"}
            body = (json.dumps(row, sort_keys=True) + "\n").encode()
            self._client.put_object(Bucket=self.name, Key=key, Body=body)
        except (BotoCoreError, ClientError) as cause:
            if _code(cause) not in _MISSING:
                raise _refusal(where, "closed", cause) from cause

    def check_in(self, cluster: str, instance: str, phase: str, body: Mapping[str, object]) -> None:
        """Report a phase; repeating it overwrites.

        In the first seconds of an instance its role has no credentials yet, or S3 does not know them: it is tried
        again until ``CHECK_IN_SECONDS`` are over.

        Raises:
            NotFoundError: there is no such bucket.
            DeniedError, UnreachableError: it was refused all the time.
        """
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        key, content = names.checkin_key(cluster, instance, phase), json.dumps(body).encode()
        end, pause, said = time.monotonic() + CHECK_IN_SECONDS, 0.5, ""
        while True:
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=content, ContentType="application/json")
            except (BotoCoreError, ClientError) as cause:
                refusal = _refusal(f"s3://{self.name}/{key}", "written", cause)
                final = isinstance(cause, ParamValidationError) or _code(cause) in _FINAL
                if final or time.monotonic() + pause > end:
                    raise refusal from cause
                if refusal.message != said:
                    said = refusal.message
                    print(f"hcluster: trying again: {said}", file=sys.stderr, flush=True)
            else:
                return
            # A client that found no credentials when it was made never looks for them again.
            self._opened = None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _code(cause: Exception) -> str:
    """The code of a refused call, "" when there was no answer."""
    return str(getattr(cause, "response", {}).get("Error", {}).get("Code", ""))


def _refusal(where: str, verb: str, cause: Exception) -> HclusterError:
    code = _code(cause)
    if code in (*_MISSING, "NoSuchBucket"):
        return NotFoundError(f"{where} does not exist")
    if code:
        return DeniedError(f"{where} cannot be {verb}: {cause}")
    return UnreachableError(f"{where} cannot be {verb}: {cause}")
