"""What holds for every field of every schema, and the canonical JSON."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hcluster.errors import IntegrityError
from hcluster.model.names import resource_name
from hcluster.spec.base import declared_policy, duration, seconds
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.load import Kind, schema
from hcluster.spec.platform import PlatformSpec


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo, bool]]:
    """(path, field, whether it holds another schema) of all fields, nested ones included."""
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        inner = [field.annotation, *typing.get_args(field.annotation)]
        models = [found for found in inner if isinstance(found, type) and issubclass(found, BaseModel)]
        yield here, field, field.annotation in models
        for found in models:
            yield from fields(found, here)


ALL = [*fields(PlatformSpec), *fields(ClusterSpec)]


@pytest.mark.parametrize(("path", "field", "nested"), ALL, ids=[path for path, _, _ in ALL])
def test_every_field_has_documentation_and_a_change_policy(path: str, field: FieldInfo, nested: bool) -> None:
    assert field.description, path
    policy = declared_policy(field.json_schema_extra)
    if nested:
        assert policy is None, "its parts have their own"
    else:
        assert policy is not None
        assert policy.reason


def test_json_is_canonical_and_comes_back_equal() -> None:
    spec = ClusterSpec.model_validate(
        {
            "team": "science",
            "name": "a",
            "lifetime": "90m",
            "tags": {"b": "1", "a": "2"},
            "core": {"disks": [{"size_gib": 5}]},
        }
    )
    again = ClusterSpec.model_validate({"name": "a", "team": "science", **spec.model_dump(mode="json")})
    assert ClusterSpec.from_json(spec.to_json()) == spec == again
    assert spec.digest() == again.digest() != ClusterSpec(name="b", team="science").digest()
    assert '"lifetime":"90m"' in spec.to_json()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a", "team": "t", "from_the_future": 1}', "\xff"])
def test_json_of_another_version_is_refused_with_a_cure(text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        ClusterSpec.from_json(text)
    assert "hcluster down" in caught.value.hint


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("90m", 5400), ("4h", 14400), ("2d", 172800)])
def test_durations_are_read_and_written(text: str, value: int) -> None:
    assert seconds(text) == value
    assert seconds(duration(value)) == value


@pytest.mark.parametrize("text", ["", "h", "4", "-4h", "04h", "4 h", "4w", "9999999h", "4h\n"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and a unit"):
        seconds(text)


def test_the_json_schema_carries_the_change_policies() -> None:
    found = schema("cluster")
    assert found["properties"]["name"]["change"] == "refused"
    assert found["$defs"]["CoreGroup"]["properties"]["count"]["change"] == "live"
    assert found["additionalProperties"] is False


@pytest.mark.parametrize("kind", ["cluster", "platform", "image"])
def test_every_default_is_a_value_that_its_own_schema_takes(kind: Kind) -> None:
    """Editors write it for people."""
    whole = schema(kind)
    for part in (whole, *whole.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            if "default" in field:
                # JSON Schema has ECMAScript's patterns, in which classes of Unicode have names that Python's lack.
                pattern = field.get("pattern", "").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
                takes = jsonschema.Draft202012Validator({**field, "pattern": pattern, "$defs": whole.get("$defs", {})})
                assert takes.is_valid(field["default"]), name


def test_the_proxy_is_the_endpoints_host_only_where_that_is_asked_for() -> None:
    def proxy(text: str) -> str:
        spec = PlatformSpec.model_validate(
            {"name": "a", "bucket": "bucket", "teams": ["t"], "network": {"package_proxy": text}}
        )
        return spec.network.proxy("https://ec2.us-east-1.amazonaws.com")

    assert proxy("") == ""
    assert proxy("proxy.corp:8080") == "proxy.corp:8080"
    assert proxy("{endpoint}:3128") == "ec2.us-east-1.amazonaws.com:3128"


@pytest.mark.parametrize("key", ["cost center", "app/tier", "Größe", "a@b:c+d=e-f_g.h", "x" * 128])
def test_tag_keys_are_what_ec2_takes(key: str) -> None:
    assert ClusterSpec.model_validate({"name": "a", "team": "t", "tags": {key: key}}).tags == {key: key}


@pytest.mark.parametrize("key", ["", "a*", "a\tb", "a,b", "a\\b", "a‿b", "x" * 129, "AWS:x", "hcluster:x"])
def test_other_tag_keys_are_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        ClusterSpec.model_validate({"name": "a", "team": "t", "tags": {key: "v"}})


def test_a_team_whose_role_would_have_too_long_a_name_is_refused_with_the_most_that_fits() -> None:
    platform = "p" * 30

    def made(*teams: str) -> PlatformSpec:
        return PlatformSpec.model_validate({"name": platform, "bucket": "bucket", "teams": teams})

    assert len(resource_name(platform, made("t" * 19).teams[0], "node")) == 64
    with pytest.raises(ValidationError, match=f"at most 19; too long: {'t' * 20}, {'u' * 30}") as raised:
        made("t" * 20, "fine", "u" * 30)
    assert len(raised.value.errors()) == 1
