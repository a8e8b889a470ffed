"""Lifecycle configurations: checked when they are put, and what they say is due. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hcluster.localcloud.api.s3.documents import Element, parsed, text_of
from hcluster.localcloud.api.s3.problem import problem

MOST_RULES = 1000
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that is enabled."""

    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger: int = -1
    """Objects must be larger than this; -1: any."""
    smaller: int = -1
    days: int = 0
    """After which the current version expires; 0: never."""
    date: float = 0.0
    noncurrent_days: int = 0
    noncurrent_kept: int = 0
    markers: bool = False
    """Whether a delete marker that stands alone is removed."""
    abort_days: int = 0

    def covers(self, key: str, size: int, tags: Mapping[str, str]) -> bool:
        """Whether an object is the rule's."""
        return (
            key.startswith(self.prefix)
            and self.tags.items() <= tags.items()
            and (self.larger < 0 or size > self.larger)
            and (self.smaller < 0 or size < self.smaller)
        )

    def expires(self, modified: float, now: float) -> bool:
        """Whether a current version that was written then is due."""
        if self.date and now >= self.date:
            return True
        return bool(self.days) and now >= due(modified, self.days)

    def outlived(self, replaced: float, now: float) -> bool:
        """Whether a version that was replaced then is due."""
        return bool(self.noncurrent_days) and now >= due(replaced, self.noncurrent_days)

    def aborts(self, started: float, now: float) -> bool:
        """Whether an upload that was begun then is due."""
        return bool(self.abort_days) and now >= due(started, self.abort_days)


def due(moment: float, days: int) -> float:
    """So many days later, rounded up to the next midnight UTC, as S3 does."""
    later = datetime.fromtimestamp(moment, UTC) + timedelta(days=days)
    midnight = later.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight if midnight == later else midnight + timedelta(days=1)).timestamp()


def rules_of(body: bytes) -> list[Rule]:
    """The enabled rules. Raises MalformedXML, InvalidArgument or InvalidRequest."""
    found = parsed(body, "LifecycleConfiguration").findall("Rule")
    if not 0 < len(found) <= MOST_RULES:
        raise problem("MalformedXML")
    names = [name for one in found if (name := text_of(one, "ID"))]
    if len(set(names)) < len(names):
        raise problem("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    rules = []
    for one in found:
        status = text_of(one, "Status")
        if status not in ("Enabled", "Disabled"):
            raise problem("MalformedXML")
        rule = _rule(one)
        if status == "Enabled":
            rules.append(rule)
    return rules


def _rule(one: Element) -> Rule:
    actions = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    if one.find("Transition") is not None or one.find("NoncurrentVersionTransition") is not None:
        raise problem("NotImplemented", "Transitions between storage classes are not supported by the local cloud.")
    if all(one.find(name) is None for name in actions):
        raise problem("InvalidRequest", "At least one action needs to be specified in a rule")
    holder = one.find("Filter")
    if holder is None and one.find("Prefix") is None:
        raise problem("MalformedXML")
    prefix, tags, larger, smaller = _filter(one if holder is None else holder)
    expiration = one.find("Expiration")
    date = text_of(expiration, "Date") if expiration is not None else ""
    return Rule(
        prefix=prefix,
        tags=tags,
        larger=larger,
        smaller=smaller,
        days=_days(expiration, "Days"),
        date=_date(date) if date else 0.0,
        noncurrent_days=_days(one.find("NoncurrentVersionExpiration"), "NoncurrentDays"),
        noncurrent_kept=_days(one.find("NoncurrentVersionExpiration"), "NewerNoncurrentVersions"),
        markers=expiration is not None and text_of(expiration, "ExpiredObjectDeleteMarker").lower() == "true",
        abort_days=_days(one.find("AbortIncompleteMultipartUpload"), "DaysAfterInitiation"),
    )


def _filter(holder: Element) -> tuple[str, dict[str, str], int, int]:
    both = holder.find("And")
    holder = holder if both is None else both
    tags = {text_of(one, "Key"): text_of(one, "Value") for one in holder.findall("Tag")}
    return text_of(holder, "Prefix"), tags, _size(holder, "ObjectSizeGreaterThan"), _size(holder, "ObjectSizeLessThan")


def _size(holder: Element, name: str) -> int:
    text = text_of(holder, name)
    if not text:
        return -1
    if not text.isdigit():
        raise problem("MalformedXML")
    return int(text)


def _days(holder: Element | None, name: str) -> int:
    text = text_of(holder, name).strip() if holder is not None else ""
    if not text:
        return 0
    if not text.isdigit() or int(text) < 1:
        raise problem("InvalidArgument", f"'{name}' for the lifecycle action must be a positive integer")
    return int(text)


def _date(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise problem("MalformedXML") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found.timestamp() % _DAY:
        raise problem("InvalidArgument", "'Date' must be at midnight GMT")
    return found.timestamp()
