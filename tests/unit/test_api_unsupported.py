"""Every operation has an answer that its SDK can read: what is not supported is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from botocore.model import Shape

from hcluster.localcloud.api.unsupported import operation, protocol
from tests.unit.api_cloud import Cloud, running_cloud

_DEEP = 6


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def _minimal(shape: Any, depth: int = 0) -> Any:
    """The least that botocore takes for a shape."""
    if shape is None or depth > _DEEP:
        return {}
    if shape.type_name == "structure":
        return {name: _minimal(shape.members[name], depth + 1) for name in shape.required_members}
    if shape.type_name == "list":
        return [_minimal(shape.member, depth + 1)]
    return _scalar(shape)


def _scalar(shape: Shape) -> Any:
    least = max(1, shape.metadata.get("min") or 1)
    enum = getattr(shape, "enum", None)
    values: dict[str, Any] = {
        "string": enum[0] if enum else "x" * least,
        "integer": least,
        "long": least,
        "float": 1.0,
        "double": 1.0,
        "boolean": False,
        "timestamp": "2026-01-01T00:00:00Z",
        "blob": b"x",
        "map": {},
    }
    return values[shape.type_name]


def _answers(cloud: Cloud, service: str) -> dict[str, tuple[int, str, str]]:
    """(status, code, message) of each operation called with the least parameters; 200 for those that succeed."""
    client = cloud.client(service)
    found = {}
    for method, name in client.meta.method_to_api_mapping.items():
        try:
            with contextlib.suppress(ParamValidationError):  # what a shape cannot tell
                getattr(client, method)(**_minimal(client.meta.service_model.operation_model(name).input_shape))
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            found[name] = (status, error.response["Error"]["Code"], error.response["Error"]["Message"] or "")
        else:
            found[name] = (200, "", "")
    return found


@pytest.mark.slow
def test_every_operation_of_ec2_is_answered_or_refused_in_ec2s_own_shape(cloud: Cloud) -> None:
    answers = _answers(cloud, "ec2")
    assert len(answers) > 700
    broken = {name: answer for name, answer in answers.items() if answer[0] >= 500 or "<html" in answer[2].lower()}
    assert broken == {}, "no page of HTML, and nothing that an SDK would try again in vain"
    refused = {name: answer for name, answer in answers.items() if answer[1] == "UnsupportedOperation"}
    assert len(refused) > 400
    assert [name for name, answer in refused.items() if name not in answer[2] and "local cloud" not in answer[2]] == []


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("iam", "InvalidAction"),
        ("sts", "InvalidAction"),
        ("sns", "InvalidAction"),
        ("autoscaling", "InvalidAction"),
        ("sqs", "UnknownOperationException"),
        ("ssm", "UnknownOperationException"),
        ("emr", "UnknownOperationException"),
        ("events", "UnknownOperationException"),
        ("service-quotas", "UnknownOperationException"),
        ("pricing", "UnknownOperationException"),
        ("lambda", "UnknownOperationException"),
        ("efs", "UnknownOperationException"),
        ("route53", "InvalidAction"),
    ],
)
def test_what_other_services_lack_is_refused_by_name_in_their_protocol(cloud: Cloud, service: str, code: str) -> None:
    answers = _answers(cloud, service)
    refused = {name: answer for name, answer in answers.items() if answer[1] == code}
    for name, (status, _, message) in refused.items():
        assert status == 400
        assert message.split(": ")[1].startswith(name), f"{name} is named"
    pages = {name: answer for name, answer in answers.items() if "<html" in answer[2].lower()}
    assert pages == {}


@pytest.mark.parametrize(
    ("service", "method", "name"),
    [
        ("outposts", "list_outposts", "ListOutposts"),  # rest-json
        ("cur", "describe_report_definitions", "DescribeReportDefinitions"),  # json
        ("importexport", "list_jobs", "ListJobs"),  # query
        ("kafkaconnect", "list_connectors", "ListConnectors"),  # rest-json
    ],
)
def test_a_service_that_is_not_there_at_all_is_refused_by_name(
    cloud: Cloud, service: str, method: str, name: str
) -> None:
    with pytest.raises(ClientError, match=f"{name} is not supported by the local cloud"):
        getattr(cloud.client(service), method)()


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("lambda", "list_functions", {}),
        ("dynamodb", "list_tables", {}),
        ("cloudwatch", "list_metrics", {}),
        ("kms", "list_keys", {}),
        ("ce", "get_cost_and_usage", {"TimePeriod": {"Start": "a", "End": "b"}, "Granularity": "DAILY", "Metrics": []}),
        ("ec2", "create_internet_gateway", {}),
        ("ec2", "create_transit_gateway", {}),
        ("ec2", "create_vpc_endpoint", {"VpcId": "vpc-0123456789abcdef0", "ServiceName": "com.amazonaws.us-east-1.s3"}),
        ("ec2", "allocate_hosts", {"AvailabilityZone": "us-east-1a", "InstanceType": "m5.large", "Quantity": 1}),
        ("ec2", "request_spot_fleet", {"SpotFleetRequestConfig": {"IamFleetRole": "r", "TargetCapacity": 1}}),
        ("iam", "create_saml_provider", {"Name": "x", "SAMLMetadataDocument": "x" * 1000}),
        ("iam", "create_service_linked_role", {"AWSServiceName": "spot.amazonaws.com"}),
        ("iam", "generate_credential_report", {}),
        ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-0123456789abcdef0"]}),
    ],
)
def test_nothing_is_made_up_by_what_the_cloud_does_not_have(
    cloud: Cloud, service: str, method: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="is not supported by the local cloud"):
        getattr(cloud.client(service), method)(**request_)


def test_the_operation_of_a_rest_request_is_told_by_its_service_model() -> None:
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/2015-03-31/functions/name/policy"}
    assert operation(request, "lambda") == "GetPolicy"
    assert protocol(request, "lambda") == "rest-json"
    assert operation({"REQUEST_METHOD": "GET", "PATH_INFO": "/nowhere"}, "lambda") == "GET /nowhere"
    assert protocol({"REQUEST_METHOD": "GET", "PATH_INFO": "/2013-04-01/hostedzone"}, "route53") == "rest-xml"
