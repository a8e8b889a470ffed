"""The metastore's client against a stateful service made of its stubs, on loopback."""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pymetastore.hive_metastore import ThriftHiveMetastore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

from hcluster.errors import ConflictError, DeadlineError, HclusterError, NotFoundError, UnreachableError, UsageError
from hcluster.flows import records
from hcluster.flows.registry import ready_row
from hcluster.metastore import registry
from hcluster.metastore.client import MetastoreClient, connect, endpoints
from hcluster.metastore.tables import Partition, Table, TableColumn
from hcluster.model.views import ClusterView
from tests.unit.listening import end_listening

TABLE = Table(
    database="lake",
    name="events",
    columns=(TableColumn("id", "bigint"), TableColumn("what", "string", "kind")),
    location="s3a://b/events",
    partition_keys=(TableColumn("day", "string"),),
)


class Service:
    """Keeps what it is given, and refuses as the metastore does."""

    def __init__(self) -> None:
        self.dbs: dict[str, Any] = {}
        self.tbls: dict[tuple[str, str], Any] = {}
        self.parts: dict[tuple[str, str], dict[tuple[str, ...], Any]] = {}
        self.fail: Exception | None = None

    def get_all_databases(self) -> list[str]:
        if self.fail:
            raise self.fail
        return list(self.dbs)

    def create_database(self, database: Any) -> None:
        if database.name in self.dbs:
            raise ttypes.AlreadyExistsException(f"Database {database.name} already exists")
        self.dbs[database.name] = database

    def get_all_tables(self, name: str) -> list[str]:
        return [table for database, table in self.tbls if database == name]

    def create_table(self, table: Any) -> None:
        if table.dbName not in self.dbs:
            raise ttypes.NoSuchObjectException(f"database {table.dbName} not found")
        if (table.dbName, table.tableName) in self.tbls:
            raise ttypes.AlreadyExistsException("Table exists")
        self.tbls[table.dbName, table.tableName] = table
        self.parts[table.dbName, table.tableName] = {}

    def get_table_req(self, request: Any) -> Any:
        try:
            return ttypes.GetTableResult(table=self.tbls[request.dbName, request.tblName])
        except KeyError:
            raise ttypes.NoSuchObjectException("hive.lake.none table not found") from None

    def alter_table(self, database: str, name: str, table: Any) -> None:
        self.tbls[database, name] = table

    def drop_table(self, database: str, name: str, delete: bool) -> None:
        if self.tbls.pop((database, name), None) is None:
            raise ttypes.NoSuchObjectException("gone")
        assert not delete

    def get_partitions(self, database: str, table: str, _limit: int) -> list[Any]:
        return list(self.parts[database, table].values())

    def add_partitions(self, new: list[Any]) -> int:
        for each in new:
            self.parts[each.dbName, each.tableName][tuple(each.values)] = each
        return len(new)

    def alter_partitions(self, database: str, table: str, moved: list[Any]) -> None:
        for each in moved:
            if tuple(each.values) not in self.parts[database, table]:
                raise ttypes.InvalidOperationException("alter is not possible: no such partition")
            self.parts[database, table][tuple(each.values)] = copy.deepcopy(each)

    def drop_partition(self, database: str, table: str, values: list[str], delete: bool) -> bool:
        if self.parts[database, table].pop(tuple(values), None) is None:
            raise ttypes.NoSuchObjectException("partition gone")
        return True


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def remote(service: Service) -> Iterator[Any]:
    """A session to a node from which the service is reached at ms:9083 alone."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError, TTransport.TTransportException):
            while True:
                client, _ = listener.accept()
                handle = TSocket.TSocket()
                handle.setHandle(client)
                protocol = TBinaryProtocol.TBinaryProtocol(TTransport.TBufferedTransport(handle))
                processor = ThriftHiveMetastore.Processor(service)
                with client, contextlib.suppress(TTransport.TTransportException, OSError):
                    while True:
                        processor.process(protocol, protocol)

    def open_channel(host: str, port: int) -> socket.socket:
        if (host, port) != ("ms", 9083):
            raise UnreachableError(f"nothing answers on {host}:{port}")
        return socket.create_connection(listener.getsockname())

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    yield SimpleNamespace(open_channel=open_channel)
    end_listening(listener, accepting)


@pytest.fixture
def client(remote: Any) -> Iterator[MetastoreClient]:
    with connect(remote, "thrift://other:9083,thrift://ms:9083") as opened:
        yield opened


def test_addresses_are_read_with_their_default_port() -> None:
    assert endpoints("thrift://a:1, thrift://b") == (("a", 1), ("b", 9083))


@pytest.mark.parametrize("uri", ["", "ms:9083", "http://ms:9083", "thrift://", "thrift://ms:x", "thrift://ms:99999"])
def test_what_is_no_address_is_wrong_usage(uri: str) -> None:
    with pytest.raises(UsageError, match="is not a metastore's address"):
        endpoints(uri)


def test_no_answer_is_unreachable_with_every_address_tried(remote: Any) -> None:
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        connect(remote, "thrift://a:1,thrift://b:2")
    assert caught.value.context == "nothing answers on a:1\nnothing answers on b:2"


def test_making_database_and_table_twice_changes_nothing_the_second_time(client: MetastoreClient) -> None:
    assert client.ensure_database("lake", location="s3a://b/lake")
    assert client.ensure_table(TABLE)
    assert not client.ensure_database("lake", location="s3a://elsewhere")
    assert not client.ensure_table(TABLE)
    assert client.databases() == ["lake"]
    assert client.tables("lake") == ["events"]
    assert replace(client.table("lake", "events"), parameters={}) == TABLE


def test_tables_are_external(client: MetastoreClient, service: Service) -> None:
    client.ensure_database("lake", location="s3a://b/lake")
    client.ensure_table(TABLE)
    made = service.tbls["lake", "events"]
    assert (made.tableType, made.parameters["EXTERNAL"]) == ("EXTERNAL_TABLE", "TRUE")


def test_an_older_table_gets_the_new_columns(client: MetastoreClient) -> None:
    client.ensure_database("lake", location="s3a://b/lake")
    client.ensure_table(replace(TABLE, columns=TABLE.columns[:1]))
    assert client.ensure_table(TABLE)
    assert client.table("lake", "events").columns == TABLE.columns


@pytest.mark.parametrize("other", [{"location": "s3a://x/y"}, {"serde": "x.Y"}, {"partition_keys": ()}])
def test_another_table_of_the_name_is_a_conflict_and_stays(client: MetastoreClient, other: dict[str, Any]) -> None:
    client.ensure_database("lake", location="s3a://b/lake")
    client.ensure_table(replace(TABLE, **other))
    with pytest.raises(ConflictError, match=r"lake\.events exists with another"):
        client.ensure_table(TABLE)
    assert replace(client.table("lake", "events"), parameters={}) == replace(TABLE, **other)


def test_a_missing_table_and_database_are_not_found(client: MetastoreClient) -> None:
    with pytest.raises(NotFoundError, match=r"has no lake\.none"):
        client.table("lake", "none")
    with pytest.raises(NotFoundError, match=r"has no lake\.events"):
        client.ensure_table(TABLE)


def test_partitions_are_added_once_moved_and_dropped(client: MetastoreClient) -> None:
    client.ensure_database("lake", location="s3a://b/lake")
    client.ensure_table(TABLE)
    days = [Partition((f"d{day}",), f"s3a://b/events/v1/d{day}") for day in range(3)]
    assert client.add_partitions(TABLE, days[:2]) == 2
    assert client.add_partitions(TABLE, days) == 1
    moved = [replace(day, location=day.location.replace("v1", "v2")) for day in days]
    client.move_partitions(TABLE, moved)
    assert client.partitions("lake", "events") == moved
    client.drop_partition("lake", "events", ["d0"])
    client.drop_partition("lake", "events", ["d0"])
    assert client.partitions("lake", "events") == moved[1:]
    with pytest.raises(HclusterError, match="alter is not possible") as caught:
        client.move_partitions(TABLE, moved)
    assert caught.value.reference == "metastore-refused"
    client.drop_table("lake", "events")
    client.drop_table("lake", "events")


def test_a_refusal_is_told_in_the_services_words(client: MetastoreClient, service: Service) -> None:
    service.fail = ttypes.MetaException("Unable to reach the database\n at x")
    with pytest.raises(HclusterError, match=r"refused databases: Unable to reach the database$"):
        client.databases()


def test_silence_and_a_lost_connection_are_told_apart() -> None:
    ours, theirs = socket.socketpair()
    client = MetastoreClient(ours)
    ours.settimeout(0.1)
    with pytest.raises(DeadlineError, match="did not answer about databases"):
        client.databases()
    theirs.close()
    with pytest.raises(UnreachableError, match="connection to the Hive metastore ended"):
        client.databases()
    client.close()
    client.close()


def test_the_registry_is_made_once(remote: Any, service: Service) -> None:
    catalog = registry.MetastoreCatalog()
    catalog.ensure_registry(remote, "thrift://ms:9083", "b")
    catalog.ensure_registry(remote, "thrift://ms:9083", "b")
    made = service.tbls["hcluster", "clusters"]
    assert made.sd.location == "s3a://b/registry/clusters"
    assert made.sd.serdeInfo.serializationLib == "org.apache.hadoop.hive.serde2.JsonSerDe"
    assert service.dbs["hcluster"].locationUri == "s3a://b/registry"


def test_the_registrys_columns_are_the_keys_of_a_row() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    claim = records.Claim(cluster="c", launch="l", team="t", owner="o", created=1.0, spec={})
    view = ClusterView("c", "t", "o", "ready", "l", now, {})
    row = json.loads(ready_row(claim, view, image="ami-1", release="d", now=2.0))
    assert set(row) == {name for name, _, _ in registry.COLUMNS}
