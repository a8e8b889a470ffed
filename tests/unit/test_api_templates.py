"""Launch templates: pages, versions, errors by AWS's names."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, running_cloud

DATA = {"ImageId": BASE, "InstanceType": "m5.large"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def ec2(cloud: Cloud) -> Any:
    return cloud.client("ec2")


def _made(ec2: Any, name: str, **more: Any) -> dict[str, Any]:
    request = {"LaunchTemplateName": name, "LaunchTemplateData": DATA} | more
    return dict(ec2.create_launch_template(**request)["LaunchTemplate"])


def _code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def test_all_templates_are_listed_however_many_there_are(ec2: Any) -> None:
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "many"}]}]
    made = {_made(ec2, f"many-{number}", TagSpecifications=tags)["LaunchTemplateId"] for number in range(30)}
    filters = [{"Name": "tag:team", "Values": ["many"]}]
    assert len(ec2.describe_launch_templates(Filters=filters)["LaunchTemplates"]) == 30
    pages = ec2.get_paginator("describe_launch_templates").paginate(Filters=filters, PaginationConfig={"PageSize": 7})
    found = [one["LaunchTemplateId"] for page in pages for one in page["LaunchTemplates"]]
    assert (len(found), set(found)) == (30, made)


def test_a_templates_own_tags_are_not_launched(ec2: Any) -> None:
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "x"}]}]
    made = _made(ec2, "tagged", TagSpecifications=tags)
    assert made["Tags"] == [{"Key": "team", "Value": "x"}]
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"], Versions=["1"])
    assert "TagSpecifications" not in versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def test_a_version_takes_from_its_source_what_it_does_not_name(ec2: Any) -> None:
    template = _made(ec2, "versions")["LaunchTemplateId"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "r5.large"}
    )
    ec2.create_launch_template_version(LaunchTemplateName="versions", LaunchTemplateData={"InstanceType": "c5.large"})
    shown = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert [(one["VersionNumber"], one["LaunchTemplateData"].get("ImageId")) for one in shown] == [
        (3, None),
        (2, BASE),
        (1, BASE),
    ]
    assert [one["DefaultVersion"] for one in shown] == [False, False, True]
    least = ec2.describe_launch_template_versions(LaunchTemplateId=template, MinVersion="2", MaxVersion="2")
    assert [one["VersionNumber"] for one in least["LaunchTemplateVersions"]] == [2]
    everywhere = ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
    assert (template, 3) in {(one["LaunchTemplateId"], one["VersionNumber"]) for one in everywhere}


def test_errors_of_templates_have_awss_names(ec2: Any) -> None:
    made = _made(ec2, "errors")["LaunchTemplateId"]
    gone = "lt-00000000000000000"
    assert _code(_made, ec2=ec2, name="errors") == "InvalidLaunchTemplateName.AlreadyExistsException"
    assert _code(_made, ec2=ec2, name="no spaces") == "InvalidLaunchTemplateName.MalformedException"
    assert _code(ec2.describe_launch_templates, LaunchTemplateIds=[made, gone]) == "InvalidLaunchTemplateId.NotFound"
    assert (
        _code(ec2.describe_launch_templates, LaunchTemplateNames=["none"])
        == "InvalidLaunchTemplateName.NotFoundException"
    )
    describe = ec2.describe_launch_template_versions
    assert _code(describe, LaunchTemplateId=made, Versions=["9"]) == "InvalidLaunchTemplateId.VersionNotFound"
    assert _code(describe) == "MissingParameter"
    assert _code(describe, LaunchTemplateId=made, LaunchTemplateName="errors") == "InvalidParameterCombination"
    ec2.delete_launch_template(LaunchTemplateId=made)
    assert _code(ec2.delete_launch_template, LaunchTemplateId=made) == "InvalidLaunchTemplateId.NotFound"


def test_a_client_token_makes_one_template(ec2: Any) -> None:
    first = _made(ec2, "once", ClientToken="t")
    assert _made(ec2, "once", ClientToken="t")["LaunchTemplateId"] == first["LaunchTemplateId"]
    assert _code(_made, ec2=ec2, name="twice", ClientToken="t") == "IdempotentParameterMismatch"


def test_what_ec2_would_not_launch_is_refused_in_the_template(ec2: Any) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "aws:own", "Value": "x"}]}]
    long = base64.b64encode(b"x" * 16_385).decode()
    for data in (DATA | {"TagSpecifications": tags}, DATA | {"UserData": long}):
        code = _code(ec2.create_launch_template, LaunchTemplateName="refused", LaunchTemplateData=data)
        assert code == "InvalidParameterValue"
    fits = base64.b64encode(b"x" * 16_384).decode()
    assert _made(ec2, "fits", LaunchTemplateData=DATA | {"UserData": fits})["LatestVersionNumber"] == 1
