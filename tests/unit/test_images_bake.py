"""The bake around Packer: one image for the same inputs, credentials only in the environment, clear failures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import BakeError, DeadlineError, NotFoundError, UsageError
from hcluster.images import bake as baking
from hcluster.images import distribution, node_tree
from hcluster.images.bake import Access, Baked, Sources, Wanted
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.principal import Principal
from hcluster.remote.address import parse_bastion
from hcluster.testing import FakeCloud

ROOT = Path(__file__).parents[2]
ACCESS = Access("us-east-1", "http://10.64.0.1:4566", "AKIDEXAMPLE", "very-secret", "a-token")
WANTED = Wanted("prod", "hadoop", "debian-12-amd64-*", "136693071363", "m5.xlarge", package_proxy="10.64.0.1:3128")

PACKER = """#!/bin/bash
echo "$*" >"$SEEN/argv"
env >"$SEEN/env"
for word in "$@"; do case $word in -var-file=*) cp "${word#-var-file=}" "$SEEN/variables.json" ;; esac; done
echo '1,,ui,say,==> amazon-ebs.hadoop: Waiting for SSH to become available...'
echo '1,,ui,message,    amazon-ebs.hadoop: ## puppet apply%!(PACKER_COMMA) role::image'
if [ -e "$SEEN/fails" ]; then
    echo '1,,ui,message,    amazon-ebs.hadoop: Error: no such package'
    echo '1,,ui,error,==> amazon-ebs.hadoop: Provisioning step had errors: Running the cleanup provisioner'
    echo '1,,ui,say,==> amazon-ebs.hadoop: Terminating the source AWS instance...'
    echo "1,,ui,error,Build 'amazon-ebs.hadoop' errored after 1 second: Script exited with non-zero exit status: 1"
    exit 1
fi
echo '1,,ui,say,==> amazon-ebs.hadoop: Creating AMI'
sleep 0.3
echo '1,amazon-ebs.hadoop,artifact,0,id,us-east-1:ami-00000000000000002'
"""


class Scene:
    """A checkout, a cloud and a Packer that only notes what it was given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cloud, self.told = folder, FakeCloud(), list[Progress]()
        self.cloud.images.register("debian-12-amd64-20261101-local", owner="136693071363")
        self.sources = Sources(folder / "checkout")
        shutil.copytree(ROOT / "ami", self.sources.root / "ami", ignore=shutil.ignore_patterns("target"))
        for path in ("model", "node"):
            shutil.copytree(ROOT / "hcluster" / path, self.sources.root / "hcluster" / path)
        for name in ("__init__.py", "errors.py"):
            shutil.copy(ROOT / "hcluster" / name, self.sources.root / "hcluster" / name)
        shutil.copy(ROOT / "uv.lock", self.sources.root / "uv.lock")
        (folder / "bin").mkdir()
        (folder / "bin" / "packer").write_text(PACKER)
        (folder / "bin" / "packer").chmod(0o755)
        for name in ("dist", "node"):
            (folder / f"{name}.tar.zst").touch()
        dist = distribution.Distribution(folder / "dist.tar.zst", "0" * 64, built=False)
        monkeypatch.setattr(distribution, "build", lambda *_, **__: dist)
        monkeypatch.setattr(node_tree, "build", lambda *_, **__: folder / "node.tar.zst")

    def bake(self, *, release: bytes = b"release", **options: Any) -> Baked:
        return baking.bake(
            self.cloud.images,
            self.cloud.compute,
            ACCESS,
            WANTED,
            self.sources,
            ("ab" * 32, release),
            cache=self.folder / "cache",
            principal=Principal("ann", "analytics"),
            clock=self.cloud.clock,
            environment={"PATH": f"{self.folder}/bin:/usr/bin:/bin", "SEEN": str(self.folder), "AWS_PROFILE": "other"},
            report=self._report,
            **options,
        )

    def _report(self, progress: Progress) -> None:
        """Packer's cloud is ours: its image appears when it says so."""
        self.told.append(progress)
        if progress.text.endswith("Creating AMI"):
            tags = self.variables()["image_tags"]
            self.cloud.images.register(str(self.variables()["image_name"]), tags)

    def variables(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "variables.json").read_text())
        return found


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def test_an_image_carries_the_hash_of_its_inputs_and_requires_imdsv2(scene: Scene) -> None:
    done = scene.bake()
    assert done.baked
    assert done.image.name == f"hcluster-hadoop-{done.inputs[:12]}"
    assert done.image.tags[names.TAG_IMAGE_HASH] == done.inputs
    assert done.image.tags[names.TAG_IMAGE_NAME] == "hadoop"
    assert done.image.tags[names.TAG_PLATFORM] == "prod"
    assert scene.cloud.images.serves_imdsv2_only(done.image.id)


