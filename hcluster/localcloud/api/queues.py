"""SQS queues that are waited at without holding up the cloud, and that can be kept on disk."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from hcluster.localcloud.api.parts import MotoQueue, sqs_models


class Queue(MotoQueue):  # type: ignore[misc]
    """Moto's queue waits for messages inside the request, which would hold the cloud's lock for up to 20 s."""

    arrived: ClassVar[threading.Condition]
    """Of the cloud's lock: who waits lets go of it."""

    def wait_for_messages(self, timeout: int) -> None:
        """Long polling, with the cloud's lock held before and after."""
        self.arrived.wait_for(lambda: self.messages, timeout=timeout)

    def add_message(self, message: Any) -> None:
        """Wake those who wait."""
        super().add_message(message)
        with self.arrived:
            self.arrived.notify_all()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_messages_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _messages_lock=threading.Condition())


def install(lock: threading.RLock) -> None:
    """Let moto make these queues, in a cloud whose lock that is."""
    Queue.arrived = threading.Condition(lock)
    sqs_models.Queue = Queue
