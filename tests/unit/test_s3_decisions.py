"""S3's pure decisions: ranges, conditions, names, order, days."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.s3 import conditions, lifecycle_rules, listing, names
from hcluster.localcloud.api.s3.request import split_path


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=3-", (3, 7)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=8-99", (8, 2)),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
    ],
)
def test_a_range_is_cut_to_the_object_and_nonsense_means_all_of_it(
    header: str | None, expected: tuple[int, int] | None
) -> None:
    assert conditions.range_of(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Fault) as error:
        conditions.range_of(header, 10)
    assert (error.value.code, error.value.status) == ("InvalidRange", 416)


@pytest.mark.parametrize(
    ("headers", "etag", "code"),
    [
        ({}, "e", ""),
        ({"if-none-match": "*"}, None, ""),
        ({"if-none-match": "*"}, "e", "PreconditionFailed"),
        ({"if-none-match": '"e"'}, None, "NotImplemented"),
        ({"if-match": '"e"'}, "e", ""),
        ({"if-match": "e"}, "e", ""),
        ({"if-match": '"e"'}, "f", "PreconditionFailed"),
        ({"if-match": '"e"'}, None, "NoSuchKey"),
    ],
)
def test_conditions_of_writes(headers: dict[str, str], etag: str | None, code: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
    if not code:
        conditions.check_write(headers, etag)
        return
    with pytest.raises(Fault) as error:
        conditions.check_write(headers, etag)
    assert error.value.code == code


@pytest.mark.parametrize("prefix", ["a", "a/", "é", "\ud7ff", "\U0010fffe", "a\U0010ffff"])
def test_the_successor_of_a_prefix_is_behind_all_that_begin_with_it(prefix: str) -> None:
    after = names.successor(prefix).encode()
    for tail in ("", "\0", "z", "\U0010ffff" * 3):
        assert (prefix + tail).encode() < after
    assert names.successor("\U0010ffff") == ""


def test_a_path_keeps_every_slash_of_a_key() -> None:
    assert split_path("/bucket") == ("bucket", "")
    assert split_path("/bucket/a//b/?x") == ("bucket", "a//b/")
    assert split_path("/bucket//a%2Fb%20c") == ("bucket", "/a/b c")
    with pytest.raises(Fault, match="UTF-8"):
        split_path("/bucket/%ff")


KEYS = [*sorted(f"{top}/{number}" for top in "abc" for number in range(50)), "d"]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 200])
def test_folders_are_stepped_over_and_pages_meet(size: int) -> None:
    asked: list[int] = []

    def fetch(start: str, end: str, most: int) -> list[tuple[str, str]]:
        found = [(key, "") for key in KEYS if start <= key < end][:most]
        asked.append(len(found))
        return found

    told: list[str] = []
    start = ""
    while True:
        page = listing.page_of(fetch, "", "/", start, size)
        told += [*page.folders, *(row[0] for row in page.rows)]
        if not page.more:
            break
        start = listing.behind(page.last)
    assert told == ["a/", "b/", "c/", "d"]
    assert listing.page_of(fetch, "b/", "", "", 1000).rows == [(key, "") for key in KEYS if key.startswith("b/")]


def test_days_are_rounded_up_to_midnight() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html"""
    moment = datetime(2026, 1, 15, 10, 30, tzinfo=UTC).timestamp()
    assert lifecycle_rules.due(moment, 3) == datetime(2026, 1, 19, tzinfo=UTC).timestamp()
    midnight = datetime(2026, 1, 15, tzinfo=UTC).timestamp()
    assert lifecycle_rules.due(midnight, 1) == datetime(2026, 1, 16, tzinfo=UTC).timestamp()
