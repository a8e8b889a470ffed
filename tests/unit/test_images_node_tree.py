"""What of hcluster a node gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcluster.errors import HclusterError
from hcluster.images import node_tree

ROOT = Path(__file__).parents[2]


def test_requirements_follow_from_the_lock_with_every_digest() -> None:
    text = node_tree.requirements(ROOT / "uv.lock")
    names = [line.split("==")[0] for line in text.splitlines() if "==" in line]
    assert set(node_tree.ROOTS) < set(names)
    assert {"botocore", "jmespath", "s3transfer", "urllib3"} <= set(names)
    assert not {"moto", "paramiko", "pydantic", "typer"} & set(names)
    assert text.count("--hash=sha256:") >= 2 * len(names)


def test_a_package_missing_from_the_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text('[[package]]\nname = "boto3"\nversion = "1"\n')
    with pytest.raises(HclusterError, match="has no package"):
        node_tree.requirements(lock)


def test_only_the_node_code_and_the_model_go_along() -> None:
    package = ROOT / "hcluster"
    tops = {path.relative_to(package).parts[0] for path in node_tree.own_files(package)}
    assert tops == {"__init__.py", "errors.py", "model", "node"}


def test_trim_keeps_the_services_that_nodes_call(tmp_path: Path) -> None:
    data = tmp_path / "botocore" / "data"
    for name in ("ec2", "s3", "sts", "emr", "iam"):
        (data / name).mkdir(parents=True)
    (data / "partitions.json").touch()
    (tmp_path / "bin").mkdir()
    node_tree.trim(tmp_path)
    assert sorted(path.name for path in data.iterdir()) == ["ec2", "partitions.json", "s3", "sts"]
    assert not (tmp_path / "bin").exists()


def test_a_change_of_the_node_code_changes_the_key_and_other_code_does_not(tmp_path: Path) -> None:
    package = tmp_path / "hcluster"
    for name in ("model", "node", "cli"):
        (package / name).mkdir(parents=True)
        (package / name / "a.py").write_text("a = 1\n")
    for name in ("__init__.py", "errors.py"):
        (package / name).touch()
    before = node_tree.key_of(package, ROOT / "uv.lock")
    (package / "cli" / "a.py").write_text("a = 2\n")
    assert node_tree.key_of(package, ROOT / "uv.lock") == before
    (package / "node" / "a.py").write_text("a = 2\n")
    assert node_tree.key_of(package, ROOT / "uv.lock") != before
