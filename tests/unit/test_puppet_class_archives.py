"""The programs that make class paths and class-data archives while an image is baked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

VALIDATION = Path(__file__).parents[2] / "ami/scripts/50-validate.sh"
FILES = Path(__file__).parents[2] / "puppet/modules/hadoop/files"
JAVA = """#!/bin/sh
# Dumps like java: the class list becomes the archive.
for word; do
  case $word in
    -XX:SharedClassListFile=*) list=${word#*=} ;;
    -XX:SharedArchiveFile=*) archive=${word#*=} ;;
    -cp) ;;
    */hive.jar) [ ! -e "$(dirname "$0")/fails" ] || { echo "no memory for hive" >&2; exit 1; } ;;
  esac
done
cp "$list" "$archive"
"""


def run(script: str, *words: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})
    command = [sys.executable, str(FILES / script), *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A distribution of two trees; the second has a link into the first, as the real one does."""
    for name in ("hadoop/b.jar", "hadoop/a.jar", "hive/hive-exec-4.jar", "hive/other.jar"):
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "lib/hive/a.jar").symlink_to("../hadoop/a.jar")
    return tmp_path


def class_path(jar: Path) -> list[str]:
    with zipfile.ZipFile(jar) as opened:
        text = opened.read("META-INF/MANIFEST.MF").decode()
    assert max(map(len, text.split("\r\n"))) <= 72
    (found,) = re.findall(r"Class-Path: (.*)", text.replace("\r\n ", ""))
    return str(found).split()


def test_a_class_path_has_each_jar_once_in_the_order_of_its_trees_and_then_of_names(home: Path) -> None:
    done = run("class-paths.py", home, "one=hadoop", "two=hive,hadoop", "three=hadoop,hive/hive-exec-*.jar")
    assert done.stderr == ""
    assert class_path(home / "lib/one.jar") == ["hadoop/a.jar", "hadoop/b.jar"]
    two = ["hadoop/a.jar", "hive/hive-exec-4.jar", "hive/other.jar", "hadoop/b.jar"]
    assert class_path(home / "lib/two.jar") == two
    assert class_path(home / "lib/three.jar") == ["hadoop/a.jar", "hadoop/b.jar", "hive/hive-exec-4.jar"]


def test_a_class_path_that_is_as_it_should_be_keeps_its_time(home: Path) -> None:
    run("class-paths.py", home, "one=hadoop")
    os.utime(home / "lib/one.jar", (1e9, 1e9))
    run("class-paths.py", home, "one=hadoop")
    assert (home / "lib/one.jar").stat().st_mtime == 1e9
    (home / "lib/hadoop/c.jar").touch()
    run("class-paths.py", home, "one=hadoop")
    assert class_path(home / "lib/one.jar")[-1] == "hadoop/c.jar"


def test_a_class_path_of_nothing_is_refused(home: Path) -> None:
    done = run("class-paths.py", home, "one=hadoop,spark")
    assert done.returncode == 1
    assert done.stderr.strip() == f"class-paths: nothing matches {home}/lib/spark"


@pytest.fixture
def recorded(home: Path) -> Path:
    """Two class paths, and the lists of three JVMs that ran with them."""
    run("class-paths.py", home, "hadoop=hadoop", "hive=hive,hadoop")
    (home / "lists").mkdir()
    namenode = "# comment\njava/lang/Object id: 0\na/B\n@lambda-proxy a/B run ()V\n"
    (home / "lists/hadoop-namenode.lst").write_text(namenode)
    (home / "lists/hadoop-pid7.lst").write_text("java/lang/Object id: 0\na/C\n")
    (home / "lists/hive-server2.lst").write_text("java/lang/Object id: 0\n")
    (home / "image.json").write_text('{"name": "image"}')
    (home / "bin").mkdir()
    (home / "bin/java").write_text(JAVA)
    (home / "bin/java").chmod(0o755)
    return home


def test_one_archive_a_class_path_holds_what_all_its_jvms_loaded(recorded: Path) -> None:
    done = run("class-archives.py", recorded, recorded / "lists", recorded / "image.json", path=recorded / "bin")
    assert done.stderr == ""
    body = (recorded / "archives/hadoop.jsa").read_bytes()
    assert body == b"java/lang/Object id: 0\na/B\n@lambda-proxy a/B run ()V\na/C\n"
    about = json.loads((recorded / "image.json").read_text())
    assert about["name"] == "image"
    digest = hashlib.sha256(body).hexdigest()
    assert about["archives"]["hadoop"] == {"bytes": len(body), "classes": 3, "sha256": digest}
    assert set(about["archives"]) == {"hadoop", "hive"}


def test_a_class_path_with_which_nothing_ran_gets_no_empty_archive(recorded: Path) -> None:
    (recorded / "lists/hive-server2.lst").unlink()
    done = run("class-archives.py", recorded, recorded / "lists", recorded / "image.json", path=recorded / "bin")
    assert done.returncode == 1
    assert "nothing ran with that class path" in done.stderr
    assert "archives" not in json.loads((recorded / "image.json").read_text())


def test_a_dump_that_fails_is_told_with_what_java_said(recorded: Path) -> None:
    (recorded / "bin/fails").touch()
    done = run("class-archives.py", recorded, recorded / "lists", recorded / "image.json", path=recorded / "bin")
    assert done.returncode == 1
    assert "no memory for hive" in done.stderr


@pytest.mark.parametrize("content", [None, b"no archive", b""])
def test_what_a_bake_starts_daemons_with_ends_a_jvm_whose_archive_does_not_fit(
    tmp_path: Path, content: bytes | None
) -> None:
    """A JVM alone would fall back silently, only later."""
    archive = tmp_path / "hadoop.jsa"
    if content is not None:
        archive.write_bytes(content)
    (told,) = re.findall(r'Environment="JDK_JAVA_OPTIONS=([^"]+)"', VALIDATION.read_text())

    def start(options: str) -> int:
        environment = os.environ | {"JDK_JAVA_OPTIONS": options}
        command = ["java", f"-XX:SharedArchiveFile={archive}", "-version"]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False).returncode

    assert (start(""), start(told)) == (0, 1)