def test_the_same_inputs_again_are_a_no_op_that_says_so(scene: Scene) -> None:
    first = scene.bake()
    (scene.folder / "argv").unlink()
    second = scene.bake()
    assert (second.baked, second.image.id) == (False, first.image.id)
    assert not (scene.folder / "argv").exists()
    assert "unchanged" in scene.told[-1].text


def test_force_bakes_a_second_image_and_leaves_the_first(scene: Scene) -> None:
    first = scene.bake()
    (scene.folder / "bin" / "packer").write_text(PACKER.replace("ami-00000000000000002", "ami-00000000000000003"))
    second = scene.bake(force=True)
    assert second.image.id != first.image.id
    assert second.image.name.startswith(first.image.name + "-")
    assert scene.cloud.images.image(first.image.id) == first.image


def test_credentials_are_in_the_environment_and_nowhere_else(scene: Scene) -> None:
    scene.bake()
    environment = (scene.folder / "env").read_text()
    assert "AWS_SECRET_ACCESS_KEY=very-secret" in environment
    assert "AWS_SESSION_TOKEN=a-token" in environment
    assert "AWS_PROFILE" not in environment
    assert "CHECKPOINT_DISABLE=1" in environment
    assert "10.64.0.1" in next(line for line in environment.splitlines() if line.startswith("NO_PROXY="))
    assert "very-secret" not in (scene.folder / "argv").read_text()
    assert "very-secret" not in (scene.folder / "variables.json").read_text()
    assert "very-secret" not in repr(ACCESS)
    left = [path for path in (scene.folder / "cache").rglob("*") if path.is_file()]
    assert not any(b"very-secret" in path.read_bytes() for path in left)


def test_packer_gets_the_endpoint_the_network_and_the_platforms_proxy(scene: Scene) -> None:
    scene.bake()
    found = scene.variables()
    assert found["ec2_endpoint"] == "http://10.64.0.1:4566"
    assert found["package_proxy"] == "10.64.0.1:3128"
    assert found["base_image"] == scene.cloud.images.base_image("debian-12-*", "136693071363").id
    network = scene.cloud.compute.default_network()
    assert network is not None
    assert found["subnet"] in network[2]
    assert found["security_group"].startswith("sg-")
    assert found["run_tags"][names.TAG_ROLE] == "bake"


def test_every_variable_of_the_template_is_given_and_no_other(scene: Scene) -> None:
    scene.bake()
    text = (ROOT / "ami" / "hadoop.pkr.hcl").read_text()
    blocks = [block.split("\n}\n")[0] for block in text.split('\nvariable "')[1:]]
    declared = {block.split('"')[0]: "  default " in block for block in blocks}
    given = set(scene.variables())
    assert {name for name, has_default in declared.items() if not has_default} <= given <= set(declared)
    assert {name for name, has_default in declared.items() if has_default} == {"root_gib", "root_device"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("", "", 22)),
        ("jump.example.com", ("", "jump.example.com", 22)),
        ("ann@jump.example.com", ("ann", "jump.example.com", 22)),
        ("ann@jump.example.com:2222", ("ann", "jump.example.com", 2222)),
        ("ann@10.0.0.9:22", ("ann", "10.0.0.9", 22)),
        ("[fd00::9]:2222", ("", "fd00::9", 2222)),
    ],
)
def test_a_bastion_is_split_as_for_ssh_to_nodes(text: str, parts: tuple[str, str, int]) -> None:
    assert baking.bastion(text) == parts
    known = parse_bastion(text)
    assert (known.user, known.host, known.port) == parts if known else not text


