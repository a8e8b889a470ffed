"""The Hive metastore's Thrift service over a channel of an SSH session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pymetastore.hive_metastore import ThriftHiveMetastore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport import TSocket, TTransport

from hcluster.errors import ConflictError, DeadlineError, HclusterError, NotFoundError, UnreachableError, UsageError
from hcluster.metastore.tables import Partition, Table, descriptor, from_thrift, to_thrift
from hcluster.ports import Remote

METASTORE_PORT = 9083
_CALL_SECONDS = 60.0
_ALL = -1
_HINT = "its log: hcluster logs platform platform --unit hive-metastore"

T = TypeVar("T")


def endpoints(uri: str) -> tuple[tuple[str, int], ...]:
    """(host, port) of each part of ``thrift://HOST:PORT[,thrift://…]``.

    Raises:
        UsageError: it is not of that form.
    """
    found = []
    for part in uri.split(","):
        try:
            url = urlsplit(part.strip())
            port = url.port or METASTORE_PORT
        except ValueError:
            url, port = urlsplit(""), 0
        if url.scheme != "thrift" or not url.hostname:
            raise UsageError(
                f"{uri!r} is not a metastore's address", hint="write metastore.external like thrift://HOST:9083"
            )
        found.append((url.hostname, port))
    return tuple(found)


def connect(remote: Remote, uri: str) -> MetastoreClient:
    """Open a connection as the node of ``remote`` sees ``uri``; of several addresses the first that answers.

    Raises:
        UnreachableError: none answers.
    """
    reasons = []
    for host, port in endpoints(uri):
        try:
            return MetastoreClient(remote.open_channel(host, port))
        except UnreachableError as cause:
            reasons.append(cause.message)
    raise UnreachableError(f"the Hive metastore {uri} does not answer", context="\n".join(reasons), hint=_HINT)


class MetastoreClient:
    """One connection; use it as a context manager. Calls may be repeated; each has 60 s.

    Every method raises UnreachableError when the connection ends, DeadlineError when a call takes too long,
    NotFoundError for a database, table or partition that is not there, and HclusterError (``metastore-refused``) for
    all else.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        channel.settimeout(_CALL_SECONDS)
        socket = TSocket.TSocket()
        socket.setHandle(channel)
        self._client = ThriftHiveMetastore.Client(
            TBinaryProtocol.TBinaryProtocol(TTransport.TBufferedTransport(socket))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; safe to repeat."""
        self._channel.close()

    def databases(self) -> list[str]:
        """Names of all databases."""
        return sorted(self._call("databases", self._client.get_all_databases))

    def tables(self, database: str) -> list[str]:
        """Names of a database's tables."""
        return sorted(self._call(database, lambda: self._client.get_all_tables(database)))

    def ensure_database(self, name: str, *, location: str, description: str = "") -> bool:
        """Create the database when it does not exist; whether it was created. An existing one keeps its location."""
        database = ttypes.Database(name=name, description=description, locationUri=location, parameters={})
        try:
            self._call(name, lambda: self._client.create_database(database))
        except ConflictError:
            return False
        return True

    def ensure_table(self, table: Table) -> bool:
        """Create the external table when it does not exist, or give it these columns; whether anything changed.

        Raises:
            ConflictError: a table of that name has another location, serde or partition keys.
        """
        what = f"{table.database}.{table.name}"
        try:
            self._call(what, lambda: self._client.create_table(to_thrift(table)))
        except ConflictError:
            return self._adapt(table, what)
        return True

    def table(self, database: str, name: str) -> Table:
        """One table."""
        return from_thrift(self._raw_table(database, name))

    def drop_table(self, database: str, name: str) -> None:
        """Remove an external table; its files stay. Gone already is no error."""
        try:
            self._call(f"{database}.{name}", lambda: self._client.drop_table(database, name, False))  # noqa: FBT003
        except NotFoundError:
            return

    def partitions(self, database: str, table: str) -> list[Partition]:
        """All partitions of a table."""
        found = self._call(f"{database}.{table}", lambda: self._client.get_partitions(database, table, _ALL))
        return [Partition(tuple(each.values), each.sd.location) for each in found]

    def add_partitions(self, table: Table, partitions: Sequence[Partition]) -> int:
        """Add those that do not exist, in one call; how many were added."""
        present = {each.values for each in self.partitions(table.database, table.name)}
        new = [_partition(table, each) for each in partitions if each.values not in present]
        if new:
            self._call(f"{table.database}.{table.name}", lambda: self._client.add_partitions(new))
        return len(new)

    def move_partitions(self, table: Table, partitions: Sequence[Partition]) -> None:
        """Point existing partitions at their new locations; one transaction of the metastore, so all or none."""
        moved = [_partition(table, each) for each in partitions]
        if moved:
            self._call(
                f"{table.database}.{table.name}",
                lambda: self._client.alter_partitions(table.database, table.name, moved),
            )

    def drop_partition(self, database: str, table: str, values: Sequence[str]) -> None:
        """Remove a partition; its files stay. Gone already is no error."""
        try:
            self._call(
                f"{database}.{table}",
                lambda: self._client.drop_partition(database, table, list(values), False),  # noqa: FBT003
            )
        except NotFoundError:
            return

    def _raw_table(self, database: str, name: str) -> Any:
        # Not get_table: the service of Hive 4 has no such call any more ("Invalid method name").
        request = ttypes.GetTableRequest(dbName=database, tblName=name, capabilities=ttypes.ClientCapabilities([]))
        return self._call(f"{database}.{name}", lambda: self._client.get_table_req(request)).table

    def _adapt(self, table: Table, what: str) -> bool:
        """Bring an existing table to the wanted columns."""
        raw = self._raw_table(table.database, table.name)
        found = from_thrift(raw)
        for name, have, want in (
            ("location", found.location.rstrip("/"), table.location.rstrip("/")),
            ("serde", found.serde, table.serde),
            ("partition keys", _names(found.partition_keys), _names(table.partition_keys)),
        ):
            if have != want:
                raise ConflictError(
                    f"the table {what} exists with another {name}: {have}, not {want}",
                    hint=f"drop it if it is not needed: hcluster sql NAME 'drop table {what}'",
                )
        if _names(found.columns) == _names(table.columns):
            return False
        raw.sd.cols = descriptor(table, table.location).cols
        self._call(what, lambda: self._client.alter_table(table.database, table.name, raw))
        return True

    def _call(self, what: str, call: Callable[[], T]) -> T:
        with _translated(what):
            return call()


def _names(columns: Sequence[Any]) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in columns]


