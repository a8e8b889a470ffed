"""What all parts of the adapter share: the session, pages, tags and waiting for eventual consistency."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hcluster.aws.session import AwsSession
from hcluster.errors import ConflictError, DeadlineError, NotFoundError, UsageError
from hcluster.model.names import TAG_PLATFORM
from hcluster.ports import Clock

T = TypeVar("T")
Record = Mapping[str, Any]
"""One untyped answer of the SDK; it never leaves this package."""

SETTLE_SECONDS = 30.0
"""How long EC2 and IAM may take to show what they have just made (both promise eventual consistency only)."""


class Part:
    """Base of the adapter's parts.

    Args:
        session: whose clients are used.
        clock: what waits are measured and slept with.
    """

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def _ec2(self) -> Any:
        return self._session.client("ec2")

    def _pages(self, what: str, operation: str, key: str, **arguments: object) -> Iterator[Record]:
        """Every record below ``key`` on all pages of an EC2 describe call."""
        size = 200 if "LaunchTemplate" in key else 1000
        with self._session.call(what):
            paginator = self._ec2().get_paginator(operation)
            for page in paginator.paginate(**arguments, PaginationConfig={"PageSize": size}):
                yield from page.get(key, [])

    def _settle(self, what: str, call: Callable[[], T], seconds: float = SETTLE_SECONDS) -> T:
        """Repeat ``call`` while it raises NotFoundError, as a thing just made may; then DeadlineError."""
        deadline = self._clock.now() + seconds
        pause = 0.25
        while True:
            try:
                return call()
            except NotFoundError as missing:
                if self._clock.now() >= deadline:
                    raise DeadlineError(
                        f"{what}: still not there after {seconds:.0f} s",
                        context=str(missing),
                        hint="repeat the command",
                    ) from missing
            self._clock.sleep(pause)
            pause = min(pause * 2, 4.0)


def tag_filters(tags: Mapping[str, str]) -> list[dict[str, object]]:
    """EC2 filters for all ``tags``."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in sorted(tags.items())]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as every AWS API wants them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_specifications(tags: Mapping[str, str], *kinds: str) -> list[dict[str, object]]:
    """EC2 ``TagSpecifications`` for resources of ``kinds``; empty without tags, as EC2 refuses an empty one."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)} for kind in kinds] if tags else []


def tags_of(record: Record) -> dict[str, str]:
    """The tags of an answer's record."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in record.get("Tags") or []}


def carries(record: Record, tags: Mapping[str, str]) -> bool:
    """Whether a record carries all ``tags`` literally: EC2's filters read ``*`` and ``?`` in a value as wildcards."""
    own = tags_of(record)
    return all(own.get(key) == value for key, value in tags.items())


def demand_own(record: Record, tags: Mapping[str, str], what: str, remove: str) -> None:
    """Refuse to adopt what was not made for the same platform: tags go into the call that creates, so ours has them.

    Args:
        record: what was found by its name.
        tags: what it would have been made with.
        what: how messages call it: ``role hcluster-x-node``.
        remove: the command that deletes it.

    Raises:
        ConflictError: it is another platform's, or nobody's that we know.
    """
    own = tags_of(record)
    holder, wanted = own.get(TAG_PLATFORM, ""), tags.get(TAG_PLATFORM, "")
    if holder == wanted:
        return
    whose = f"belongs to platform {holder}" if holder else f"was not made by hcluster (it has no tag {TAG_PLATFORM})"
    raise ConflictError(
        f"{what} exists and {whose}",
        hint=f"choose another `name` for the platform or the cluster, or remove it if nobody needs it: {remove}",
    )


def demand_tags(tags: Mapping[str, str], what: str) -> None:
    """Refuse to delete without tags, which would mean everything in the account."""
    if not tags:
        raise UsageError(f"{what} needs at least one tag: without one it would take everything in the account")


def chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """``values`` in runs of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
