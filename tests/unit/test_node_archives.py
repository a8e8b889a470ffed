"""Which JVMs run without the archive that their command names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hcluster.node import archives
from hcluster.node.main import main


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "hadoop.jsa"
    path.touch()
    return path


def process(proc: Path, pid: int, command: list[str], mapped: list[str]) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_text("\0".join(command) + "\0")
    lines = [f"800000000-800001000 rw-p 00001000 fe:01 77      {path}\n" for path in mapped]
    (proc / str(pid) / "maps").write_text("".join(lines))


def test_an_archive_that_is_mapped_is_used(tmp_path: Path, archive: Path) -> None:
    process(tmp_path / "proc", 7, ["java", f"-XX:SharedArchiveFile={archive}", "Main"], ["/lib/libc.so", str(archive)])
    assert archives.problem(7, tmp_path / "proc") == ""


def test_one_that_is_there_but_not_mapped_does_not_fit(tmp_path: Path, archive: Path) -> None:
    process(tmp_path / "proc", 7, ["java", f"-XX:SharedArchiveFile={archive}", "Main"], ["/lib/libc.so"])
    assert "does not fit" in archives.problem(7, tmp_path / "proc")


def test_one_that_is_not_there_is_missing(tmp_path: Path, archive: Path) -> None:
    archive.unlink()
    process(tmp_path / "proc", 7, ["java", f"-XX:SharedArchiveFile={archive}", "Main"], [])
    assert archives.problem(7, tmp_path / "proc") == f"{archive} is missing"


def test_a_process_without_archives_or_gone_is_no_problem(tmp_path: Path) -> None:
    process(tmp_path / "proc", 7, ["mariadbd"], [])
    assert [archives.problem(pid, tmp_path / "proc") for pid in (7, 8)] == ["", ""]


def test_only_units_whose_jvm_lacks_its_archive_are_named(tmp_path: Path, archive: Path) -> None:
    command = ["java", f"-XX:SharedArchiveFile={archive}", "Main"]
    process(tmp_path / "proc", 7, command, [str(archive)])
    process(tmp_path / "proc", 8, command, [])
    found = archives.unused(["a", "b"], lambda _: {"a": 7, "b": 8}, tmp_path / "proc")
    assert list(found) == ["b"]
    assert archives.unused([], lambda _: {"c": 8}, tmp_path / "proc") == {}


@pytest.mark.skipif(
    not Path("/run/systemd/system").exists() and not shutil.which("systemctl"), reason="needs systemctl"
)
def test_units_that_do_not_run_have_no_process() -> None:
    assert archives.main_processes(["no-such-unit-1.service", "no-such-unit-2.service"]) == {}


def test_the_verb_names_them_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("hcluster.node.health.load", lambda _path: [])
    monkeypatch.setattr("hcluster.node.archives.unused", lambda _units: {"a.service": "x is missing"})
    assert main(["archives"]) == 1
    assert capsys.readouterr().out == "a.service: x is missing\n"
    monkeypatch.setattr("hcluster.node.archives.unused", lambda _units: {})
    assert main(["archives"]) == 0
