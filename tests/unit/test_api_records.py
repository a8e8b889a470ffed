"""What a stop and a start keep."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api import lifecycle
from tests.unit.api_cloud import BASE, Cloud, FakeMachines, running_cloud, until


def _fill(cloud: Cloud) -> dict[str, str]:
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"kept")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    etag = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    running, stopped, ended = cloud.run(3, ClientToken="three")
    ec2.stop_instances(InstanceIds=[stopped])
    cloud.wait([stopped], "stopped")
    image = ec2.create_image(InstanceId=stopped, Name="kept")["ImageId"]
    until(lambda: ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available", "the image")
    ec2.terminate_instances(InstanceIds=[ended])
    cloud.wait([ended], "terminated")
    return {"running": running, "stopped": stopped, "ended": ended, "image": image, "upload": upload, "etag": etag}


def test_a_stop_and_a_start_keep_everything_and_boot_what_ran(tmp_path: Path) -> None:
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        keys, made = cloud.keys, _fill(cloud)
        address = cloud.describe(made["running"])["PrivateIpAddress"]
    assert not machines.running, "a stop powers all machines off"
    with running_cloud(tmp_path, machines) as cloud:
        assert cloud.keys == keys
        cloud.server.resume()
        cloud.wait([made["running"]], "running")
        assert machines.running[made["running"]].private_ip == address
        assert cloud.describe(made["stopped"])["State"]["Name"] == "stopped"
        assert made["stopped"] not in machines.running
        s3 = cloud.client("s3")
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"
        parts = [{"PartNumber": 1, "ETag": made["etag"]}]
        s3.complete_multipart_upload(
            Bucket="bucket", Key="parts", UploadId=made["upload"], MultipartUpload={"Parts": parts}
        )
        assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == b"part"
        assert cloud.run(1, ImageId=made["image"])
        assert cloud.run(3, ClientToken="three", wait="")[0] == made["running"], "client tokens are remembered"
        addresses = {cloud.describe(i)["PrivateIpAddress"] for i in (made["running"], made["stopped"], cloud.run(1)[0])}
        assert len(addresses) == 3
        cloud.client("ec2").terminate_instances(InstanceIds=[made["running"], made["stopped"]])
        cloud.wait([made["running"], made["stopped"]], "terminated")


def test_what_a_crash_left_half_done_is_finished(tmp_path: Path) -> None:
    """The records of a killed cloud: instances that were pending, stopping and shutting down."""
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        pending, stopping, ending = cloud.run(3)
        for instance, state in ((pending, "pending"), (stopping, "stopping"), (ending, "shutting-down")):
            cloud.server._backend.by_id[instance].become(state)
        orphan = cloud.settings.folder / "records/objects/ab/abandoned"
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"written, but never recorded")
    with running_cloud(tmp_path, machines) as cloud:
        assert not orphan.exists()
        cloud.server.resume()
        cloud.wait([pending], "running")
        cloud.wait([stopping], "stopped")
        cloud.wait([ending], "terminated")
        assert ending not in machines.roots


def test_records_that_cannot_be_read_name_the_cure(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        path = cloud.settings.folder / "records/control.sqlite"
    path.write_bytes(b"torn" * 1000)
    with pytest.raises(LocalCloudError, match="cannot be read") as error, running_cloud(tmp_path):
        pass
    assert "reset" in error.value.hint


def test_terminated_instances_are_forgotten_after_an_hour(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        ids = cloud.run(1, InstanceMarketOptions={"MarketType": "spot"})
        cloud.client("ec2").terminate_instances(InstanceIds=ids)
        cloud.wait(ids, "terminated")
        cloud.server.save()
        assert cloud.describe(ids[0])["State"]["Name"] == "terminated"
        from datetime import timedelta

        gone = cloud.server._backend.by_id[ids[0]]
        assert gone.ended is not None
        gone.ended -= timedelta(hours=2)
        cloud.server.save()
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            cloud.describe(ids[0])
        assert not cloud.server._backend.tokens, "nor are their client tokens kept"
        assert cloud.client("ec2").describe_tags()["Tags"] == []
        assert cloud.client("ec2").describe_spot_instance_requests()["SpotInstanceRequests"] == []


def test_a_machine_that_ends_by_itself_ends_its_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "WATCH", 0.05)
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        kept, gone = cloud.run(1)[0], cloud.run(1, InstanceInitiatedShutdownBehavior="terminate")[0]
        machines.running.clear()
        cloud.wait([kept], "stopped")
        cloud.wait([gone], "terminated")
        assert cloud.describe(gone)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
        assert cloud.server.counts() == {"stopped": 1, "terminated": 1}


def test_a_hundred_instances_are_described_quickly_and_saved_small(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        ids = cloud.run(100, wait="")
        found = cloud.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
        assert [i["ImageId"] for r in found for i in r["Instances"]] == [BASE] * 100
        cloud.server.save()
        assert sum(p.stat().st_size for p in cloud.settings.folder.glob("records/control.sqlite*")) < 2_000_000


def test_the_records_of_an_earlier_version_are_taken_over(tmp_path: Path) -> None:
    """They were one pickle of the backends."""
    with running_cloud(tmp_path) as cloud:
        made = _fill(cloud)
        cloud.client("iam").create_user(UserName="kept")
        with cloud.server._lock:
            document = pickle.dumps({"format": 1, "records": cloud.server._keeper._control.backends})
        records = cloud.settings.folder / "records"
    for path in records.glob("control.sqlite*"):
        path.unlink()
    (records / "control.pickle").write_bytes(document)
    for _ in range(2):
        with running_cloud(tmp_path) as cloud:
            cloud.server.save()
            assert cloud.describe(made["stopped"])["State"]["Name"] == "stopped"
            assert cloud.describe(made["running"])["PrivateIpAddress"]
            assert cloud.client("iam").get_user(UserName="kept")
        assert not (records / "control.pickle").exists(), "it is rows now"
    (records / "control.pickle").write_bytes(b"torn")
    (records / "control.sqlite").unlink()
    with pytest.raises(LocalCloudError, match="cannot be read") as error, running_cloud(tmp_path):
        pass
    assert "reset" in error.value.hint
