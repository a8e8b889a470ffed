"""Puppet's class layer, applied for real into a folder of the test."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hcluster.images import archive

MODULES = Path(__file__).parents[2] / "puppet" / "modules"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("puppet") or os.geteuid() != 0, reason="needs Debian's puppet-agent, and root"),
]


def apply(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """One run of ``puppet apply``; 0: nothing to change, 2: changed, others: failed."""
    values = {
        "image": "geo",
        "uploads": str(folder / "uploads"),
        "packages": {},
        "python": True,
        "python_dir": str(folder / "python"),
        "jars": {"a-1.jar": digest},
        "jar_dir": str(folder / "jars"),
        "files": [{"path": str(folder / "etc/deep/x"), "mode": "0600"}],
        "checks": 1,
        "check_dir": str(folder / "checks"),
    }
    text = json.dumps(values).replace('":', '" =>')
    (folder / "layer.pp").write_text(f"class {{ 'layer': * => {text} }}\n")
    command = ["puppet", "apply", "--detailed-exitcodes", "--color=false", "--modulepath", str(MODULES)]
    command += ["--confdir", str(folder / "conf"), "--vardir", str(folder / "var"), str(folder / "layer.pp")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("jars/a-1.jar", "jar"), ("files/0", "a file\n"), ("checks/0", "true\n")):
        (tmp_path / "uploads" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "uploads" / name).write_text(content)
    # Its Python is this one, for the byte code.
    entries: list[tuple[str, Path | str | bytes]] = [("bin/python3", "/usr/bin/python3"), ("lib/a.py", b"x = 1\n")]
    archive.write(tmp_path / "uploads" / "python.tar.zst", entries)
    return tmp_path


def test_a_layer_is_installed_whole_and_a_second_run_changes_nothing(folder: Path) -> None:
    digest = hashlib.sha256(b"jar").hexdigest()
    done = apply(folder, digest)
    assert done.returncode == 2, done.stdout + done.stderr
    assert (folder / "jars/a-1.jar").read_bytes() == b"jar"
    assert (folder / "etc/deep/x").read_text() == "a file\n"
    assert (folder / "etc/deep/x").stat().st_mode & 0o777 == 0o600
    assert (folder / "checks/geo-000").read_text() == "true\n"
    assert list((folder / "python/geo/lib/__pycache__").iterdir())
    again = apply(folder, digest)
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_jar_that_changed_on_its_way_is_not_installed_and_fails_the_run(folder: Path) -> None:
    done = apply(folder, "ab" * 32)
    assert done.returncode not in (0, 2)
    assert "did not match" in done.stdout + done.stderr
    assert not (folder / "jars/a-1.jar").exists()
