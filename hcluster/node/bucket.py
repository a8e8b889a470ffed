"""The platform's bucket as a node sees it, by its instance profile alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hcluster.errors import DeniedError, IntegrityError, NotFoundError, UnreachableError
from hcluster.model import names


class Bucket:
    """Reads with digests, writes check-ins."""

    def __init__(self, bucket: str, region: str, endpoint: str) -> None:
        # Imported here: `hcluster-node --help` and the unit tests of other parts need no SDK.
        import botocore.session
        from botocore.config import Config

        self.name = bucket
        self._client: Any = botocore.session.Session().create_client(
            "s3",
            region_name=region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "max_attempts": 6},
                s3={"addressing_style": "path"},
                proxies={},
            ),
        )

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
        except ClientError as cause:
            code = cause.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket", "404"):
                raise NotFoundError(f"{where} does not exist") from cause
            raise DeniedError(f"{where} cannot be read: {cause}") from cause
        except BotoCoreError as cause:
            raise UnreachableError(f"{where} cannot be read: {cause}") from cause
        found = hashlib.sha256(body).hexdigest()
        if found != sha256:
            raise IntegrityError(
                f"{where} has another digest than this node's user-data says",
                context=f"expected {sha256}\nfound    {found}",
            )
        return body

    def close_row(self, cluster: str, launch: str, at: float) -> None:
        """Write the end of a launch's lifetime into its row of ``hcluster.clusters``."""
        key = names.registry_key(cluster, launch)
        row = json.loads(self._client.get_object(Bucket=self.name, Key=key)["Body"].read())
        ended = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        row |= {"state": "ended", "ended": ended, "ended_by": "lifetime"}
        self._client.put_object(Bucket=self.name, Key=key, Body=(json.dumps(row, sort_keys=True) + "\n").encode())

    def check_in(self, cluster: str, instance: str, phase: str, body: Mapping[str, object]) -> None:
        """Report a phase; repeating it overwrites."""
        self._client.put_object(
            Bucket=self.name,
            Key=names.checkin_key(cluster, instance, phase),
            Body=json.dumps(body).encode(),
            ContentType="application/json",
        )
