"""Which of our errors an AWS error becomes, and what it says."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError

from hcluster.aws.codes import CODES, Whose, error_class, translate
from hcluster.errors import (
    CapacityError,
    CloudError,
    ConflictError,
    CredentialsError,
    DeniedError,
    HclusterError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)

WHOSE = Whose("profile p of /aws, us-east-1", "run this", "start that")


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"RequestId": "r-1"}}, "RunInstances"
    )


def translated(failure: Exception) -> HclusterError:
    with pytest.raises(HclusterError) as caught, translate("doing it", WHOSE):
        raise failure
    assert caught.value.__cause__ is failure
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InsufficientInstanceCapacity", CapacityError),
        ("MaxSpotInstanceCountExceeded", CapacityError),
        ("VcpuLimitExceeded", CapacityError),
        ("Unsupported", CapacityError),
        ("UnauthorizedOperation", DeniedError),
        ("AccessDenied", DeniedError),
        ("ExpiredToken", CredentialsError),
        ("AuthFailure", CredentialsError),
        ("RequestLimitExceeded", ThrottledError),
        ("SlowDown", ThrottledError),
        ("InvalidInstanceID.NotFound", NotFoundError),
        ("InvalidSomethingNew.NotFound", NotFoundError),
        ("NoSuchKey", NotFoundError),
        ("NoSuchEntity", NotFoundError),
        ("InvalidAMIID.Unavailable", NotFoundError),
        ("PreconditionFailed", ConflictError),
        ("DependencyViolation", ConflictError),
        ("IdempotentParameterMismatch", ConflictError),
        ("InvalidParameterValue", CloudError),
        ("", CloudError),
    ],
)
def test_a_code_has_its_class(code: str, kind: type[HclusterError]) -> None:
    assert error_class(code) is kind
    assert type(translated(refused(code))) is kind


def test_no_code_stands_in_the_table_twice() -> None:
    codes = [code for some in CODES.values() for code in some]
    assert len(codes) == len(set(codes))


def test_the_error_says_what_was_tried_what_the_cloud_said_and_who_asked() -> None:
    error = translated(refused("InvalidParameterValue", "the size is wrong"))
    assert error.message == "doing it: the size is wrong (InvalidParameterValue)"
    assert json.loads(error.context) == {
        "code": "InvalidParameterValue",
        "operation": "RunInstances",
        "request": "r-1",
        "caller": "profile p of /aws, us-east-1",
    }


def test_an_encoded_authorization_message_is_not_shown() -> None:
    error = translated(
        refused("UnauthorizedOperation", "Not allowed. Encoded authorization failure message: AbC-123_xyz")
    )
    assert "AbC-123" not in error.message
    assert "decode-authorization-message" in error.message
    assert error.hint


def test_credentials_errors_carry_their_cure() -> None:
    assert translated(refused("InvalidClientTokenId")).hint == "run this"
    assert translated(NoCredentialsError()).hint == "run this"


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    error = translated(EndpointConnectionError(endpoint_url="http://10.0.0.1:4566/b?list-type=2", error="refused"))
    assert isinstance(error, UnreachableError)
    assert "http://10.0.0.1:4566 does not answer" in error.message
    assert "/b?list-type=2" in error.context
    assert error.hint == "start that"
    assert isinstance(translated(ConnectTimeoutError(endpoint_url="http://x")), UnreachableError)


def test_a_bucket_that_is_not_there_is_told_with_what_makes_it() -> None:
    error = translated(
        ClientError({"Error": {"Code": "NoSuchBucket", "Message": "The specified bucket does not exist"}}, "GetObject")
    )
    assert isinstance(error, NotFoundError)
    assert "hcluster platform up" in error.hint


def test_an_answer_that_is_no_api_answer_is_a_cloud_error() -> None:
    error = translated(ResponseParserError("<html>"))
    assert type(error) is CloudError
    assert "<html>" in error.context
    assert type(translated(ParamValidationError(report="too short"))) is CloudError


def test_our_own_errors_and_defects_pass_unchanged() -> None:
    own = NotFoundError("mine")
    with pytest.raises(NotFoundError) as caught, translate("doing it", WHOSE):
        raise own
    assert caught.value is own
    with pytest.raises(ZeroDivisionError), translate("doing it", WHOSE):
        raise ZeroDivisionError
