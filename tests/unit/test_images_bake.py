"""The bake around Packer: one image for the same inputs, credentials only in the environment, clear failures."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import BakeError, DeadlineError, HclusterError, IntegrityError, NotFoundError, UsageError
from hcluster.images import bake as baking
from hcluster.images import builder, distribution, node_tree, python_packages
from hcluster.images import layer as layers
from hcluster.images.bake import Baked, Bakery
from hcluster.images.builder import Access, Wanted
from hcluster.images.sources import Sources, lineage
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.principal import Principal
from hcluster.remote.address import parse_bastion
from hcluster.testing import FakeCloud

ROOT = Path(__file__).parents[2]
ACCESS = Access("us-east-1", "http://10.64.0.1:4566", "AKIDEXAMPLE", "very-secret", "a-token")
WANTED = Wanted("prod", "debian-12-amd64-*", "136693071363", "m5.xlarge", package_proxy="10.64.0.1:3128")

PACKER = r"""#!/bin/bash
echo "$*" >"$SEEN/argv"
env >"$SEEN/env"
for word in "$@"; do case $word in -var-file=*) file=${word#-var-file=} ;; esac; done
cp "$file" "$SEEN/variables.json"
echo "$(sed 's/.*"image_name": "\([^"]*\)".*/\1/' "$file")" >>"$SEEN/baked"
rm -rf "$SEEN/uploads"
cp -r "$(dirname "$file")/uploads" "$SEEN/uploads"
echo '1,,ui,say,==> amazon-ebs.image: Waiting for SSH to become available...'
echo '1,,ui,message,    amazon-ebs.image: ## puppet apply%!(PACKER_COMMA) role::image'
if [ -e "$SEEN/fails" ]; then
    echo '1,,ui,message,    amazon-ebs.image: Error: no such package'
    echo '1,,ui,error,==> amazon-ebs.image: Provisioning step had errors: Running the cleanup provisioner'
    echo '1,,ui,say,==> amazon-ebs.image: Terminating the source AWS instance...'
    echo "1,,ui,error,Build 'amazon-ebs.image' errored after 1 second: Script exited with non-zero exit status: 1"
    exit 1
fi
echo '1,,ui,say,==> amazon-ebs.image: Creating AMI'
sleep 0.3
"""


class Scene:
    """A checkout, a cloud and a Packer that only notes what it was given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cloud, self.told = folder, FakeCloud(), list[Progress]()
        self.cloud.images.register("debian-12-amd64-20261101-local", owner="136693071363")
        self.sources = Sources.checkout(folder / "checkout")
        self.own = folder / "images"
        self.own.mkdir()
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

    def bakery(self, **options: Any) -> Bakery:
        values: dict[str, Any] = {
            "images": self.cloud.images,
            "compute": self.cloud.compute,
            "access": ACCESS,
            "wanted": WANTED,
            "sources": self.sources,
            "folders": [self.own, self.sources.images],
            "release": ("ab" * 32, b"release"),
            "from_bucket": self.cloud.store.stream,
            "cache": self.folder / "cache",
            "principal": Principal("ann", "analytics"),
            "clock": self.cloud.clock,
            "environment": {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "SEEN": str(self.folder), "AWS_PROFILE": "no"},
            "report": self._report,
        }
        return Bakery(**values | options)

    def bake(self, name: str = "hadoop", *, force: bool = False, parents: bool = True, **options: Any) -> Baked:
        return baking.bake(self.bakery(**options), name, force=force, parents=parents)

    def write(self, name: str, text: str = "", parent: str = "hadoop") -> None:
        head = f"name: {name}\nparent: {parent}\ndescription: of a test\n"
        (self.own / f"{name}.yaml").write_text(head + text)

    def baked(self) -> list[str]:
        """Families of what Packer was run for, in order."""
        file = self.folder / "baked"
        return [line.split("-")[1] for line in file.read_text().splitlines()] if file.exists() else []

    def inputs(self, release: str = "ab" * 32, parent: str = "debian-12-*") -> str:
        image = self.cloud.images.base_image(parent, "136693071363")
        recipe = lineage("hadoop", [self.own, self.sources.images])[-1]
        return baking.inputs_of(self.sources, WANTED, layers.pin(recipe, self.folder), image, release)

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
    assert found["parent"] == scene.cloud.images.base_image("debian-12-*", "136693071363").id
    network = scene.cloud.compute.default_network()
    assert network is not None
    assert found["subnet"] in network[2]
    assert found["security_group"].startswith("sg-")
    assert found["run_tags"][names.TAG_ROLE] == "bake"


def test_every_variable_of_the_template_is_given_and_no_other(scene: Scene) -> None:
    scene.bake()
    text = (ROOT / "ami" / "image.pkr.hcl").read_text()
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
    assert builder.bastion(text) == parts
    known = parse_bastion(text)
    assert (known.user, known.host, known.port) == parts if known else not text


@pytest.mark.parametrize("text", ["ann@", "host:", "host:ssh", "host:0", "host:70000", "fd00::9", "@host", "a b"])
def test_a_bastion_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[user@\]host\[:port\]"):
        builder.bastion(text)


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
    "path",
    [
        "ami/image.pkr.hcl",
        "ami/images/hadoop.yaml",
        "ami/scripts/50-validate.sh",
        "ami/hadoop/pom.xml",
        "hcluster/node/main.py",
    ],
)
def test_a_change_of_any_input_is_another_image(scene: Scene, path: str) -> None:
    before = scene.inputs()
    assert scene.inputs() == before
    with (scene.sources.root / path).open("a") as out:
        out.write("packages: [jq]\n" if path.endswith(".yaml") else "\n")
    assert scene.inputs() != before


def test_the_puppet_release_and_the_base_image_are_inputs(scene: Scene) -> None:
    before = scene.inputs()
    assert scene.inputs("cd" * 32) != before
    scene.cloud.images.register("debian-12-amd64-20261201-local", owner="136693071363")
    assert scene.inputs() != before


def test_a_folder_that_is_no_checkout_is_refused(scene: Scene) -> None:
    scene.sources = Sources.checkout(scene.folder)
    with pytest.raises(NotFoundError, match="holds no ami"):
        scene.bake()


def test_a_bake_waits_for_another_of_the_same_image_but_not_for_ever(scene: Scene) -> None:
    import fcntl

    lock = scene.folder / "cache" / f"bake-hcluster-hadoop-{scene.inputs()[:12]}.lock"
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
    variables["uploads"] = f"{scene.folder}/uploads/"
    file = scene.folder / "v.pkrvars.json"
    file.write_text(json.dumps(variables))
    done = subprocess.run(
        ["packer", "validate", f"-var-file={file}", str(ROOT / "ami" / "image.pkr.hcl")],
        env=ACCESS.environment({"PATH": "/usr/bin:/bin", "HOME": str(scene.folder)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_layer_is_baked_after_its_parent_and_says_what_it_stands_on(scene: Scene) -> None:
    scene.write("geo", "packages: [jq, curl=7.88]\nchecks: ['echo %{x}']\n")
    done = scene.bake("geo")
    assert scene.baked() == ["hadoop", "geo"]
    (parent,) = done.parents
    assert done.image.tags[names.TAG_IMAGE_PARENT] == parent.image.id
    assert done.image.tags[names.TAG_IMAGE_LAYERS] == "hadoop,geo"
    assert (parent.image.tags[names.TAG_IMAGE_LAYERS], parent.parents) == ("hadoop", ())
    told = scene.variables()
    assert (told["puppet_role"], told["parent"], told["image_description"]) == ("layer", parent.image.id, "of a test")
    assert json.loads(told["user_data"]) == {"hcluster-bake": done.image.name}
    # Hadoop is there already.
    assert sorted(path.name for path in (scene.folder / "uploads").iterdir()) == [
        *("checks", "files", "image.json", "jars", "layer.yaml", "puppet.tar.gz"),
    ]
    assert (scene.folder / "uploads" / "checks" / "0").read_text() == "echo %{x}\n"
    hiera = json.loads((scene.folder / "uploads" / "layer.yaml").read_text())
    assert hiera["profile::layer::packages"] == {"jq": "installed", "curl": "7.88"}
    about = json.loads((scene.folder / "uploads" / "image.json").read_text())
    assert [layer["name"] for layer in about["layers"]] == ["geo"]
    assert about["parent"]["id"] == parent.image.id


def test_the_same_layer_again_is_a_no_op_for_all_below_it(scene: Scene) -> None:
    scene.write("geo")
    first = scene.bake("geo")
    again = scene.bake("geo")
    assert scene.baked() == ["hadoop", "geo"]
    assert (again.baked, again.image, again.parents[0].baked) == (False, first.image, False)


def test_a_changed_parent_bakes_the_child_again_and_says_why(scene: Scene) -> None:
    scene.write("geo")
    first = scene.bake("geo")
    with (scene.sources.ami / "hadoop" / "pom.xml").open("a") as out:
        out.write("\n")
    again = scene.bake("geo")
    assert scene.baked() == ["hadoop", "geo", "hadoop", "geo"]
    before, now = first.parents[0].image.id, again.parents[0].image.id
    assert again.parents[0].reason == "its own inputs changed"
    assert again.reason == f"its parent changed from {before} to {now}"
    assert any("since its parent changed" in told.text for told in scene.told)


def test_a_changed_layer_leaves_its_parent_alone(scene: Scene) -> None:
    scene.write("geo")
    scene.bake("geo")
    scene.write("geo", "packages: [jq]\n")
    again = scene.bake("geo")
    assert scene.baked() == ["hadoop", "geo", "geo"]
    assert again.reason == "its own inputs changed"


def test_a_file_or_a_jar_beside_the_yaml_is_an_input_by_content(scene: Scene) -> None:
    scene.write("geo", "files: [{path: /etc/motd, source: motd}]\n")
    (scene.own / "motd").write_text("one")
    first = scene.bake("geo")
    (scene.own / "motd").write_text("two")
    assert scene.bake("geo").inputs != first.inputs
    assert (scene.folder / "uploads" / "files" / "0").read_text() == "two"


def test_without_parents_the_newest_parent_is_taken_as_it_is(scene: Scene) -> None:
    scene.write("geo")
    first = scene.bake()
    with (scene.sources.ami / "hadoop" / "pom.xml").open("a") as out:
        out.write("\n")
    done = scene.bake("geo", parents=False)
    assert scene.baked() == ["hadoop", "geo"]
    assert done.image.tags[names.TAG_IMAGE_PARENT] == first.image.id


@pytest.mark.parametrize("parents", [True, False])
def test_a_parent_of_which_there_is_neither_yaml_nor_image_is_named_with_its_cure(scene: Scene, parents: bool) -> None:
    scene.write("geo", parent="nowhere")
    with pytest.raises(NotFoundError, match="geo stands on image nowhere, of which there is none") as caught:
        scene.bake("geo", parents=parents)
    assert (caught.value.reference, "--image nowhere" in caught.value.hint) == ("no-image", True)
    tags = {names.TAG_PLATFORM: "prod", names.TAG_IMAGE_NAME: "nowhere"}
    image = scene.cloud.images.register("hcluster-nowhere-1", tags)
    assert scene.bake("geo", parents=parents).image.tags[names.TAG_IMAGE_PARENT] == image.id


def test_a_parent_may_be_an_image_by_its_id(scene: Scene) -> None:
    image = scene.cloud.images.register("other-1", {})
    scene.write("geo", parent=image.id)
    assert scene.bake("geo").image.tags[names.TAG_IMAGE_PARENT] == image.id
    scene.cloud.images.deregister(image.id)
    with pytest.raises(NotFoundError, match=image.id):
        scene.bake("geo")


def test_a_parent_that_goes_while_packer_runs_is_what_the_error_tells(scene: Scene) -> None:
    scene.write("geo")
    parent = scene.bake().image
    (scene.folder / "fails").touch()

    def gone(progress: Progress) -> None:
        if "puppet apply" in progress.text:
            scene.cloud.images.deregister(parent.id)

    with pytest.raises(BakeError, match=f"{parent.id} .* was deregistered meanwhile") as caught:
        scene.bake("geo", parents=False, report=gone)
    assert "no such package" in caught.value.context


def test_an_image_that_nobody_wrote_is_refused_with_those_that_there_are(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match=r"mine\.yaml \(images there: hadoop\)") as caught:
        scene.bake("mine")
    assert (caught.value.reference, str(scene.own) in caught.value.context) == ("no-image-file", True)


def test_images_in_a_circle_are_refused(scene: Scene) -> None:
    scene.write("a", parent="b")
    scene.write("b", parent="a")
    with pytest.raises(UsageError, match="image a stands on itself: a on b on a"):
        scene.bake("a")
    assert not scene.baked()


def test_too_many_layers_are_refused(scene: Scene) -> None:
    for number in range(8):
        scene.write(f"l{number + 1}", parent=f"l{number}" if number else "hadoop")
    with pytest.raises(UsageError, match="more than 8 layers"):
        scene.bake("l8")


def test_a_jar_that_is_another_one_is_never_uploaded(scene: Scene) -> None:
    scene.write("geo", f"jars: [{{file: a.jar, sha256: {'ab' * 32}}}]\n")
    (scene.own / "a.jar").write_bytes(b"another")
    with pytest.raises(IntegrityError, match=r"a\.jar is not the jar that geo\.yaml means"):
        scene.bake("geo")
    assert scene.baked() == ["hadoop"]
    assert not [path for path in (scene.folder / "cache" / "jars").rglob("*") if path.is_file()]


def test_a_jar_of_the_bucket_comes_from_below_images(scene: Scene) -> None:
    digest = hashlib.sha512(b"jar").hexdigest()
    scene.cloud.store.ensure_bucket({})
    scene.cloud.store.put("data/images/deep/a-1.jar", b"jar")
    scene.write("geo", f"jars: [{{s3: data/images/deep/a-1.jar, sha512: {digest}}}]\n")
    scene.bake("geo")
    assert (scene.folder / "uploads" / "jars" / "a-1.jar").read_bytes() == b"jar"
    # What was verified once is found again.
    scene.cloud.store.delete("data/images/deep/a-1.jar")
    assert scene.bake("geo", force=True).baked


UV = r"""#!/bin/bash
echo "$*" >>"$SEEN/uv"
while [ $# -gt 0 ]; do case $1 in --output-file) out=$2 ;; --target) tree=$2 ;; esac; shift; done
if [ -n "${out:-}" ]; then
    [ ! -e "$SEEN/unknown" ] || { echo "error: No solution found" >&2; exit 1; }
    printf 'a-b==1 \\\n    --hash=sha256:%064d \\\n    --hash=sha256:%064d\n' 1 2 >"$out"
    printf 'needed==2 \\\n    --hash=sha256:%064d\n' 3 >>"$out"
    exit
fi
mkdir -p "$tree/bin" "$tree/a/target"
printf '#!%s\nimport a\n' /home/me/bin/python >"$tree/bin/a"
touch "$tree/a/__init__.py" "$tree/a/target/kept.py" "$tree/.lock"
"""


@pytest.fixture
def uv(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that resolves and installs the same whatever it is asked for; what it was asked."""
    program = scene.folder / "bin" / "uv"
    program.write_text(UV)
    program.chmod(0o755)
    monkeypatch.setattr(python_packages, "uv_program", lambda: str(program))
    monkeypatch.setenv("SEEN", str(scene.folder))
    return scene.folder / "uv"


def test_python_packages_are_pinned_once_and_become_an_environment(scene: Scene, uv: Path) -> None:
    scene.write("geo", "python: [A_b==1]\n")
    first = scene.bake("geo")
    lock = scene.own / "geo.lock"
    assert "needed==2" in lock.read_text()
    assert first.image.tags[names.TAG_IMAGE_HASH] == first.inputs
    with tarfile.open(fileobj=io.BytesIO(unpacked(scene.folder / "uploads" / "python.tar.zst"))) as tar:
        found = {member.name: member for member in tar}
        script = tar.extractfile("bin/a")
        assert script is not None
        assert script.read() == b"#!/opt/hcluster/python/geo/bin/python3\nimport a\n"
    assert {"pyvenv.cfg", "bin/a", "lib/python3.11/site-packages/a/target/kept.py"} <= set(found)
    assert found["bin/python3"].linkname == "/usr/bin/python3.11"
    assert not [name for name in found if name.endswith(".lock")]
    uv.unlink()
    assert not scene.bake("geo").baked
    assert not uv.exists(), "nothing changed, so nobody is asked"


def test_other_python_packages_are_another_image(scene: Scene, uv: Path) -> None:
    scene.write("geo", "python: [a-b==1]\n")
    first = scene.bake("geo")
    scene.write("geo", "python: [a-b==1, needed==2]\n")
    assert scene.bake("geo").inputs != first.inputs
    assert "geo.yaml" in (scene.own / "geo.lock").read_text()
    assert len([line for line in uv.read_text().splitlines() if "compile" in line]) == 2


def test_a_digest_in_the_yaml_narrows_the_lock_or_is_refused(scene: Scene, uv: Path) -> None:
    scene.write("geo", f"python: ['a-b==1 --hash=sha256:{1:064d}']\n")
    scene.bake("geo")
    assert uv.exists()
    text = (scene.own / "geo.lock").read_text()
    assert (f"{1:064d}" in text, f"{2:064d}" in text, f"{3:064d}" in text) == (True, False, True)
    scene.write("geo", f"python: ['a-b==1 --hash=sha256:{9:064d}']\n")
    with pytest.raises(IntegrityError, match=r"no digest in geo\.yaml"):
        scene.bake("geo")


def test_a_package_that_the_index_has_not_is_told_in_its_words(scene: Scene, uv: Path) -> None:
    scene.write("geo", "python: [a-b==1]\n")
    (scene.folder / "unknown").touch()
    with pytest.raises(HclusterError, match="Python packages of image geo could not be had") as caught:
        scene.bake("geo")
    assert "No solution found" in caught.value.context
    assert not (scene.own / "geo.lock").exists()
    assert uv.exists()


def unpacked(path: Path) -> bytes:
    return subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
