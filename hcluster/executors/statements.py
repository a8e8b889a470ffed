"""Split HiveQL text into statements, and tell their kinds; pure.

A semicolon ends a statement unless it stands within quotes (' " `) or a comment. Comments are left out, since a ``set``
behind one is not recognised by HiveServer2; hints (``/*+ … */``) stay.
"""

from __future__ import annotations

import re

from hcluster.errors import UsageError

# What decides at each place: a whole quoted text or comment, an opening that never closes, or the end of a statement.
_TOKEN = re.compile(
    r"""
    (?P<quoted> '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:``|[^`])*` )
  | (?P<hint> /\*\+.*?\*/ )
  | (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<open> ['"`] | /\* )
  | (?P<end> ; )
  | (?P<text> [^'"`/;-]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def split(text: str) -> tuple[str, ...]:
    """The statements in order, without their semicolons; empty ones are left out.

    Raises:
        UsageError: a quote or comment is not closed; the message has its line, counted from 1.
    """
    statements = []
    parts: list[str] = []
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            line = text.count("\n", 0, token.start()) + 1
            what = "comment /*" if token.group() == "/*" else f"quote {token.group()}"
            raise UsageError(f"line {line} of the SQL opens a {what} that is never closed")
        if kind == "end":
            statements.append("".join(parts).strip())
            parts = []
        elif kind == "comment":
            # A comment separates words as a blank does; its line end is a token of its own.
            parts.append(" ")
        else:
            parts.append(token.group())
    statements.append("".join(parts).strip())
    return tuple(statement for statement in statements if statement)


_FIRST = re.compile(r"\s*\(*\s*(\w+)")
_READING = frozenset({"select", "with", "show", "describe", "desc", "explain", "values"})
_WRITING = re.compile(r"\b(?:insert|update|delete|merge)\b", re.IGNORECASE)


def first_word(statement: str) -> str:
    """The word that says what kind of statement it is, in lower case; "" when it begins with none."""
    match = _FIRST.match(statement)
    return match[1].lower() if match else ""


def only_reads(statement: str) -> bool:
    """Whether a statement changes nothing for sure, so that it may be left out, or be run again."""
    word = first_word(statement)
    # With a word of change in a text or a name the answer is no, which is the safe one.
    return word in _READING and (word == "show" or not _WRITING.search(statement))


def finished(text: str) -> bool:
    """Whether the last statement of a text that is being typed has its semicolon; an open quote or comment has not."""
    done = False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            return False
        if kind == "end":
            done = True
        elif kind in ("quoted", "hint") or (kind == "text" and token.group().strip()):
            done = False
    return done


_DDL = frozenset({"create", "drop", "alter", "truncate", "msck", "import", "reload"})
_USE = re.compile(r"\s*use\s+`?(\w+)`?\s*$", re.IGNORECASE)


def changes_names(statement: str) -> bool:
    """Whether there may be other databases, tables, columns or functions after a statement."""
    return first_word(statement) in _DDL


def database_of(statement: str) -> str:
    """The database that a ``use`` makes the current one, in lower case; "" for all else."""
    match = _USE.match(statement)
    return match[1].lower() if match else ""
