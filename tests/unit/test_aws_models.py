"""Of the SDK's large descriptions only what hcluster calls is read, and that changes nothing but the time it takes."""

from __future__ import annotations

import ast
import errno
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from botocore import xform_name

import hcluster.aws
from hcluster.aws import models
from hcluster.aws.models import ServiceModels
from hcluster.aws.trim import OPERATIONS, trimmed

FOR_UPLOADS = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "HeadObject"}
"""What the SDK's own transfers call."""

WHOLE = botocore.session.Session()


def kept(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.iterdir()) if folder.exists() else []


def used(service: str) -> set[str]:
    """Operations of a service whose name stands anywhere in the adapter's code."""
    words: set[str] = set()
    for path in Path(hcluster.aws.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words |= {node.value, f"get_{node.value}"}
    return {name for name in WHOLE.get_service_model(service).operation_names if xform_name(name) in words}


@pytest.mark.parametrize("service", OPERATIONS)
def test_all_that_the_adapter_calls_is_kept_and_no_more(service: str) -> None:
    expected = used(service) | (FOR_UPLOADS if service == "s3" else set())
    assert set(OPERATIONS[service]) == expected
    assert len(set(OPERATIONS[service])) == len(OPERATIONS[service])


def test_what_the_sdk_calls_to_find_credentials_stays_whole() -> None:
    assert not {"sts", "sso", "sso-oidc", "signin"} & set(OPERATIONS)


def without_words(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: without_words(value)
            for key, value in part.items()
            if not (key in ("documentation", "documentationUrl") and isinstance(value, str))
        }
    return [without_words(entry) for entry in part] if isinstance(part, list) else part


@pytest.mark.parametrize("service", OPERATIONS)
def test_what_is_kept_is_as_the_sdk_has_it_but_for_what_is_meant_for_people(service: str, tmp_path: Path) -> None:
    whole = WHOLE.get_component("data_loader").load_service_model(service, "service-2")
    first = ServiceModels(tmp_path).load_service_model(service, "service-2")
    again = ServiceModels(tmp_path).load_service_model(service, "service-2")
    assert again == first
    assert list(again["shapes"]) == list(first["shapes"])
    assert again["metadata"] == whole["metadata"]
    assert again["operations"] == {name: without_words(whole["operations"][name]) for name in OPERATIONS[service]}
    assert all(shape == without_words(whole["shapes"][name]) for name, shape in again["shapes"].items())
    assert set(again) == set(whole) - {"documentation"}


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_shape_that_can_be_reached_is_there(service: str, tmp_path: Path) -> None:
    """A client that lacks one would only say so in the middle of an answer."""
    from botocore.model import ServiceModel

    model = ServiceModel(ServiceModels(tmp_path).load_service_model(service, "service-2"))
    seen: set[str] = set()

    def visit(shape: Any) -> None:
        if shape is None or shape.name in seen:
            return
        seen.add(shape.name)
        for inner in getattr(shape, "members", {}).values():
            visit(inner)
        for part in ("member", "key", "value"):
            visit(getattr(shape, part, None))

    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape, *operation.error_shapes):
            visit(shape)
    assert set(seen) | {shape.name for shape in model.error_shapes} == set(model.shape_names)


def test_nothing_is_kept_without_a_folder_or_of_other_services(tmp_path: Path) -> None:
    loader = ServiceModels(tmp_path / "sdk")
    assert "AssumeRole" in loader.load_service_model("sts", "service-2")["operations"]
    assert "RunInstances" in ServiceModels().load_service_model("ec2", "service-2")["operations"]
    assert "RunInstances" in loader.load_service_model("ec2", "service-2", "2016-11-15")["operations"]
    assert kept(tmp_path / "sdk") == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"metadata": {}, "operations": {}, "shapes": {}}', "null"])
def test_a_damaged_file_is_made_anew(damage: str, tmp_path: Path) -> None:
    good = ServiceModels(tmp_path).load_service_model("s3", "service-2")
    (file,) = tmp_path.iterdir()
    file.write_text(damage)
    assert ServiceModels(tmp_path).load_service_model("s3", "service-2") == good
    assert json.loads(file.read_text()) == good


