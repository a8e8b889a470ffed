"""The script that makes the metastore's database, against a client that keeps a database and fails when told to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = Path(__file__).parents[2] / "puppet/modules/metastore/templates/database.sh.epp"
CLIENT = """\
import json, re, sys
from pathlib import Path

here = Path(__file__).parent
state = json.loads((here / "state.json").read_text())
given = sys.argv[-1] if "--execute" in sys.argv else sys.stdin.read()
state["calls"].append(given)
failing = len(state["calls"]) in state["failing"]
if not failing:
    for statement in given.split(";"):
        if "information_schema" in statement:
            print(sum(f"table_name = '{name}'" in statement for name in state["tables"]))
        elif found := re.search(r"select count\\(\\*\\) from metastore\\.(\\w+)", statement):
            print(state["odd"] if state["odd"] is not None else state["tables"][found[1]])
        elif "drop" in statement:
            state["dropped"].append(statement.strip())
            state["tables"] = {}
        elif found := re.search(r"CREATE TABLE (\\w+)", statement):
            state["tables"][found[1]] = 0
        elif found := re.search(r"INSERT INTO (\\w+)", statement):
            state["tables"][found[1]] += 1
(here / "state.json").write_text(json.dumps(state))
sys.exit(failing)
"""
SCHEMA = "CREATE TABLE DBS;\nCREATE TABLE TBLS;\nCREATE TABLE VERSION;\nINSERT INTO VERSION;\n"
COMPLETE = {"DBS": 0, "TBLS": 0, "VERSION": 1}
POPULATED = {"DBS": 3, "TBLS": 2, "VERSION": 1}
HALF_MADE = {"DBS": 0}


@dataclass
class Server:
    """What the client keeps between its calls, and the script under test."""

    folder: Path

    def run(self, tables: dict[str, int], *failing: int, odd: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the script on these tables (rows by name), with the calls of these numbers failing."""
        state: dict[str, object] = {"tables": tables, "failing": failing, "odd": odd, "calls": [], "dropped": []}
        (self.folder / "state.json").write_text(json.dumps(state))
        environment = os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        command = ["sh", str(self.folder / "script")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    @property
    def calls(self) -> int:
        return len(self.state["calls"])


def write_script(folder: Path, *, restore: bool) -> None:
    """The script as Puppet renders it, with a `zstd` that copies and whatever dump `dump.sql` is in the bucket."""
    values = {
        "database": "metastore",
        "user": "hive",
        "secret": folder / "secret",
        "schema": folder / "schema.sql",
        "marker": folder / "restoring",
    }
    text = TEMPLATE.read_text().partition("-%>\n")[2]
    text = re.sub(r"<% if \$restore { -%>\n(.*?)<% } -%>\n", r"\1" if restore else "", text, flags=re.DOTALL)
    text = re.sub(r"<%= \$(\w+) %>", lambda found: str(values[found[1]]), text)
    (folder / "script").write_text(text.replace("/var/lib/hcluster/restore.sql.zst", str(folder / "fetched")))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    write_script(tmp_path, restore=False)
    (tmp_path / "secret").write_text("pass'word\n")
    (tmp_path / "schema.sql").write_text(SCHEMA)
    client = tmp_path / "mariadb"
    client.write_text(f"#!{sys.executable} -SE\n{CLIENT}")
    client.chmod(0o755)
    return Server(tmp_path)


@pytest.mark.parametrize("tables", [{}, HALF_MADE, {**COMPLETE, "VERSION": 0}])
def test_what_has_neither_version_nor_data_gets_the_schema(server: Server, tables: dict[str, int]) -> None:
    assert server.run(tables).returncode == 0
    assert server.state["tables"] == COMPLETE


@pytest.mark.parametrize("tables", [COMPLETE, POPULATED])
def test_a_complete_database_is_left_alone(server: Server, tables: dict[str, int]) -> None:
    assert server.run(tables).returncode == 0
    assert (server.state["dropped"], server.state["tables"]) == ([], tables)


@pytest.mark.slow
@pytest.mark.parametrize("tables", [COMPLETE, POPULATED, {**POPULATED, "VERSION": 0}, {"DBS": 0, "TBLS": 2}])
def test_whichever_call_fails_a_database_with_schema_or_data_is_never_dropped(
    server: Server, tables: dict[str, int]
) -> None:
    server.run(tables)
    for number in range(1, server.calls + 1):
        server.run(tables, number)
        assert (server.state["dropped"], server.state["tables"]) == ([], tables), f"call {number}"


@pytest.mark.parametrize("tables", [HALF_MADE, {**COMPLETE, "VERSION": 0}])
def test_whichever_call_fails_before_the_schema_is_made_nothing_is_dropped_and_systemd_tries_again(
    server: Server, tables: dict[str, int]
) -> None:
    server.run(tables)
    calls = server.state["calls"]
    drop = next(number for number, call in enumerate(calls, 1) if "drop" in call)
    for number in range(2, drop + 1):
        assert server.run(tables, number).returncode != 0, f"call {number}: {calls[number - 1]}"
        assert (server.state["dropped"], server.state["tables"]) == ([], tables), f"call {number}"


def test_a_load_that_fails_ends_with_an_error_and_the_next_start_makes_it_good(server: Server) -> None:
    server.run({})
    load = next(number for number, call in enumerate(server.state["calls"], 1) if "CREATE TABLE" in call)
    assert server.run({}, load).returncode != 0
    assert server.run(server.state["tables"]).returncode == 0
    assert server.state["tables"] == COMPLETE


@pytest.mark.parametrize("answer", ["", "NULL", "0\n0", "-1", "ERROR 1021 (HY000): Disk full"])
def test_an_answer_that_is_no_number_is_no_answer(server: Server, answer: str) -> None:
    done = server.run(POPULATED, odd=answer)
    assert done.returncode == 1
    assert "nothing was dropped" in done.stderr
    assert server.state["dropped"] == []


def test_data_without_a_version_is_refused_with_what_to_do(server: Server) -> None:
    done = server.run({**POPULATED, "VERSION": 0})
    assert done.returncode == 1
    assert "DBS has 3 rows: restore a dump" in done.stderr


def test_without_a_schema_to_load_nothing_is_dropped(server: Server) -> None:
    (server.folder / "schema.sql").unlink()
    assert server.run(HALF_MADE).returncode == 1
    assert server.state["dropped"] == []


def test_a_schema_that_ends_early_is_an_error(server: Server) -> None:
    (server.folder / "schema.sql").write_text("CREATE TABLE DBS;\n")
    done = server.run({})
    assert done.returncode == 1
    assert "no version" in done.stderr


def test_the_password_is_no_argument(server: Server) -> None:
    server.run({})
    assert not [call for call in server.state["calls"] if "pass" in call]
    assert b"pass'word".hex() in server.state["calls"][1]


DUMP = "CREATE TABLE DBS;\nINSERT INTO DBS;\nINSERT INTO DBS;\nCREATE TABLE VERSION;\nINSERT INTO VERSION;\n"
RESTORED = {"DBS": 2, "VERSION": 1}


@pytest.fixture
def restoring(server: Server) -> Server:
    """With a bucket: a fetch that ends with the code in `fetch-code`, and a dump in `dump.sql`."""
    write_script(server.folder, restore=True)
    (server.folder / "dump.sql").write_text(DUMP)
    (server.folder / "fetch-code").write_text("0")
    scripts = {
        "hcluster-node": f"""
            read -r code < {server.folder}/fetch-code
            [ "$code" -ne 0 ] || cp {server.folder}/dump.sql "$2"
            exit "$code"
        """,
        "zstd": 'shift 3; cat "$1"',
    }
    for name, text in scripts.items():
        (server.folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (server.folder / name).chmod(0o755)
    return server


@pytest.mark.parametrize("tables", [{}, HALF_MADE, {**COMPLETE, "VERSION": 0}])
def test_an_empty_database_is_filled_from_the_newest_dump(restoring: Server, tables: dict[str, int]) -> None:
    assert restoring.run(tables).returncode == 0
    assert restoring.state["tables"] == RESTORED
    assert not (restoring.folder / "restoring").exists()
    assert restoring.run(RESTORED).returncode == 0
    assert restoring.state["dropped"] == []


@pytest.mark.parametrize("tables", [COMPLETE, POPULATED])
def test_no_dump_is_loaded_over_a_database_that_is_there(restoring: Server, tables: dict[str, int]) -> None:
    assert restoring.run(tables).returncode == 0
    assert (restoring.state["dropped"], restoring.state["tables"]) == ([], tables)


def test_without_any_dump_the_schema_is_made(restoring: Server) -> None:
    (restoring.folder / "fetch-code").write_text("4")
    assert restoring.run({}).returncode == 0
    assert restoring.state["tables"] == COMPLETE


@pytest.mark.parametrize("code", ["1", "2", "127"])
def test_when_the_bucket_does_not_tell_nothing_empty_is_made_in_place_of_the_tables(
    restoring: Server, code: str
) -> None:
    (restoring.folder / "fetch-code").write_text(code)
    done = restoring.run({})
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert restoring.state["tables"] == {}


@pytest.mark.slow
def test_a_restore_that_was_interrupted_at_any_call_is_done_again(restoring: Server) -> None:
    restoring.run({})
    for number in range(2, restoring.calls + 1):
        assert restoring.run({}, number).returncode != 0, f"call {number}"
        assert restoring.run(restoring.state["tables"]).returncode == 0, f"call {number}"
        assert restoring.state["tables"] == RESTORED
        assert not (restoring.folder / "restoring").exists()


def test_a_half_loaded_dump_with_rows_is_loaded_again_and_not_taken_for_data(restoring: Server) -> None:
    (restoring.folder / "restoring").touch()
    assert restoring.run({"DBS": 1}).returncode == 0
    assert restoring.state["tables"] == RESTORED


def test_a_half_loaded_dump_that_is_gone_from_the_bucket_is_left_for_a_person(restoring: Server) -> None:
    (restoring.folder / "restoring").touch()
    (restoring.folder / "fetch-code").write_text("4")
    done = restoring.run({"DBS": 1})
    assert done.returncode == 1
    assert "there is none any more" in done.stderr
    assert restoring.state["dropped"] == []


def test_a_dump_that_ends_early_is_not_taken_for_whole(restoring: Server) -> None:
    (restoring.folder / "dump.sql").write_text("CREATE TABLE DBS;\nINSERT INTO DBS;\n")
    assert restoring.run({}).returncode == 1
    assert (restoring.folder / "restoring").exists()
