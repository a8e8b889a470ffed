"""What a node meets in tests: its user-data, the bucket, the metadata service."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

from hcluster.errors import IntegrityError, NotFoundError
from hcluster.model.user_data import UserData
from hcluster.node.imds import Identity

SHARED: dict[str, object] = {
    "master_host": "ip-10-64-16-5.ec2.internal",
    "metastore_uri": "thrift://ip-10-64-16-4.ec2.internal:9083",
    "workers": 2,
    "core_nodes": 2,
    "worker_memory_mib": 8192,
    "data_dirs": ["/var/lib/hadoop"],
    "site": {"core-site": {"io.file.buffer.size": "65536"}},
    "team": "analytics",
    "bootstrap": [],
}


def release_body() -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("manifests/site.pp")
        text = b'include "role::x"\n'
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return out.getvalue()


class Objects:
    """Stands for the bucket; keeps what the node wrote."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self.checkins: dict[str, dict[str, object]] = {}

    def fetch(self, key: str, sha256: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError(f"{key} does not exist")
        body = self.objects[key]
        if hashlib.sha256(body).hexdigest() != sha256:
            raise IntegrityError(f"{key} has another digest")
        return body

    def check_in(self, cluster: str, instance: str, phase: str, body: Mapping[str, object]) -> None:
        # Through JSON, as the real one: what cannot be written must fail here too.
        self.checkins[phase] = json.loads(json.dumps(body)) | {"cluster": cluster, "instance": instance}


class FixedImds:
    def __init__(self, user_data: str, fault: Exception | None = None, told: str = "") -> None:
        self.user_data = user_data
        self.fault = fault
        self.told = told

    def identity(self, deadline_seconds: float = 60) -> Identity:
        if self.fault:
            raise self.fault
        host = "ip-10-64-16-5.ec2.internal"
        return Identity("i-0abc", "m5.large", "10.64.16.5", host, "us-east-1a", self.user_data, self.told)


def user_data(shared: Mapping[str, object] = SHARED, role: str = "core") -> tuple[UserData, Objects]:
    config, body = json.dumps(shared).encode(), release_body()
    value = UserData(
        platform="demo",
        cluster="flights",
        group=role,
        role=role,
        launch="l1",
        region="us-east-1",
        bucket="b",
        s3_endpoint="http://10.64.0.1:4566",
        config_key="config",
        config_sha256=hashlib.sha256(config).hexdigest(),
        release_key="release",
        release_sha256=hashlib.sha256(body).hexdigest(),
    )
    return value, Objects({"config": config, "release": body})