def test_other_versions_of_the_sdk_make_their_own_and_the_last_two_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two may be used side by side: neither shall make its own anew each time, since the other has removed it."""
    made: list[Path] = []
    for at, version in enumerate(("9.9.7", "9.9.8", "9.9.9")):
        monkeypatch.setattr(botocore, "__version__", version)
        ServiceModels(tmp_path).load_service_model("s3", "service-2")
        (tmp_path / "s3-notes.json").write_text("somebody else's")
        (new,) = set(tmp_path.glob("s3-?*.json")) - {*made, tmp_path / "s3-notes.json"}
        os.utime(new, (at, at))
        made.append(new)
    assert sorted(tmp_path.iterdir()) == sorted([*made[1:], tmp_path / "s3-notes.json"])


def test_what_is_cut_out_in_another_way_is_not_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ServiceModels(tmp_path).load_service_model("s3", "service-2")
    monkeypatch.setattr(models, "_CUTTING", "another")
    ServiceModels(tmp_path).load_service_model("s3", "service-2")
    assert kept(tmp_path) == ["s3", "s3"]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_believed(mode: int, tmp_path: Path) -> None:
    good = ServiceModels(tmp_path).load_service_model("s3", "service-2")
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**good, "metadata": {"endpointPrefix": "elsewhere"}}))
    file.chmod(mode)
    assert ServiceModels(tmp_path).load_service_model("s3", "service-2") == good
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == good


def test_what_somebody_else_has_put_there_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = ServiceModels(tmp_path).load_service_model("s3", "service-2")
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**good, "metadata": {"endpointPrefix": "elsewhere"}}))
    file.chmod(0o600)
    owned = os.fstat

    def others(handle: int) -> Any:
        found = list(owned(handle))
        found[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", others)
    assert ServiceModels(tmp_path).load_service_model("s3", "service-2") == good


def test_what_was_begun_and_not_finished_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, busy = tmp_path / ".s3-killed", tmp_path / ".s3-busy"
    killed.write_text("{")
    os.utime(killed, (0, 0))
    busy.write_text("{")
    ServiceModels(tmp_path).load_service_model("s3", "service-2")
    assert not killed.exists()
    assert busy.exists()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(models, "_CUTTING", "another")
    before = sorted(tmp_path.iterdir())
    assert ServiceModels(tmp_path).load_service_model("s3", "service-2")["shapes"]
    assert sorted(tmp_path.iterdir()) == before


def test_processes_that_start_together_all_get_it_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ServiceModels(tmp_path).load_service_model("s3", "service-2"), range(4)))
    assert all(one == found[0] for one in found)
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == found[0]


def test_who_may_not_write_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = ServiceModels(tmp_path / "file").load_service_model("s3", "service-2")
    assert set(found["operations"]) == set(OPERATIONS["s3"])


def test_somebodys_own_description_is_taken_as_it_is(tmp_path: Path) -> None:
    """The SDK lets people put descriptions of their own before its own; one may lack what hcluster calls."""
    own = tmp_path / "models" / "s3" / "2006-03-01"
    own.mkdir(parents=True)
    (own / "service-2.json").write_text('{"metadata": {}, "operations": {"HeadBucket": {}}, "shapes": {}}')
    loader = ServiceModels(tmp_path / "sdk")
    loader.search_paths.insert(0, str(tmp_path / "models"))
    assert set(loader.load_service_model("s3", "service-2")["operations"]) == {"HeadBucket"}
    assert kept(tmp_path / "sdk") == []


def test_a_member_that_is_called_documentation_is_no_documentation() -> None:
    inner = {"documentation": {"shape": "Text", "documentation": "what it is"}}
    model = {
        "documentation": "all of it",
        "operations": {"Get": {"input": {"shape": "In"}, "documentation": "gets"}},
        "shapes": {"In": {"type": "structure", "members": inner}, "Text": {"type": "string"}, "Other": {}},
    }
    assert trimmed(model, ["Get"]) == {
        "operations": {"Get": {"input": {"shape": "In"}}},
        "shapes": {
            "In": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string"},
        },
    }
