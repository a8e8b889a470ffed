"""Rows of a query as text, written while they come: a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, TextIO

from hcluster.cli.output.render import clean

Format = Literal["table", "csv", "json"]
_BLOCK = 1000
_GAP = "  "
_OWN_TEXT = frozenset({"boolean", "binary"})
"""Types whose values are not written as Python writes them."""
_NUMBERS = frozenset({"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"})


def write(
    out: TextIO, form: Format, names: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """Write all rows; how many there were. Memory is bounded by 1,000 rows.

    NULL is ``NULL`` in a table, nothing in CSV and null in JSON.
    """
    counted = _Counted(rows)
    if form == "csv":
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(names)
        # The writer itself, in C, writes all other kinds as _text would, and None as nothing.
        plain = not _OWN_TEXT & set(types)
        lines.writerows(
            counted if plain else (["" if cell is None else _text(cell) for cell in row] for row in counted)
        )
    elif form == "json":
        _json(out, _unique(names), counted)
    else:
        _table(out, names, types, counted)
    return counted.seen


class _Counted:
    """Rows, counted as they pass."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = iter(rows)
        self.seen = 0

    def __iter__(self) -> Iterator[Sequence[object]]:
        return self

    def __next__(self) -> Sequence[object]:
        row = next(self._rows)
        self.seen += 1
        return row


def _table(out: TextIO, names: Sequence[str], types: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    """Columns as wide as the first 1,000 rows need; later rows may widen them but get no second header."""
    widths = [len(name) for name in names]
    right = [kind in _NUMBERS for kind in types]
    first = True
    while block := [[_cell(cell) for cell in row] for row in islice(rows, _BLOCK)] or first:
        cells = [] if block is True else block
        for row in cells:
            widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
        if first:
            out.write(_line(names, widths, right) + "\n")
            first = False
        out.writelines(_line(row, widths, right) + "\n" for row in cells)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return _GAP.join(
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, right, strict=True)
    ).rstrip()


def _json(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One array of objects, one object a line."""
    before = "["
    for row in rows:
        values = {name: _plain(cell) for name, cell in zip(names, row, strict=True)}
        out.write(f"{before}\n{json.dumps(values, ensure_ascii=False)}")
        before = ","
    out.write("[]\n" if before == "[" else "\n]\n")


def _unique(names: Sequence[str]) -> list[str]:
    """Names told apart, since an object holds each key once: a, a_2, a_3."""
    unique: list[str] = []
    for name in names:
        candidate, turn = name, 1
        while candidate in unique:
            turn += 1
            candidate = f"{name}_{turn}"
        unique.append(candidate)
    return unique


def _plain(cell: object) -> object:
    """A value that JSON has; NaN and infinities, which it has not, as text."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return cell.hex() if isinstance(cell, bytes) else cell


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell.hex() if isinstance(cell, bytes) else str(cell)


def _cell(cell: object) -> str:
    """One line without control characters, whatever the value holds."""
    return "NULL" if cell is None else clean(_text(cell).replace("\n", "\\n").replace("\t", "\\t"))
