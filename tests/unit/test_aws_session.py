"""Where credentials and endpoints come from, and what is said when they are not there."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hcluster.aws.compute import AwsCompute
from hcluster.aws.session import AwsSession
from hcluster.errors import CloudError, CredentialsError, UnreachableError
from hcluster.testing import ManualClock


def folder(tmp_path: Path, url: str = "http://127.0.0.1:1", keys: str = "") -> Path:
    made = tmp_path / "aws"
    made.mkdir()
    (made / "config").write_text(f"[profile mine]\nregion = eu-west-1\nendpoint_url = {url}\n")
    text = keys or "aws_access_key_id = AKMINE\naws_secret_access_key = secret-of-mine\n"
    (made / "credentials").write_text(f"[mine]\n{text}")
    return made


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as made:  # bound, so that nobody else listens there
        made.bind(("127.0.0.1", 0))
        yield int(made.getsockname()[1])


def test_the_profile_of_the_folder_outranks_keys_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    monkeypatch.setenv("AWS_PROFILE", "other")
    before = dict(os.environ)
    session = AwsSession("mine", folder(tmp_path), "us-east-1")
    found = session.frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("AKMINE", "secret-of-mine", "")
    assert session.endpoint("sts") == "http://127.0.0.1:1"
    assert session.endpoint("s3") == "http://127.0.0.1:1"
    assert dict(os.environ) == before


def test_credentials_do_not_show_in_a_repr(tmp_path: Path) -> None:
    session = AwsSession("mine", folder(tmp_path), "us-east-1")
    assert "secret-of-mine" not in repr(session.frozen_credentials())
    assert "AKMINE" not in repr(session.frozen_credentials())


def test_the_region_is_the_callers_or_else_the_profiles(tmp_path: Path) -> None:
    aws = folder(tmp_path)
    assert AwsSession("mine", aws, "us-east-1").client("sts").meta.region_name == "us-east-1"
    assert AwsSession("mine", aws, "").region() == "eu-west-1"


def test_a_client_is_made_once_and_names_us(tmp_path: Path) -> None:
    session = AwsSession("mine", folder(tmp_path), "us-east-1")
    client = session.client("sts")
    assert session.client("sts") is client
    assert "hcluster/" in client.meta.config.user_agent
    assert client.meta.config.retries["mode"] == "standard"
    assert client.meta.config.connect_timeout <= 10


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    AwsCompute(AwsSession("mine", tmp_path / "absent", "us-east-1"), ManualClock())


def test_a_missing_folder_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError) as caught:
        AwsSession("mine", tmp_path / "absent", "us-east-1").client("sts")
    assert str(tmp_path / "absent") in caught.value.message
    assert "hcluster local start" in caught.value.hint
    assert "aws configure --profile mine" in caught.value.hint


def test_a_missing_profile_is_named_with_folder_and_cure(tmp_path: Path) -> None:
    aws = folder(tmp_path)
    with pytest.raises(CredentialsError) as caught:
        AwsSession("other", aws, "us-east-1").frozen_credentials()
    assert "profile other" in caught.value.message
    assert str(aws) in caught.value.message
    assert "aws configure --profile other" in caught.value.hint


def test_a_profile_without_keys_never_asks_the_metadata_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = folder(tmp_path)
    (aws / "credentials").unlink()
    # Were it asked, this would be where.
    with socket.create_server(("127.0.0.1", 0)) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{service.getsockname()[1]}/")
        with pytest.raises(CredentialsError) as caught:
            AwsSession("mine", aws, "us-east-1").client("sts")
        service.setblocking(False)
        with pytest.raises(BlockingIOError):
            service.accept()
    assert "no credentials for profile mine" in caught.value.message


def test_half_a_key_pair_is_a_credentials_error(tmp_path: Path) -> None:
    aws = folder(tmp_path, keys="aws_access_key_id = AKMINE\n")
    with pytest.raises(CredentialsError):
        AwsSession("mine", aws, "us-east-1").client("sts")


def test_no_region_anywhere_says_where_to_set_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    aws = folder(tmp_path)
    (aws / "config").write_text("[profile mine]\n")
    with pytest.raises(CredentialsError) as caught:
        AwsSession("mine", aws, "").client("sts")
    assert "platform.yaml" in caught.value.hint


def test_a_refused_connection_is_told_at_once(
    tmp_path: Path, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{unused_port}"
    compute = AwsCompute(AwsSession("mine", folder(tmp_path, url), "us-east-1"), ManualClock())
    # The pauses between the SDK's tries.
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append, time=time.time))
    with pytest.raises(UnreachableError) as caught:
        compute.caller()
    assert pauses == []
    assert url in caught.value.message
    assert "hcluster local start" in caught.value.hint


def test_a_private_endpoint_is_reached_past_the_web_proxy(
    tmp_path: Path, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    session = AwsSession("mine", folder(tmp_path, "http://10.64.0.1:4566"), "us-east-1")
    assert session.client("sts").meta.config.proxies == {}
    public = tmp_path / "public"
    public.mkdir()
    session = AwsSession("mine", folder(public, "http://ec2.example.com"), "us-east-1")
    assert session.client("sts").meta.config.proxies is None


def test_the_sdks_descriptions_are_read_whole_and_in_their_order(tmp_path: Path) -> None:
    """Against the SDK's own loader: the quicker one may leave nothing out."""
    from botocore.loaders import Loader

    from hcluster.aws.models import ServiceModels

    ours, theirs = ServiceModels(), Loader()
    for service in ("sts", "ec2-instance-connect", "pricing"):
        assert ours.determine_latest_version(service, "service-2") == theirs.determine_latest_version(
            service, "service-2"
        )
        for kind in ("service-2", "paginators-1"):
            found, wanted = ours.load_service_model(service, kind), theirs.load_service_model(service, kind)
            assert json.dumps(found) == json.dumps(wanted)
    assert set(ours.list_available_services("service-2")) >= set(theirs.list_available_services("service-2"))
    session = AwsSession("mine", folder(tmp_path), "us-east-1")
    assert callable(session.client("sts").get_caller_identity)
    with pytest.raises(CloudError, match="nosuch"):
        session.client("nosuch")


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-22T06:46:17.000Z",
        "2026-11-22T06:46:17Z",
        "2026-11-22T06:46:17.123+02:00",
        "2026-11-22T06:46:17",
        "2026-11-22",
        "20261122T064617Z",
        "Sun, 22 Nov 2026 06:46:17 GMT",
        "1795329977",
        1795329977,
        1795329977.5,
    ],
)
def test_moments_are_read_as_the_sdk_reads_them(told: object) -> None:
    from botocore.utils import parse_timestamp

    from hcluster.aws.session import _moment

    assert _moment(told) == parse_timestamp(told)
    assert _moment(told).utcoffset() == parse_timestamp(told).utcoffset()


def test_what_is_no_moment_is_an_error_as_with_the_sdk() -> None:
    from hcluster.aws.session import _moment

    with pytest.raises(ValueError, match="Invalid timestamp"):
        _moment("tomorrow")
