"""Read what HiveServer2 writes for people: operation logs, progress tables and error messages; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_APPLICATION = re.compile(r"\bapplication_\d+_\d+\b")
_MAPREDUCE_JOB = re.compile(r"\bjob_(\d+_\d+)\b")
_PREFIX = re.compile(
    r"^(?:Error (?:while (?:compiling|processing) statement|running query): |(?:[\w.]+\.)?HiveSQLException:\s*"
    r"|FAILED: (?=\w*Exception)|java\.lang\.RuntimeException: )"
)
_MAPREDUCE_STAGE = re.compile(r"Stage-(\d+) map = (\d+)%,\s+reduce = (\d+)%")
_CAUSE = re.compile(r"(?:Caused by: |Error: |FATAL: )([\w.$]+(?:Exception|Error)?: [^\n\]]+)")


@dataclass(frozen=True, slots=True)
class Vertex:
    """One row of Tez's progress table."""

    name: str
    status: str
    total: int
    completed: int
    running: int
    failed: int


def application_ids(lines: Iterable[str]) -> tuple[str, ...]:
    """YARN applications that operation logs name, in order, each once; a MapReduce job counts as its application."""
    found: dict[str, None] = {}
    for line in lines:
        for match in _APPLICATION.findall(line):
            found[match] = None
        for numbers in _MAPREDUCE_JOB.findall(line):
            found[f"application_{numbers}"] = None
    return tuple(found)


def vertices(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Vertex, ...]:
    """Tez's progress table by column name; empty when it is none."""
    columns = [name.strip().upper() for name in header]
    if not {"VERTICES", "TOTAL", "COMPLETED"} <= set(columns):
        return ()

    def number(row: dict[str, str], column: str) -> int:
        return int(row.get(column, "0") or 0)

    tables = [dict(zip(columns, (cell.strip() for cell in row), strict=False)) for row in rows]
    return tuple(
        Vertex(
            name=row["VERTICES"].rstrip(". "),
            status=row.get("STATUS", ""),
            total=number(row, "TOTAL"),
            completed=number(row, "COMPLETED"),
            running=number(row, "RUNNING"),
            failed=number(row, "FAILED"),
        )
        for row in tables
    )


def describe(found: Sequence[Vertex]) -> str:
    """One line for people: ``Map 1 3/4 · Reducer 2 0/1``; ``?`` while a vertex does not know its tasks yet."""
    return " · ".join(
        f"{each.name} {each.completed}/{each.total if each.total >= 0 else '?'}"
        + (f" ({each.failed} failed)" if each.failed else "")
        for each in found
    )


def mapreduce_stage(line: str) -> tuple[str, int] | None:
    """(text, percent of map and reduce together) of a log line of Hive on MapReduce, None for other lines."""
    match = _MAPREDUCE_STAGE.search(line)
    if match is None:
        return None
    stage, mapped, reduced = match.groups()
    return f"stage {stage}: map {mapped} %, reduce {reduced} %", (int(mapped) + int(reduced)) // 2


def headline(message: str) -> str:
    """The first line that means something, without the server's wrapping; with the innermost cause of a failed task."""
    text = message.strip()
    while match := _PREFIX.match(text):
        text = text[match.end() :].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("at ")]
    first = lines[0] if lines else "HiveServer2 gave no reason"
    # A failed vertex puts its whole diagnostics, stack traces included, behind the first sentence.
    cut = first.find(" Vertex failed")
    if cut < 0:
        return first
    causes = _CAUSE.findall(text)
    return first[:cut].rstrip(" .") + (f": {causes[-1].strip()}" if causes else f":{first[cut:][:300]}")
