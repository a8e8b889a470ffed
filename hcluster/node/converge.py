"""A member of a cluster becomes what it was told to be: fetched, verified and applied again."""

from __future__ import annotations

import json
import sys
import time

from hcluster.errors import HclusterError
from hcluster.model.user_data import UserData
from hcluster.node import release
from hcluster.node.bootstrap import Marks, Paths, prepare, write
from hcluster.node.bucket import Bucket
from hcluster.node.imds import Imds


def converge(imds: Imds | None = None, paths: Paths | None = None) -> int:
    """Apply the pinned release again, fetched and verified anew; 0 or 1."""
    imds, paths = imds or Imds(), paths or Paths()
    try:
        identity = imds.identity()
        user_data = UserData.parse(identity.user_data)
        bucket = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint)
        prepare(user_data, identity, bucket, Marks(), paths)
        code = release.apply(paths.base / "release", user_data.role, paths.log / "puppet.log")
    except HclusterError as cause:
        print(f"hcluster: {cause.message}\n{cause.context}", file=sys.stderr, flush=True)
        return 1
    write(paths.var / "converged", json.dumps({"at": time.time(), "puppet_exit": code}) + "\n")
    return 0
