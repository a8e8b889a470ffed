"""Texts of policies: wildcards, escapes and policy variables, and what they match.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Value = str | tuple[str, ...]
"""Of a condition key: a text, or a tuple for a key that has any number of values."""
Context = Mapping[str, Value]
"""What is known of a request, by condition key in lower case."""

Style = Literal["text", "resource", "arn"]
"""What a wildcard may cross. ``text``: everything. ``arn``: not one of the first five colons. ``resource``: the same,
but a ``*`` that ends a segment may match beyond it."""

_ARN_COLONS = 5
_VARIABLE = re.compile(r"\$\{([^}]*)(\}?)")
_WITH_DEFAULT = re.compile(r"([^,\s]+)\s*,\s*'([^']*)'")
_NAME = re.compile(r"[A-Za-z0-9][\w\-+.]*:[\w\-+./=@: ]+")


class PolicyError(Exception):
    """A policy document that cannot be evaluated; the text names the element."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text."""

    kind: Literal["text", "many", "one", "variable"]
    value: str = ""
    """The text, or the variable's condition key in lower case."""
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A value of a policy; its variables get theirs at each request."""

    source: str
    tokens: tuple[Token, ...]
    fixed: bool
    """Whether it has no variable."""

    def text(self, context: Context) -> str | None:
        """As plain text, with ``*`` and ``?`` as they stand; None when a variable has no value."""
        if self.fixed:
            return "".join(_PLAIN.get(token.kind, token.value) for token in self.tokens)
        parts = [_PLAIN.get(token.kind) or _value(token, context) for token in self.tokens]
        return None if None in parts else "".join(str(part) for part in parts)

    def matches(self, value: str, context: Context, style: Style) -> bool:
        """Whether ``value`` fits, with wildcards; never, when a variable has no value."""
        found = _fixed_pattern(self, style) if self.fixed else _pattern(self, context, style)
        return found is not None and found.fullmatch(value) is not None


_PLAIN = {"many": "*", "one": "?"}


def template(source: str, *, variables: bool) -> Template:
    """Read a value; ``variables``: whether ``${…}`` means something (policy version 2012-10-17).

    Raises:
        PolicyError: a variable that cannot be read.
    """
    tokens: list[Token] = []
    at = 0
    if variables:
        for found in _VARIABLE.finditer(source):
            tokens += _wildcards(source[at : found.start()])
            tokens.append(_variable(source, found))
            at = found.end()
    tokens += _wildcards(source[at:])
    return Template(source, tuple(tokens), all(token.kind != "variable" for token in tokens))


def _wildcards(text: str) -> list[Token]:
    pieces = [piece for piece in re.split(r"([*?])", text) if piece]
    return [Token("many") if p == "*" else Token("one") if p == "?" else Token("text", p) for p in pieces]


def _variable(source: str, found: re.Match[str]) -> Token:
    inside, closed = found.groups()
    if not closed:
        raise PolicyError(f"The policy variable in {source!r} has no closing brace.")
    if inside in ("*", "?", "$"):
        return Token("text", inside)
    name, default = inside.strip(), None
    if both := _WITH_DEFAULT.fullmatch(name):
        name, default = both.groups()
    if not _NAME.fullmatch(name):
        raise PolicyError(f"${{{inside}}} in {source!r} is no policy variable.")
    return Token("variable", name.lower(), default)


def _value(token: Token, context: Context) -> str | None:
    if token.kind == "text":
        return token.value
    found = context.get(token.value)
    # Keys with several values cannot be variables.
    return found if isinstance(found, str) else token.default


@lru_cache(maxsize=8192)
def _fixed_pattern(of: Template, style: Style) -> re.Pattern[str]:
    return re.compile(_regex([(t.kind, t.value) for t in of.tokens], style), re.DOTALL)


def _pattern(of: Template, context: Context, style: Style) -> re.Pattern[str] | None:
    parts: list[tuple[str, str]] = []
    for token in of.tokens:
        value = _value(token, context) if token.kind in ("text", "variable") else ""
        if value is None:
            return None
        parts.append((token.kind, value))
    return _compiled(_regex(parts, style))


@lru_cache(maxsize=4096)
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex, re.DOTALL)


def _regex(parts: list[tuple[str, str]], style: Style) -> str:
    """``parts``: (kind, value); what a variable gave stands for itself, wildcards in it too.

    What follows a ``*`` is looked for once, at the first place where it fits: a pattern of many ``*`` would otherwise
    take forever to find that a long text does not fit, and the cloud would stand still as long.
    """
    stars, pieces = [], [""]
    """``pieces[0]``, and what follows each of ``stars``."""
    colons = 0
    for place, (kind, value) in enumerate(parts):
        inside = style != "text" and colons < _ARN_COLONS
        if kind == "one":
            pieces[-1] += "[^:]" if inside else "."
        elif kind == "many":
            last = place + 1 == len(parts) or parts[place + 1][1].startswith(":")
            stars.append("[^:]*" if inside and not (style == "resource" and last) else ".*")
            pieces.append("")
        else:
            colons += value.count(":")
            pieces[-1] += re.escape(value)
    regex = pieces[0]
    for star, piece, following in zip(stars, pieces[1:], [*stars[1:], None][: len(stars)], strict=True):
        # The first place is as good as any other where the next star takes all that this one could have taken.
        regex += f"(?>{star}?{piece})" if following in (star, ".*") else f"{star}{piece}"
    return regex
