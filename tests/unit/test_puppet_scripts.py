"""The scripts that Puppet puts on nodes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / "puppet/modules"


def run(script: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})
    command = ["sh", str(MODULES / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def imds(tmp_path: Path) -> Path:
    """A curl that answers like the metadata service, with one key that is valid and one that is not any more."""
    now = int(time.time())
    valid = f"#Timestamp={now + 50}\n#Instance=i-1\nssh-ed25519 AAAAgood\nc2ln\n"
    (tmp_path / "keys").write_text(f"{valid}#Timestamp={now - 5}\nssh-ed25519 AAAAold\n")
    curl = tmp_path / "curl"
    curl.write_text(f"""#!/bin/sh
for word; do
  case $word in
    */api/token) echo tok; exit ;;
    */active-keys/admin) cat {tmp_path}/keys; exit ;;
  esac
done
exit 22
""")
    curl.chmod(0o755)
    return tmp_path


def test_only_key_lines_that_are_still_valid_are_printed(imds: Path) -> None:
    done = run("hcluster_node/files/authorized-keys.sh", "admin", path=imds)
    assert (done.returncode, done.stdout) == (0, "ssh-ed25519 AAAAgood\n")


@pytest.mark.parametrize("user", ["nobody", "../admin", "", "a b"])
def test_a_user_without_keys_gets_none_and_sshd_no_error(imds: Path, user: str) -> None:
    done = run("hcluster_node/files/authorized-keys.sh", user, path=imds)
    assert (done.returncode, done.stdout) == (0, "")


def test_an_unknown_command_is_a_usage_error_that_lists_the_known_ones() -> None:
    done = run("hadoop/files/command.sh", "frobnicate")
    assert done.returncode == 2
    assert "version" in done.stderr


def test_the_class_path_ends_with_the_configuration_and_what_layers_of_the_image_bring() -> None:
    done = run("hadoop/files/command.sh", "classpath")
    assert done.stdout.strip().endswith(":/etc/hadoop:/opt/hcluster/jars/*")


def test_a_formatted_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "namenode/current").mkdir(parents=True)
    version = tmp_path / "namenode/current/VERSION"
    version.write_text("mine")
    assert run("hadoop/files/namenode-format.sh", str(tmp_path / "namenode")).returncode == 0
    assert version.read_text() == "mine"