def _partition(table: Table, partition: Partition) -> Any:
    return ttypes.Partition(
        values=list(partition.values),
        dbName=table.database,
        tableName=table.name,
        sd=descriptor(table, partition.location),
        parameters={},
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """The service's exceptions as ours."""
    try:
        yield
    except (ttypes.NoSuchObjectException, ttypes.UnknownDBException, ttypes.UnknownTableException) as cause:
        raise NotFoundError(f"the metastore has no {what}", context=cause.message or "") from cause
    except ttypes.AlreadyExistsException as cause:
        raise ConflictError(f"the metastore has {what} already", context=cause.message or "") from cause
    except TTransport.TTransportException as cause:
        if cause.type == TTransport.TTransportException.TIMED_OUT:
            raise DeadlineError(
                f"the Hive metastore did not answer about {what} within {_CALL_SECONDS:.0f} s", hint=_HINT
            ) from cause
        raise UnreachableError("the connection to the Hive metastore ended", context=str(cause), hint=_HINT) from cause
    except TException as cause:
        reason = getattr(cause, "message", None) or str(cause)
        raise HclusterError(
            f"the Hive metastore refused {what}: {reason.splitlines()[0] if reason else 'without a reason'}",
            context=reason,
            hint=_HINT,
            reference="metastore-refused",
        ) from cause
    except (OSError, EOFError) as cause:
        raise UnreachableError("the connection to the Hive metastore ended", context=str(cause), hint=_HINT) from cause
