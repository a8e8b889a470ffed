"""What all tests stand on."""

from __future__ import annotations

import signal

import pytest

from tests import measured

# A shell lets its background jobs ignore Ctrl-C, and all that they start: tests that interrupt would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)

MEASURED = measured.begun()


def pytest_sessionfinish() -> None:
    """Of each worker and of their controller."""
    if MEASURED:
        MEASURED.keep()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the files out, those with slow tests come first: none is left to one worker at the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)
