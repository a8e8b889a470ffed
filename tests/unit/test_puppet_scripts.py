"""The scripts that Puppet puts on nodes."""

from __future__ import annotations

import os
import re
import shutil
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


def test_a_new_name_node_is_a_copy_of_the_images_with_identifiers_of_its_own(tmp_path: Path) -> None:
    current = tmp_path / "template/current"
    current.mkdir(parents=True)
    (current / "fsimage_0000000000000000000").write_bytes(b"folders")
    shared = "#Sun Jan 11 12:00:00 UTC 2026\nstorageType=NAME_NODE\nlayoutVersion=-67\n"
    (current / "VERSION").write_text(
        f"{shared}namespaceID=1\nclusterID=template\nblockpoolID=BP-1-127.0.0.1-1\ncTime=0\n"
    )
    script = (MODULES / "hadoop/files/namenode-format.sh").read_text()
    assert "template=/opt/hadoop/namenode\n" in script
    copy = tmp_path / "format.sh"
    copy.write_text(script.replace("/opt/hadoop/namenode", str(tmp_path / "template")))
    # The user hdfs is one of nodes.
    for name, answer in (("chown", ":"), ("hostname", "echo 10.64.0.9 fe80::1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    found = []
    for cluster in ("a", "b"):
        target = tmp_path / cluster / "namenode"
        target.parent.mkdir()
        done = run(str(copy), str(target), path=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [one.name for one in target.parent.iterdir()] == ["namenode"]
        assert target.stat().st_mode & 0o777 == 0o700
        assert (target / "current/fsimage_0000000000000000000").read_bytes() == b"folders"
        text = (target / "current/VERSION").read_text()
        assert text.startswith(shared)
        found.append(dict(line.split("=", 1) for line in text.splitlines() if "=" in line))
    for one in found:
        assert re.fullmatch(r"CID-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one["clusterID"])
        assert re.fullmatch(r"BP-\d+-10\.64\.0\.9-\d{13}", one["blockpoolID"])
        assert 0 < int(one["namespaceID"]) < 1 << 31
        assert list(one) == ["storageType", "layoutVersion", "namespaceID", "clusterID", "blockpoolID", "cTime"]
    assert all(found[0][name] != found[1][name] for name in ("namespaceID", "clusterID", "blockpoolID"))


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


def as_anybody(script: str, folder: Path) -> Path:
    """The script for whoever runs the tests: accounts of nodes are not on this machine."""
    text = (MODULES / script).read_text().replace(" -o yarn -g hadoop", "").replace("\nchown yarn:hadoop ", "\n: ")
    mine = folder / Path(script).name
    mine.write_text(text)
    return mine


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs OpenSSL")
def test_a_new_resource_manager_gets_an_authority_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    script, made = as_anybody("hadoop/files/resourcemanager-authority.sh", tmp_path), []
    for store in ("one", "two", "one"):
        folder = tmp_path / store / "FSRMStateRoot/ProxyCARoot"
        assert run(str(script), str(tmp_path / store)).returncode == 0
        assert sorted(path.name for path in folder.iterdir()) == ["caCert", "caPrivateKey"]
        assert (folder / "caPrivateKey").stat().st_mode & 0o777 == 0o600
        made.append((folder / "caPrivateKey").read_bytes())
    assert made[0] == made[2] != made[1]

    def openssl(*words: str) -> str:
        return subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=True).stdout

    folder = tmp_path / "one/FSRMStateRoot/ProxyCARoot"
    public = openssl("x509", "-inform", "DER", "-in", str(folder / "caCert"), "-noout", "-pubkey")
    # PKCS #8, as Java reads keys.
    assert public == openssl("pkey", "-inform", "DER", "-in", str(folder / "caPrivateKey"), "-pubout")
    told = openssl("x509", "-inform", "DER", "-in", str(folder / "caCert"), "-noout", "-text")
    assert "CA:TRUE, pathlen:0" in told
    assert "2048 bit" in told
    assert "sha512WithRSAEncryption" in told


def test_without_an_authority_the_resource_manager_starts_and_makes_its_own(tmp_path: Path) -> None:
    script = as_anybody("hadoop/files/resourcemanager-authority.sh", tmp_path)
    openssl = tmp_path / "openssl"
    openssl.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    openssl.chmod(0o755)
    folder = tmp_path / "store/FSRMStateRoot/ProxyCARoot"
    (folder / ".fresh-killed").mkdir(parents=True)
    done = run(str(script), str(tmp_path / "store"), path=tmp_path)
    assert (done.returncode, "not today" in done.stderr) == (0, True)
    assert not list(folder.iterdir())


def test_a_daemon_starts_once_the_name_node_takes_files(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.write_text('no\n"FSState" : "safeMode"\n"FSState" : "Operational"\n"FSState" : "Operational"\n')
    curl = tmp_path / "curl"
    curl.write_text(
        f'#!/bin/sh\nline=$(head -n 1 {answers}); sed -i 1d {answers}\n[ "$line" != no ] || exit 7\necho "$line"\n'
    )
    curl.chmod(0o755)
    assert run("hadoop/files/wait-for-hdfs.sh", "host:9870", "100", path=tmp_path).returncode == 0
    assert answers.read_text().count("\n") == 1


def test_a_daemon_starts_also_without_hdfs_in_the_end(tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nexit 7\n")
    curl.chmod(0o755)
    assert run("hadoop/files/wait-for-hdfs.sh", "host:9870", "1", path=tmp_path).returncode == 0
