"""The table ``hcluster.clusters``: one JSON object a launch, in S3, so that any cluster's Hive tells who runs what.

thrift and the stubs are imported only when the metastore is spoken to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hcluster.metastore import dump
from hcluster.model.names import REGISTRY_PREFIX
from hcluster.ports import Remote

if TYPE_CHECKING:
    from hcluster.metastore.client import MetastoreClient
    from hcluster.metastore.tables import Table

DATABASE = "hcluster"
TABLE = "clusters"
COLUMNS = (
    ("name", "string", "the cluster's name"),
    ("launch", "string", "id of this launch of it"),
    ("team", "string", "whose it is"),
    ("owner", "string", "who launched it"),
    ("state", "string", "ready or ended"),
    ("image", "string", "machine image of its nodes"),
    ("release", "string", "digest of the Puppet release"),
    ("master", "string", "private DNS name of the master"),
    ("started", "string", "when the launch began, ISO 8601 in UTC"),
    ("ready", "string", "when it became ready, ISO 8601 in UTC"),
    ("ended", "string", "when it was taken down, ISO 8601 in UTC; null while it runs"),
    ("workers", "int", "core and task nodes"),
    ("types", "string", "instance types, separated by commas"),
    ("spec", "string", "the whole spec as JSON"),
)
"""(name, Hive type, comment); what a row holds is written by ``hcluster.flows``."""


def registry_table(bucket: str) -> Table:
    """The external table over a bucket's registry objects."""
    from hcluster.metastore.tables import Table, TableColumn

    return Table(
        database=DATABASE,
        name=TABLE,
        columns=tuple(TableColumn(*column) for column in COLUMNS),
        location=f"s3a://{bucket}/{REGISTRY_PREFIX.rstrip('/')}",
    )


def ensure_registry(client: MetastoreClient, bucket: str) -> bool:
    """Make database and table when they do not exist; whether anything changed.

    Raises:
        ConflictError: there is another table of that name.
    """
    made = client.ensure_database(
        DATABASE,
        location=f"s3a://{bucket}/{REGISTRY_PREFIX.split('/')[0]}",
        description="what hcluster knows of itself",
    )
    return client.ensure_table(registry_table(bucket)) or made


class MetastoreCatalog:
    """Implements ``hcluster.ports.Catalog``."""

    def ensure_registry(self, remote: Remote, uri: str, bucket: str) -> None:
        """Make the database ``hcluster`` and its table ``clusters`` when they do not exist; can be repeated.

        Raises:
            UnreachableError: no metastore answers at ``uri`` (thrift://HOST:PORT, as seen from the node of ``remote``).
            ConflictError: there is another table of that name.
        """
        from hcluster.metastore.client import connect

        with connect(remote, uri) as client:
            ensure_registry(client, bucket)

    def dump(self, remote: Remote) -> None:
        """Let the node of ``remote`` write a dump into the bucket; raises RemoteCommandError."""
        dump.dump(remote)
