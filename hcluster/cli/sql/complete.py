"""What a word of a statement may become; pure, given what is known of the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hcluster.executors.hive_names import Key, Known

# The databases and the functions as hive_names names them; not imported, since that loads Thrift.
_DATABASES: Key = ()
_FUNCTIONS: Key = ("",)

# fmt: off
KEYWORDS = (
    "add", "all", "alter", "analyze", "and", "as", "asc", "avro", "between", "bigint", "binary", "boolean", "bucket",
    "buckets", "by", "cascade", "case", "cast", "char", "cluster", "clustered", "columns", "comment", "compute",
    "create", "cross", "cube", "current", "current_date", "current_timestamp", "data", "database", "databases", "date",
    "decimal", "delete", "delimited", "desc", "describe", "directory", "distinct", "distribute", "double", "drop",
    "else", "end", "escaped", "except", "exchange", "exists", "explain", "export", "extended", "external", "false",
    "fields", "first", "float", "following", "for", "format", "formatted", "from", "full", "function", "functions",
    "group", "grouping", "having", "if", "import", "in", "inner", "inpath", "insert", "int", "intersect", "interval",
    "into", "is", "join", "last", "lateral", "left", "like", "limit", "lines", "load", "local", "location", "map",
    "materialized", "merge", "minus", "msck", "not", "null", "nulls", "of", "on", "or", "orc", "order", "outer",
    "over", "overwrite", "parquet", "partition", "partitioned", "partitions", "preceding", "property", "purge",
    "range", "rename", "repair", "replace", "restrict", "right", "rlike", "rollup", "row", "rows", "schema", "select",
    "semi", "serde", "set", "sets", "show", "skewed", "smallint", "sort", "sorted", "stats", "stored", "string",
    "struct", "table", "tables", "tablesample", "tblproperties", "temporary", "terminated", "textfile", "then",
    "timestamp", "tinyint", "to", "true", "truncate", "unbounded", "union", "unique", "unset", "update", "use",
    "using", "values", "varchar", "view", "views", "when", "where", "window", "with",
)
# fmt: on
COMMANDS = ("\\?", "\\d", "\\format", "\\l", "\\o", "\\pager", "\\q", "\\timing")

_TABLES_AFTER = frozenset({"from", "join", "into", "table", "describe", "desc", "update", "view", "stats"})
_DATABASES_AFTER = frozenset({"use", "database", "schema", "in"})
_SKIPPED = frozenset({"formatted", "extended", "overwrite", "if", "exists", "not"})
_TOKENS = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|--[^\n]*|/\*.*?\*/|`[^`]*`|[\w.`]+|['"]|/\*|\S""", re.DOTALL
)
_NAME = re.compile(r"[\w.`]+")
_ALIASED = re.compile(
    r"\b(?:from|join|into|table|update|,)\s+(?:table\s+)?([\w.`]+)(?:\s+(?:as\s+)?(\w+))?|,\s*([\w.`]+)(?:\s+(?:as\s+)?(\w+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to go on."""

    text: str
    """What replaces the word."""
    kind: str
    """keyword, function, database, table, column or command."""


def candidates(before: str, after: str, known: Known, database: str) -> tuple[int, list[Candidate]]:
    """(how many characters before the cursor are replaced, what by), given the text around the cursor.

    Keywords take the case of what is typed. Nothing is offered within a quote or comment.
    """
    start = before.lstrip()
    if start.startswith("\\") and " " not in start:
        return len(start), [Candidate(one, "command") for one in COMMANDS if one.startswith(start)]
    if start.startswith("\\d "):
        before = f"describe {start[3:]}"
    statement = before.rsplit(";", 1)[-1]
    tokens = [match.group() for match in _TOKENS.finditer(statement)]
    # What opens and does not close stands alone.
    if {"'", '"', "/*"} & set(tokens) or before.count("`") % 2 or _in_comment(statement):
        return 0, []
    typing = bool(tokens) and not statement[-1:].isspace() and bool(_NAME.fullmatch(tokens[-1]))
    word = tokens.pop() if typing else ""
    if not word and statement and not statement[-1].isspace() and statement[-1] not in "(,=<>+-*/":
        return 0, []
    *qualifier, prefix = word.replace("`", "").lower().split(".")
    whole = statement + after.split(";", 1)[0]
    found = list(
        _qualified(qualifier, whole, known, database)
        if qualifier
        else _plain(tokens, whole, known, database, empty=not word)
    )
    last = word.rsplit(".", 1)[-1]
    fitting = [one for one in found if one.text.lower().startswith(prefix) and one.text.lower() != prefix]
    return len(last), [_cased(one, last) for one in dict.fromkeys(fitting)]


def tables_in(statement: str, known: Known, database: str) -> dict[str, Key]:
    """(database, table) by each name and alias that a statement has for it, in lower case."""
    databases = set(known.names(_DATABASES))
    found: dict[str, Key] = {}
    for match in _ALIASED.finditer(statement):
        name, alias = (match[1], match[2]) if match[1] else (match[3], match[4])
        parts = tuple(name.replace("`", "").lower().split("."))
        if len(parts) > 2 or not all(parts):
            continue
        key: Key = parts if len(parts) == 2 else (database, parts[0])
        if key[0] in databases and key[1] in known.names((key[0],)):
            found[key[1]] = key
            if alias and alias.lower() not in KEYWORDS:
                found[alias.lower()] = key
    return found


def _plain(tokens: Sequence[str], statement: str, known: Known, database: str, *, empty: bool) -> Iterator[Candidate]:
    words = [token.lower() for token in tokens if token.lower() not in _SKIPPED]
    after = words[-1] if words else ""
    if after in _DATABASES_AFTER and not (after == "in" and "show" not in words[:1]):
        yield from _each(known.names(_DATABASES), "database")
        return
    if after in _TABLES_AFTER or (after == "," and _last_clause(words) == "from"):
        yield from _each(known.names((database,)), "table")
        yield from _each(known.names(_DATABASES), "database")
        return
    tables = tables_in(statement, known, database)
    for key in dict.fromkeys(tables.values()):
        yield from _each(known.names(key), "column")
    yield from _each(tables, "table")
    # Without a letter there would be hundreds of them.
    if not empty or not words:
        yield from _each(KEYWORDS, "keyword")
    if not empty and words:
        yield from _each((name for name in known.names(_FUNCTIONS) if name.isidentifier()), "function")


def _qualified(qualifier: Sequence[str], statement: str, known: Known, database: str) -> Iterator[Candidate]:
    if len(qualifier) == 1:
        key = tables_in(statement, known, database).get(qualifier[0])
        if key:
            yield from _each(known.names(key), "column")
        if qualifier[0] in known.names(_DATABASES):
            yield from _each(known.names((qualifier[0],)), "table")
    elif len(qualifier) == 2:
        yield from _each(known.names((qualifier[0], qualifier[1])), "column")


def _last_clause(words: Sequence[str]) -> str:
    clauses = ("from", "select", "where", "by", "on", "having", "values", "set")
    return next((word for word in reversed(words) if word in clauses), "")


def _in_comment(statement: str) -> bool:
    last = statement.rsplit("\n", 1)[-1]
    return any(match.group().startswith("--") for match in _TOKENS.finditer(last))


def _each(names: Iterable[str], kind: str) -> Iterator[Candidate]:
    for name in names:
        yield Candidate(name, kind)


def _cased(candidate: Candidate, typed: str) -> Candidate:
    upper = typed.isupper() and candidate.kind in ("keyword", "function")
    return Candidate(candidate.text.upper(), candidate.kind) if upper else candidate
