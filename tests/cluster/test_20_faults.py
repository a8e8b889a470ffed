"""What goes wrong, on real nodes: each gives one clear error, loses nothing and leaks nothing."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from hcluster.model import names
from tests.cluster.conftest import BUCKET, SMALL, Cloud, Hcluster, spec


@pytest.mark.usefixtures("platform")
def test_a_failing_script_fails_the_launch_and_the_cured_spec_continues_it(
    hcluster: Hcluster, cloud: Cloud, tmp_path: Path
) -> None:
    before = cloud.inventory()
    bad = {"name": "tools", "script": "#!/bin/sh\necho cannot find the tools >&2\nexit 7\n"}
    failed = hcluster("up", spec(tmp_path, "scripted", **SMALL, bootstrap=[bad]), code=1)
    assert "bootstrap script tools failed with exit code 7" in failed.stderr
    assert "cannot find the tools" in failed.stderr
    assert "hcluster down scripted" in failed.stderr
    good = {"name": "tools", "script": "#!/bin/sh\necho fine > /run/tools\n"}
    hcluster("up", spec(tmp_path, "scripted", **SMALL, bootstrap=[good]))
    said = hcluster.json("exec", "scripted", "--", "cat", "/run/tools")
    assert [node["stdout"].strip() for node in said] == ["fine", "fine"]
    hcluster("down", "scripted", "--yes")
    assert cloud.inventory() == before
    again = hcluster("down", "scripted", "--yes")
    assert again.returncode == 0


@pytest.mark.usefixtures("platform")
def test_a_release_with_another_digest_is_never_applied(hcluster: Hcluster, cloud: Cloud, tmp_path: Path) -> None:
    before = cloud.inventory()
    client = cloud.client("s3")
    pointer = client.get_object(Bucket=BUCKET, Key=names.channel_key("stable"))["Body"].read()
    key = names.release_key(json.loads(pointer)["digest"])
    body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key, Body=body + b"tampered")
    try:
        failed = hcluster("up", spec(tmp_path, "tampered", **SMALL), code=1)
    finally:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert "has another digest than this node's user-data says" in failed.stderr
    assert key in failed.stderr
    hcluster("down", "tampered", "--yes")
    assert cloud.inventory() == before


@pytest.mark.usefixtures("platform")
def test_a_node_that_never_reports_is_named_after_the_deadline(
    hcluster: Hcluster, cloud: Cloud, tmp_path: Path
) -> None:
    before = cloud.inventory()
    client = cloud.client("ec2")
    base = client.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]["ImageId"]
    failed = hcluster("up", spec(tmp_path, "silent", **SMALL, image=base), "--timeout", "20", code=1)
    assert "never heard of" in failed.stderr
    assert "2 of 2 nodes" in failed.stderr
    hcluster("down", "silent", "--yes")
    assert cloud.inventory() == before


@pytest.mark.usefixtures("platform")
def test_up_killed_in_each_phase_continues_and_down_leaves_nothing(
    hcluster: Hcluster, cloud: Cloud, tmp_path: Path
) -> None:
    """Killed after the claim, the launch call and the configuration, interrupted while nodes boot: one launch in all.

    That it goes on from every single call is shown on the in-memory cloud, by tests/unit/test_flows.py.
    """
    before = cloud.inventory()
    file = spec(tmp_path, "killed", **SMALL)
    hcluster.until("killed of team", "up", file, sent=signal.SIGKILL)
    first = hcluster.json("show", "killed")["launch"]
    hcluster.until("launched 2 nodes", "up", file, sent=signal.SIGKILL)
    code, said = hcluster.until("booted", "up", file, sent=signal.SIGINT)
    assert code == 130
    assert "hcluster down killed" in said
    hcluster.until("configured", "up", file, sent=signal.SIGKILL)
    hcluster("up", file)
    shown = hcluster.json("show", "killed")
    assert (shown["launch"], shown["state"], len(shown["nodes"])) == (first, "ready", 2)
    hcluster.until("terminating nodes", "down", "killed", "--yes", sent=signal.SIGKILL)
    refused = hcluster("up", file, code=1)
    assert "is being taken down" in refused.stderr
    hcluster("down", "killed", "--yes")
    assert cloud.inventory() == before


@pytest.mark.usefixtures("platform")
def test_down_works_from_tags_alone(hcluster: Hcluster, cloud: Cloud, tmp_path: Path) -> None:
    before = cloud.inventory()
    hcluster.until("launched 2 nodes", "up", spec(tmp_path, "tagged", **SMALL), sent=signal.SIGKILL)
    cloud.client("s3").delete_object(Bucket=BUCKET, Key=names.spec_key("tagged"))
    hcluster("down", "tagged", "--yes")
    assert cloud.inventory() == before


def test_wrong_things_are_refused_before_anything_is_launched(
    hcluster: Hcluster, cloud: Cloud, platform: dict[str, Any], tmp_path: Path
) -> None:
    assert platform["metastore_uri"]
    before = cloud.inventory()
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text("name: x\nteam: analytics\nlifetim: 4h\n")
    assert f"{unknown}:3" in hcluster("up", unknown, code=2).stderr
    other = hcluster("up", spec(tmp_path, "other", team="science"), code=1)
    assert "HCLUSTER_TEAM=science" in other.stderr
    channel = hcluster("up", spec(tmp_path, "nochannel", puppet={"channel": "nightly"}), code=1)
    assert "hcluster puppet publish --channel nightly" in channel.stderr
    missing = hcluster("up", spec(tmp_path, "noimage", image="spark"), code=1)
    assert "hcluster ami bake" in missing.stderr
    assert cloud.inventory() == before
