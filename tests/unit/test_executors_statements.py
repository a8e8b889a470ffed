"""HiveQL text is split at the semicolons that end statements, and only there."""

from __future__ import annotations

import pytest

from hcluster.errors import UsageError
from hcluster.executors.statements import only_reads, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ;;\n ; ", ()),
        ("select 1", ("select 1",)),
        ("select 1;", ("select 1",)),
        ("select 1; select 2 ;\n", ("select 1", "select 2")),
        ("select 'a;b'; x", ("select 'a;b'", "x")),
        ('select "a;b"; x', ('select "a;b"', "x")),
        ("select `a;b`; x", ("select `a;b`", "x")),
        ("select `a``;b`; x", ("select `a``;b`", "x")),
        (r"select 'it\'s;'; x", (r"select 'it\'s;'", "x")),
        (r"select 'a\\'; x", (r"select 'a\\'", "x")),
        ("select 'it''s;'; x", ("select 'it''s;'", "x")),
        ("""select '"'; select "'" """, ("""select '"'""", """select "'\"""")),
        ("-- a; b\nselect 1; -- c;", ("select 1",)),
        ("select 1 -- it's;\n, 2; x", ("select 1  \n, 2", "x")),
        ("select 1 /* it's; \n ; */ + 2", ("select 1   + 2",)),
        ("/* one */ set a=b; /**/ x", ("set a=b", "x")),
        ("select /*+ MAPJOIN(a); */ 1", ("select /*+ MAPJOIN(a); */ 1",)),
        ("select '-- no', '/* no */'", ("select '-- no', '/* no */'",)),
        ("select 3 - -2, 6/2; y", ("select 3 - -2, 6/2", "y")),
        ("select 1--2\n;y", ("select 1", "y")),
        ("set hive.x=a-b;\nset y=s3a://b/c", ("set hive.x=a-b", "set y=s3a://b/c")),
        ("select 'é;ü' ; x", ("select 'é;ü'", "x")),
        ("select 'a\nb;\nc'; x", ("select 'a\nb;\nc'", "x")),
        ("select 1;-- end without newline", ("select 1",)),
        ("select '\\\n;'", ("select '\\\n;'",)),
    ],
)
def test_statements(text: str, expected: tuple[str, ...]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 'a;\nb", "line 1 .* quote '"),
        ('select 1;\nselect "a', 'line 2 .* quote "'),
        ("x;\n\nselect `a", "line 3 .* quote `"),
        ("select 1 /* never\nends", r"line 1 .* comment /\*"),
        ("select 'a\\'", "line 1 .* quote '"),
    ],
)
def test_what_is_never_closed_is_wrong_usage_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split(text)


def test_a_megabyte_is_split_in_linear_time() -> None:
    statement = "insert into t values ('a;b', 1) -- c\n"
    assert len(split(f"{statement};" * 25_000)) == 25_000


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1", True),
        ("SELECT a FROM b", True),
        (" (select 1) union (select 2)", True),
        ("with a as (select 1) select * from a", True),
        ("with a as (select 1) insert into t select * from a", False),
        ("from a insert into t select *", False),
        ("insert into t values (1)", False),
        ("explain select 1", True),
        ("explain analyze insert into t select 1", False),
        ("show create table updates", True),
        ("describe formatted t", True),
        ("set a=b", False),
        ("use x", False),
        ("create table t as select 1", False),
        ("", False),
    ],
)
def test_what_only_reads_may_be_left_out_or_repeated(statement: str, expected: bool) -> None:
    assert only_reads(statement) == expected
