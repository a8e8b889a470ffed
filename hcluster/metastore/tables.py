"""Tables and partitions as plain values, and their Thrift structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymetastore.hive_metastore import ttypes

TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
JSON_SERDE = "org.apache.hadoop.hive.serde2.JsonSerDe"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column or a partition key."""

    name: str
    type: str
    """In Hive's own words, like ``bigint`` or ``array<string>``."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """An external table."""

    database: str
    name: str
    columns: tuple[TableColumn, ...]
    location: str
    """URL of its folder, s3a://…"""
    partition_keys: tuple[TableColumn, ...] = ()
    serde: str = JSON_SERDE
    serde_parameters: Mapping[str, str] = field(default_factory=dict)
    input_format: str = TEXT_INPUT
    output_format: str = TEXT_OUTPUT
    parameters: Mapping[str, str] = field(default_factory=dict)
    owner: str = "hcluster"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: a value for each key, and its folder."""

    values: tuple[str, ...]
    location: str


def to_thrift(table: Table) -> Any:
    """As ``create_table`` takes it."""
    return ttypes.Table(
        tableName=table.name,
        dbName=table.database,
        owner=table.owner,
        sd=descriptor(table, table.location),
        partitionKeys=[ttypes.FieldSchema(key.name, key.type, key.comment) for key in table.partition_keys],
        # The parameter is what Hive itself asks for; the type alone makes a managed table.
        parameters={"EXTERNAL": "TRUE", **table.parameters},
        tableType="EXTERNAL_TABLE",
    )


def descriptor(table: Table, location: str) -> Any:
    """The storage of a table, or of one of its partitions, at ``location``."""
    return ttypes.StorageDescriptor(
        cols=[ttypes.FieldSchema(column.name, column.type, column.comment) for column in table.columns],
        location=location,
        inputFormat=table.input_format,
        outputFormat=table.output_format,
        serdeInfo=ttypes.SerDeInfo(
            name=table.name, serializationLib=table.serde, parameters=dict(table.serde_parameters)
        ),
        compressed=False,
        numBuckets=-1,
        bucketCols=[],
        sortCols=[],
        parameters={},
    )


def from_thrift(found: Any) -> Table:
    """As ``get_table_req`` gives it."""
    storage = found.sd
    return Table(
        database=found.dbName,
        name=found.tableName,
        columns=tuple(TableColumn(each.name, each.type, each.comment or "") for each in storage.cols),
        location=storage.location,
        partition_keys=tuple(
            TableColumn(each.name, each.type, each.comment or "") for each in found.partitionKeys or ()
        ),
        serde=storage.serdeInfo.serializationLib,
        serde_parameters=dict(storage.serdeInfo.parameters or {}),
        input_format=storage.inputFormat,
        output_format=storage.outputFormat,
        parameters=dict(found.parameters or {}),
        owner=found.owner or "",
    )
