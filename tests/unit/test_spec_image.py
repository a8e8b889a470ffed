"""The YAML of an image: what is accepted, and every finding at once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hcluster.errors import SpecError
from hcluster.spec.base import declared_policy
from hcluster.spec.image import FileSpec, ImageSpec, JarSpec, hashes, project, without_hashes
from hcluster.spec.load import load_image
from tests.unit.test_spec_schema import fields

SHA = "ab" * 32
ROOT = Path(__file__).parents[2]


def test_the_images_that_ship_are_sound() -> None:
    found = [load_image(path) for path in sorted((ROOT / "ami" / "images").glob("*.yaml"))]
    found += [load_image(path) for path in sorted((ROOT / "examples" / "images").glob("*.yaml"))]
    assert {one.name: one.layered for one in found}["hadoop"] is False
    assert any(one.layered and one.packages and one.python and one.jars and one.checks for one in found)


def test_every_finding_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        """\
name: other
parent: Hadoop
descripton: x
packages: [jq, "jq=1.6", "rm -rf"]
python: [numpy]
jars:
  - {maven: "a:b:1"}
  - {file: x.jar, s3: data/images/x.jar, sha256: 12}
files:
  - {path: /etc/hadoop/core-site.xml, content: a}
  - {path: /etc/x, source: nope.txt}
"""
    )
    with pytest.raises(SpecError, match=r"mine\.yaml does not describe an image") as caught:
        load_image(file)
    found = [line.split("mine.yaml:", 1)[1] for line in caught.value.findings]
    expected = [
        "1: description: is required",
        "1: name: is 'other', but the file is called mine.yaml",
        "2: parent: 'Hadoop' does not match",
        "3: descripton: unknown key, did you mean `description`?",
        "4: packages[2]: 'rm -rf' is no package",
        "5: python[0]: 'numpy' is no pinned package: write NAME==VERSION",
        "7: jars[0]: needs one digest",
        "8: jars[1].file: ",
        "8: jars[1].sha256: must be text",
        "10: files[0].path: /etc/hadoop is not an image's to set",
        "11: files[1].source: ",
    ]
    assert len(found) == len(expected)
    for start in expected:
        assert [line for line in found if line.startswith(start)], (start, found)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"packages": ["jq", "jq=1.6"]}, "given twice: jq"),
        ({"python": ["a-b==1", "A_b[x]==2"]}, "given twice: a-b"),
        ({"jars": [{"maven": "a:b:1", "sha256": SHA}, {"file": "x/b-1.jar", "sha256": SHA}]}, r"twice: b-1\.jar"),
        ({"files": [{"path": "/a", "content": ""}] * 2}, "given twice: /a"),
        ({"parent": "mine"}, "cannot stand on itself"),
        ({"name": "base"}, "reserved"),
        ({"parent": "debian-12-*"}, "parent"),
        ({"description": "ü"}, "description"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ImageSpec.model_validate({"name": "mine", "parent": "hadoop", "description": "d", **fields})


@pytest.mark.parametrize("place", [{"maven": "g:a:1"}, {"file": "a-1.jar"}, {"s3": "data/images/deep/a-1.jar"}])
def test_a_jar_has_one_place_one_digest_and_a_name(place: dict[str, str]) -> None:
    jar = JarSpec.model_validate({**place, "sha256": SHA})
    assert (jar.filename, jar.expected) == ("a-1.jar", SHA)
    for wrong in ({**place}, {**place, "sha256": SHA, "sha512": SHA * 2}, {"sha256": SHA}):
        with pytest.raises(ValidationError, match="one"):
            JarSpec.model_validate(wrong)


@pytest.mark.parametrize(
    "jar", [{"file": "/etc/a.jar"}, {"file": "../a.jar"}, {"s3": "data/a.jar"}, {"file": "a.zip"}, {"maven": "a:b"}]
)
def test_a_jar_from_elsewhere_is_refused(jar: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        JarSpec.model_validate({**jar, "sha256": SHA})


@pytest.mark.parametrize(
    "path", ["etc/x", "/etc/../x", "/a//b", "/a/", "/opt/hadoop/x", "/proc/x", "/opt/hcluster", "/"]
)
def test_a_file_stays_out_of_what_others_write(path: str) -> None:
    with pytest.raises(ValidationError):
        FileSpec.model_validate({"path": path, "content": ""})


def test_requirements_come_apart() -> None:
    text = f"Foo.Bar[x]==1.0 --hash=sha256:{SHA}"
    assert (project(text), without_hashes(text), hashes(text)) == ("foo-bar", "Foo.Bar[x]==1.0", (f"sha256:{SHA}",))


@pytest.mark.parametrize(("path", "field", "nested"), [*fields(ImageSpec)])
def test_every_field_has_documentation_and_a_change_policy(path: str, field: object, nested: bool) -> None:
    assert not nested
    assert field.description, path  # type: ignore[attr-defined]
    assert declared_policy(field.json_schema_extra) is not None  # type: ignore[attr-defined]
