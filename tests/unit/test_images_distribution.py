"""The pinned distribution: verified against its lock, packed once, laid out as the nodes expect it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from hcluster.errors import HclusterError, IntegrityError
from hcluster.images import distribution, lockfile
from hcluster.model.events import Progress

AMI = Path(__file__).parents[2] / "ami" / "hadoop"

MVN = """#!/bin/bash
set -eu
for word in "$@"; do case $word in -Doutput=*) out=${word#-Doutput=} ;; esac; done
echo run >>"$MVN_RUNS"
if [ -e "$MVN_FAILS" ]; then echo '[INFO] so far'; echo '[ERROR] no such artifact'; exit 1; fi
mkdir -p "$out"/{hadoop,s3a,tez,hive,metastore,examples,schema}
for tree in hadoop s3a tez hive metastore; do
    echo "jar of $tree" >"$out/$tree/$tree-1.jar"
    echo "[INFO] Copying $tree-1.jar to there"
done
echo shared >"$out/hive/shared-1.jar"
cp "$out/hive/shared-1.jar" "$out/metastore/shared-1.jar"
echo examples >"$out/examples/hadoop-mapreduce-examples-1.jar"
mkdir -p "$out/x/dist/scripts/metastore/upgrade/mysql"
echo 'create table T;' >"$out/x/dist/scripts/metastore/upgrade/mysql/hive-schema-4.0.0.mysql.sql"
tar -C "$out/x" --mtime=@1 -cf - dist | gzip -n >"$out/schema/metastore-bin.tar.gz"
rm -rf "$out/x"
"""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<properties><hadoop.version>3.4.3</hadoop.version></properties><modules><module>hadoop</module></modules></project>"""
MODULE = """<project xmlns="http://maven.apache.org/POM/4.0.0"><dependencies><dependency>
<groupId>org.apache.hadoop</groupId><artifactId>hadoop-common</artifactId><version>${hadoop.version}</version>
</dependency></dependencies></project>"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small ami/hadoop with its lock, and a Maven that delivers what it wants."""
    folder = tmp_path / "hadoop"
    (folder / "hadoop").mkdir(parents=True)
    (folder / "webapps" / "hdfs").mkdir(parents=True)
    (folder / "pom.xml").write_text(POM)
    (folder / "hadoop" / "pom.xml").write_text(MODULE)
    (folder / "webapps" / "hdfs" / "web.xml").write_text("<web-app/>")
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MVN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("MVN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MVN_FAILS", str(tmp_path / "fails"))
    distribution.renew_lock(folder, tmp_path / "cache")
    (tmp_path / "runs").unlink()
    return folder


def entries(archive: Path) -> dict[str, str]:
    """Name and content (or link target) of everything in an archive."""
    body = subprocess.run(["zstd", "-dc", str(archive)], capture_output=True, check=True).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            found[member.name] = content.read().decode() if content else f"-> {member.linkname}"
    return found


def test_the_archive_has_the_layout_that_puppet_unpacks(source: Path, tmp_path: Path) -> None:
    found = entries(distribution.build(source, tmp_path / "cache").archive)
    assert found["lib/s3a/s3a-1.jar"] == "jar of s3a\n"
    assert found["examples/hadoop-mapreduce-examples.jar"] == "examples\n"
    assert found["metastore-schema/hive-schema-4.0.0.mysql.sql"] == "create table T;\n"
    assert found["webapps/hdfs/web.xml"] == "<web-app/>"
    assert found["VERSIONS"] == "hadoop org.apache.hadoop:hadoop-common:3.4.3\n"
    assert found["CHECKSUMS"].splitlines()[0].endswith("  lib/hadoop/hadoop-1.jar")


def test_a_jar_of_two_trees_is_stored_once(source: Path, tmp_path: Path) -> None:
    found = entries(distribution.build(source, tmp_path / "cache").archive)
    assert found["lib/hive/shared-1.jar"] == "shared\n"
    assert found["lib/metastore/shared-1.jar"] == "-> ../hive/shared-1.jar"


def test_the_same_inputs_are_built_once_and_current_leads_to_them(source: Path, tmp_path: Path) -> None:
    first = distribution.build(source, tmp_path / "cache")
    second = distribution.build(source, tmp_path / "cache")
    assert (first.built, second.built) == (True, False)
    assert (tmp_path / "runs").read_text() == "run\n"
    assert (tmp_path / "cache" / "dist" / "current" / "dist.tar.zst").samefile(second.archive)
    (source / "pom.xml").write_text(POM + "<!-- changed -->")
    assert distribution.build(source, tmp_path / "cache").archive != first.archive


def test_bytes_that_are_not_locked_are_refused_and_nothing_is_cached(source: Path, tmp_path: Path) -> None:
    lock = source / "checksums.txt"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join(["0" * 64 + lines[0][64:], *lines[2:]]) + "\n")
    with pytest.raises(IntegrityError, match="2 differences") as caught:
        distribution.build(source, tmp_path / "cache")
    assert caught.value.context.splitlines() == [
        "differs: examples/hadoop-mapreduce-examples-1.jar",
        "not in the lock: hadoop/hadoop-1.jar",
    ]
    assert not list((tmp_path / "cache" / "dist").rglob("*.zst"))


def test_without_a_lock_nothing_is_built(source: Path, tmp_path: Path) -> None:
    (source / "checksums.txt").unlink()
    with pytest.raises(HclusterError, match=r"checksums\.txt is missing") as caught:
        distribution.build(source, tmp_path / "cache")
    assert caught.value.hint == "hcluster ami lock"


def test_what_maven_complains_about_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    with pytest.raises(HclusterError, match="Maven ended with code 1") as caught:
        distribution.build(source, tmp_path / "cache")
    assert caught.value.context == "[ERROR] no such artifact"


def test_progress_counts_towards_the_lock(source: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    distribution.build(source, tmp_path / "cache", report=told.append)
    assert max(progress.done for progress in told if "Maven" in progress.text) == 5
    assert told[-1].state == "ok"


def test_the_committed_lock_has_the_whole_connector_and_each_tree() -> None:
    locked = lockfile.read(AMI / "checksums.txt")
    count = {tree: sum(name.startswith(f"{tree}/") for name in locked) for tree in distribution.TREES}
    assert count["s3a"] == 52
    assert all(count.values())
    assert not any("bundle-2" in name for name in locked if name.startswith("s3a/"))


def test_every_version_stands_in_the_parent_alone() -> None:
    for module in AMI.glob("*/pom.xml"):
        own = [line.strip() for line in module.read_text().splitlines() if "<version>" in line]
        assert [line for line in own if "${" not in line] == ["<version>1</version>"], module
    assert "${" not in distribution.versions(AMI)
