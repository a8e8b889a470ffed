"""What Tab offers within a statement."""

from __future__ import annotations

import pytest

from hcluster.cli.sql.complete import KEYWORDS, candidates, tables_in

KNOWN: dict[tuple[str, ...], tuple[str, ...]] = {
    (): ("default", "zoo"),
    ("",): ("concat", "count", "!=", "date_add"),
    ("default",): ("flights", "carriers", "counts"),
    ("zoo",): ("cages", "animals"),
    ("default", "flights"): ("carrier", "dep_delay", "origin"),
    ("default", "carriers"): ("carrier", "flights"),
    ("zoo", "cages"): ("id", "animal"),
}


class Known:
    def names(self, key: tuple[str, ...]) -> tuple[str, ...]:
        return KNOWN.get(key, ())


def offered(before: str, after: str = "") -> list[str]:
    return [one.text for one in candidates(before, after, Known(), "default")[1]]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("select * from fl", "", ["flights"]),
        ("select * from ", "", ["flights", "carriers", "counts", "default", "zoo"]),
        ("select * from zoo.", "", ["cages", "animals"]),
        ("select * from zoo.ca", "", ["cages"]),
        ("select * from flights f join ca", "", ["carriers"]),
        ("select dep", " from flights", ["dep_delay"]),
        ("select f.", " from flights f", ["carrier", "dep_delay", "origin"]),
        ("select f.o", " from default.flights as f", ["origin"]),
        ("select zoo.cages.", " from zoo.cages", ["id", "animal"]),
        ("select * from flights, ca", "", ["carriers"]),
        ("select c.", " from flights f, zoo.cages c where 1 = 1", ["id", "animal"]),
        ("select 1; select * from cou", "", ["counts"]),
        ("use z", "", ["zoo"]),
        ("show tables in z", "", ["zoo"]),
        ("describe formatted fl", "", ["flights"]),
        ("drop table if exists fl", "", ["flights"]),
        ("select dep_delay from flights wh", "", ["when", "where"]),
        ("select con", "", ["concat"]),
        ("SEL", "", ["SELECT"]),
        ("sel", "", ["select"]),
        ("select `fl", "", []),
        ("select 'fr", "", []),
        ("select \"it''s fr", "", []),
        ("select 1 -- fr", "", []),
        ("select 1 /* fr", "", []),
        ("select 'done' fr", "", ["from"]),
        ("\\t", "", ["\\timing"]),
        ("\\d fl", "", ["flights"]),
        ("select * from nosuch.", "", []),
        ("select nosuch.", " from flights", []),
        ("select a.b.c.", "", []),
        ("select * from flights", "", []),
    ],
)
def test_the_word_before_the_cursor_decides_by_what_stands_around_it(
    before: str, after: str, expected: list[str]
) -> None:
    assert offered(before, after) == expected


def test_only_the_last_part_of_a_name_is_replaced() -> None:
    assert candidates("select * from zoo.ca", "", Known(), "default")[0] == 2
    assert candidates("select * from ", "", Known(), "default")[0] == 0


def test_tables_are_known_by_name_and_alias_but_a_keyword_is_no_alias() -> None:
    found = tables_in("select 1 from flights where 1=1 union select 2 from `zoo`.`cages` as c", Known(), "default")
    assert found == {"flights": ("default", "flights"), "cages": ("zoo", "cages"), "c": ("zoo", "cages")}


def test_keywords_are_listed_once_and_sorted() -> None:
    assert list(KEYWORDS) == sorted(set(KEYWORDS))
