"""Split HiveQL text into statements; pure.

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