@pytest.mark.parametrize("text", ["ann@", "host:", "host:ssh", "host:0", "host:70000", "fd00::9", "@host", "a b"])
def test_a_bastion_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[user@\]host\[:port\]"):
        baking.bastion(text)


def test_packer_gets_host_and_port_of_the_bastion_apart(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "WANTED", replace(WANTED, bastion="jump.example.com:2222"))
    scene.bake()
    found = scene.variables()
    assert (found["bastion_host"], found["bastion_port"], found["bastion_user"]) == ("jump.example.com", 2222, "admin")


def test_a_failing_step_is_named_with_what_was_said_and_the_log(scene: Scene) -> None:
    (scene.folder / "fails").touch()
    with pytest.raises(BakeError, match="failed in the step: puppet apply, role::image") as caught:
        scene.bake()
    assert "Error: no such package" in caught.value.context
    assert "Script exited with non-zero exit status: 1" in caught.value.context
    log = next((scene.folder / "cache" / "logs").glob("hcluster-hadoop-*.log"))
    assert str(log) in caught.value.hint
    assert scene.told[-1].state == "failed"


def test_an_end_without_an_image_is_an_error(scene: Scene) -> None:
    (scene.folder / "bin" / "packer").write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(BakeError, match="made no image"):
        scene.bake()


@pytest.mark.parametrize(
    "path", ["ami/hadoop.pkr.hcl", "ami/scripts/50-validate.sh", "ami/hadoop/pom.xml", "hcluster/node/main.py"]
)
def test_a_change_of_any_input_is_another_image(scene: Scene, path: str) -> None:
    base = scene.cloud.images.base_image("debian-12-*", "136693071363")
    before = baking.inputs_of(scene.sources, WANTED, base, "ab" * 32)
    assert baking.inputs_of(scene.sources, WANTED, base, "ab" * 32) == before
    with (scene.sources.root / path).open("a") as out:
        out.write("\n")
    assert baking.inputs_of(scene.sources, WANTED, base, "ab" * 32) != before


def test_the_puppet_release_and_the_base_image_are_inputs(scene: Scene) -> None:
    base = scene.cloud.images.base_image("debian-12-*", "136693071363")
    before = baking.inputs_of(scene.sources, WANTED, base, "ab" * 32)
    newer = scene.cloud.images.register("debian-12-amd64-20261201-local", owner="136693071363")
    assert baking.inputs_of(scene.sources, WANTED, base, "cd" * 32) != before
    assert baking.inputs_of(scene.sources, WANTED, newer, "ab" * 32) != before


def test_a_folder_that_is_no_checkout_is_refused(scene: Scene) -> None:
    scene.sources = Sources(scene.folder)
    with pytest.raises(NotFoundError, match="holds no ami"):
        scene.bake()


def test_a_bake_waits_for_another_of_the_same_image_but_not_for_ever(scene: Scene) -> None:
    import fcntl

    base = scene.cloud.images.base_image("debian-12-*", "136693071363")
    key = baking.inputs_of(scene.sources, WANTED, base, "ab" * 32)
    lock = scene.folder / "cache" / f"bake-hcluster-hadoop-{key[:12]}.lock"
    lock.parent.mkdir()
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeadlineError, match="another bake"):
            scene.bake(deadline=5)
    assert scene.cloud.clock.now() < datetime.now(UTC).timestamp() + 10 * 365 * 86400
    assert scene.bake().baked


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("packer"), reason="packer is not installed")
def test_packer_accepts_the_template_with_these_variables(scene: Scene) -> None:
    scene.bake()
    variables = scene.variables()
    for name in ("release", "version_file"):
        variables[name] = str(scene.folder / "variables.json")
    file = scene.folder / "v.pkrvars.json"
    file.write_text(json.dumps(variables))
    done = subprocess.run(
        ["packer", "validate", f"-var-file={file}", str(ROOT / "ami" / "hadoop.pkr.hcl")],
        env=ACCESS.environment({"PATH": "/usr/bin:/bin", "HOME": str(scene.folder)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
