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


def test_a_node_hears_at_its_tag_what_it_is_told_and_applies_it_until_it_has_answered(tmp_path: Path) -> None:
    """The looks of eleven rounds; a program of another name stands for each that it calls."""
    told, last, log = tmp_path / "tag", tmp_path / "told", tmp_path / "log"
    # Each round: what the metadata service says ("-": nothing, as when a token has expired), and whether it is applied.
    rounds = ["-", "aa-bb", "aa-bb", "aa-cc", "aa-cc", "aa-cc", "$(reboot)", "", "-", "aa-cc", "aa-dd"]
    told.write_text("".join(f"{one}\n" for one in rounds))
    last.write_text("aa-bb\n")
    (tmp_path / "curl").write_text(f"""#!/bin/sh
for word; do
  case $word in
    */api/token) echo token >>{log}; echo tok; exit ;;
    */tags/instance/hcluster:told)
      line=$(head -n 1 {told}); sed -i 1d {told}
      [ "$line" != - ] || exit 22
      printf %s "$line"; exit ;;
  esac
done
exit 22
""")
    # The first time it fails before it can answer; then it notes what it applied.
    (tmp_path / "systemctl").write_text(f"""#!/bin/sh
echo "$*" >>{log}
[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 1; }}
[ -e {tmp_path}/twice ] && echo aa-dd >{last} || echo aa-cc >{last}
touch {tmp_path}/twice
""")
    (tmp_path / "sleep").write_text(f"#!/bin/sh\n[ -s {told} ] && echo sleep $1 >>{log}\n")
    for name in ("curl", "systemctl", "sleep"):
        (tmp_path / name).chmod(0o755)
    script = tmp_path / "watch"
    text = (MODULES / "hcluster_node/files/watch.sh").read_text()
    script.write_text(text.replace("/var/lib/hcluster/told", str(last)))
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(script), "5"], env=environment, capture_output=True, timeout=60, check=False)
    lines = log.read_text().splitlines()
    starts = [line for line in lines if line.startswith("start")]
    assert starts == ["start hcluster-converge.service"] * 3, "failed, applied, and the next one"
    assert lines.count("sleep 30") == 1, "not at once again"
    assert lines.count("token") == 3, "once, and after each refusal"
    assert lines.count("sleep 5") == len(rounds)
    assert last.read_text() == "aa-dd\n"
