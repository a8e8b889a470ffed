"""What everything that breaks something on purpose holds of a running cloud."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hcluster.localcloud.agenda import Agenda
from hcluster.localcloud.api.rules import Rules


@dataclass(frozen=True, slots=True)
class Hold:
    """The rules in force, what is to be done later, the records and their lock."""

    rules: Rules
    lock: threading.RLock
    """The cloud's, never held while a machine is waited for."""
    backend: Callable[[], Any]
    """EC2's records as they are now."""
    changed: Callable[[], None]
    """To be told when records changed."""
    agenda: Agenda = field(default_factory=Agenda)
