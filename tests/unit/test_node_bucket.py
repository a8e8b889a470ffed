"""The node's bucket while credentials are not there yet, and the row of a launch that never was ready."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from hcluster.errors import DeniedError, NotFoundError, UnreachableError
from hcluster.node import bucket as program
from hcluster.node.bucket import CHECK_IN_SECONDS, Bucket


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "PutObject")


class S3:
    """Answers each call with the next of ``answers`` (the last one for ever); the clock moves when it is slept on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.opened, self.calls, self.now = 0, 0, 1000.0
        self.objects: dict[str, bytes] = {}
        self.options: dict[str, object] = {}
        monkeypatch.setattr("botocore.session.Session.create_client", self._open)
        monkeypatch.setattr(program, "time", self)

    def _open(self, *_: object, **__: object) -> S3:
        self.opened += 1
        return self

    def _answer(self) -> None:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer

    def put_object(self, *, Key: str, Body: bytes, **options: object) -> None:  # noqa: N803 - as S3 names them
        self._answer()
        self.options = options
        self.objects[Key] = Body

    def get_object(self, *, Key: str, **_: object) -> dict[str, Any]:  # noqa: N803
        self._answer()
        if Key not in self.objects:
            raise refused("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[Key])}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bucket() -> Bucket:
    return Bucket("b", "us-east-1", "http://10.64.0.1:4566")


def test_a_check_in_waits_for_credentials_and_for_their_rights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    down = EndpointConnectionError(endpoint_url="http://10.64.0.1:4566")
    s3 = S3(monkeypatch, NoCredentialsError(), NoCredentialsError(), down, refused("AccessDenied"), None)
    bucket().check_in("flights", "i-1", "booted", {"launch": "l1"})
    assert json.loads(s3.objects["clusters/flights/nodes/i-1/booted"]) == {"launch": "l1"}
    assert s3.opened == s3.calls == 5, "a client that found no credentials never looks again, so each try has its own"
    assert capsys.readouterr().err.count("Unable to locate credentials") == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(NoCredentialsError(), UnreachableError), (refused("AccessDenied"), DeniedError)]
)
def test_a_check_in_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, error: type[Exception]
) -> None:
    s3 = S3(monkeypatch, answer)
    with pytest.raises(error, match="s3://b/clusters/flights/nodes/i-1/failed cannot be written"):
        bucket().check_in("flights", "i-1", "failed", {})
    assert CHECK_IN_SECONDS - 20 < s3.now - 1000 <= CHECK_IN_SECONDS
    assert s3.calls < 30


def test_a_bucket_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = S3(monkeypatch, refused("NoSuchBucket"))
    with pytest.raises(NotFoundError):
        bucket().check_in("flights", "i-1", "booted", {})
    assert s3.calls == 1


def test_the_end_of_a_lifetime_is_written_into_the_launchs_row(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = S3(monkeypatch, None)
    s3.objects["registry/clusters/flights-l1.json"] = b'{"name": "flights", "state": "ready"}\n'
    bucket().close_row("flights", "l1", 0)
    row = json.loads(s3.objects["registry/clusters/flights-l1.json"])
    assert row == {
        "name": "flights",
        "state": "ended",
        "ended": "1970-01-01T00:00:00+00:00",
        "ended_by": "lifetime",
    }


def test_a_launch_that_never_was_ready_has_no_row_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = S3(monkeypatch, None)
    bucket().close_row("flights", "l1", 0)
    assert s3.objects == {}


def test_a_row_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    S3(monkeypatch, refused("AccessDenied"))
    with pytest.raises(DeniedError, match="cannot be closed"):
        bucket().close_row("flights", "l1", 0)


def test_a_file_is_written_as_a_new_object_and_one_that_is_there_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3 = S3(monkeypatch, None, refused("PreconditionFailed"), refused("AccessDenied"))
    path = tmp_path / "dump"
    path.write_bytes(b"tables")
    bucket().put_file("platform/metastore/a", path)
    assert s3.options == {"Bucket": "b", "IfNoneMatch": "*"}
    bucket().put_file("platform/metastore/a", path)
    with pytest.raises(DeniedError, match="cannot be written"):
        bucket().put_file("platform/metastore/a", path)
