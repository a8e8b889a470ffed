"""HiveServer2's columnar results as rows of plain values; pure but for the generated stubs' types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from TCLIService import ttypes

Value = bool | int | float | str | bytes | None
"""Decimals, dates and timestamps stay the server's own text, so that nothing is rounded or cut."""

_KINDS = ("boolVal", "byteVal", "i16Val", "i32Val", "i64Val", "doubleVal", "stringVal", "binaryVal")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result."""

    name: str
    type: str
    """Hive's type, in lower case, like ``bigint``, ``decimal`` or ``struct``."""


def column_of(described: Any) -> Column:
    """From a TColumnDesc."""
    entries = described.typeDesc.types if described.typeDesc else []
    primitive = entries[0].primitiveEntry if entries else None
    name = "string" if primitive is None else ttypes.TTypeId._VALUES_TO_NAMES[primitive.type]  # noqa: SLF001 - generated
    return Column(described.columnName, name.removesuffix("_TYPE").lower())


def rows_of(results: Any) -> list[tuple[Value, ...]]:
    """The rows of a TRowSet."""
    return list(zip(*(_values(column) for column in results.columns or ()), strict=True))


def _values(column: Any) -> list[Value]:
    holder = next(holder for kind in _KINDS if (holder := getattr(column, kind)) is not None)
    values: list[Value] = list(holder.values)
    # A bit set, least significant bit first, often shorter than the column.
    for place, byte in enumerate(holder.nulls or b""):
        if byte:
            for bit in range(8):
                if byte & 1 << bit and (at := place * 8 + bit) < len(values):
                    values[at] = None
    return values
