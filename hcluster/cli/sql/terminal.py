"""Where statements are typed: a line editor on a terminal that can move its cursor, plain lines on one that cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History as PromptHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from hcluster.executors.statements import finished

if TYPE_CHECKING:
    from hcluster.cli.sql.complete import Candidate
    from hcluster.cli.sql.history import History

Complete = Callable[[str, str], "tuple[int, list[Candidate]]"]
_WORDS = ("quit", "exit", "")


def complete_text(typed: str) -> bool:
    """Whether Enter sends what is typed: a whole statement, a command of the prompt, a word of leave, or nothing."""
    text = typed.strip()
    return text.startswith("\\") or text.lower() in _WORDS or finished(text)


class LineEditor:
    """Several lines, history, completion with Tab; colours as NO_COLOR and the terminal allow."""

    def __init__(self, history: History, complete: Complete, **terminal: Any) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_Kept(history),
            completer=_Tab(complete),
            complete_while_typing=False,
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation=lambda width, _line, _wrapped: "-> ".rjust(width),
            **terminal,
        )

    def read(self, prompt: str) -> str:
        """The next text. Raises KeyboardInterrupt when it was given up with Ctrl-C, EOFError after Ctrl-D."""
        return self._session.prompt(prompt)


class PlainLines:
    """For terminals that can only write lines one below the other (TERM=dumb)."""

    def __init__(self, history: History, read_line: Callable[[str], str] = input) -> None:
        self._history = history
        self._read_line = read_line

    def read(self, prompt: str) -> str:
        """As the editor's."""
        typed = self._read_line(prompt)
        while not complete_text(typed):
            typed += "\n" + self._read_line("-> ".rjust(len(prompt)))
        self._history.add(typed)
        return typed


def reader(
    history: History, complete: Complete, environment: Mapping[str, str] = os.environ
) -> LineEditor | PlainLines:
    """What this terminal can do."""
    if environment.get("TERM", "") in ("", "dumb", "unknown"):
        return PlainLines(history)
    return LineEditor(history, complete)


class _Kept(PromptHistory):
    """The history's file as the editor wants it."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return reversed(self._history.load())

    def store_string(self, string: str) -> None:
        """One more."""
        self._history.add(string)


class _Tab(Completer):
    """Ours as the editor's."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What Tab offers."""
        del complete_event
        replaced, found = self._complete(document.text_before_cursor, document.text_after_cursor)
        for one in found:
            yield Completion(one.text, start_position=-replaced, display_meta=one.kind)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @Condition
    def whole() -> bool:
        from prompt_toolkit.application import get_app

        return complete_text(get_app().current_buffer.text)

    @keys.add("enter", filter=whole)
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys
