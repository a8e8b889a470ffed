"""awscli and Packer on the same account: what people and bakes use beside the SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.contract.aws.account import Account
from tests.contract.aws.conftest import Later
from tests.contract.aws.test_images import make_image

AWS = Path(sys.executable).parent / "aws"


class Cli:
    """The command ``aws``, as the account's caller."""

    def __init__(self, account: Account, folder: Path) -> None:
        frozen = account.session.get_credentials().get_frozen_credentials()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_DEFAULT_REGION": account.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        if frozen.token:
            self._environment["AWS_SESSION_TOKEN"] = frozen.token
        if account.endpoint:
            self._environment["AWS_ENDPOINT_URL"] = account.endpoint

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it; the exit code must be ``code``."""
        done = subprocess.run(
            [str(AWS), *words], env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done

    def json(self, *words: str) -> Any:
        """What it answers, as JSON."""
        return json.loads(self.run(*words, "--output", "json").stdout)


@pytest.fixture
def cli(account: Account, tmp_path: Path) -> Cli:
    """The command, with a home of its own."""
    return Cli(account, tmp_path)


def test_the_command_line_knows_who_it_is(account: Account, cli: Cli) -> None:
    """One endpoint for all services.

    docs.aws.amazon.com/cli/latest/userguide/cli-configure-endpoints.html
    """
    assert cli.json("sts", "get-caller-identity")["Account"] == account.id


def test_the_command_line_finds_an_instance_by_filter_and_query(account: Account, cli: Cli, running: str) -> None:
    """As the cures in our messages do.

    docs.aws.amazon.com/cli/latest/userguide/cli-usage-filter.html
    """
    tag = account.tags[0]
    found = cli.json(
        "ec2",
        "describe-instances",
        "--filters",
        f"Name=tag:{tag['Key']},Values={tag['Value']}",
        "Name=instance-state-name,Values=running",
        "--query",
        "Reservations[].Instances[].InstanceId",
    )
    assert running in found


def test_the_command_line_waits_for_an_instance_to_end(account: Account, cli: Cli) -> None:
    """Its waiters poll the same descriptions.

    docs.aws.amazon.com/cli/latest/reference/ec2/wait/instance-terminated.html
    """
    one = account.run(InstanceType="t3.nano")["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    cli.run("ec2", "terminate-instances", "--instance-ids", one)
    cli.run("ec2", "wait", "instance-terminated", "--instance-ids", one)
    assert account.state(one) == "terminated"


def test_the_command_line_ends_with_255_and_the_services_words_when_it_is_refused(cli: Cli) -> None:
    """The code in parentheses. (The second version of the command ends with 254.)

    docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
    """
    done = cli.run("ec2", "describe-instances", "--instance-ids", "i-0badbadbadbadbad0", code=255)
    assert "(InvalidInstanceID.NotFound)" in done.stderr
    done = cli.run(
        "s3api", "get-object", "--bucket", "no-such-bucket-of-anybody-0", "--key", "k", "/dev/null", code=255
    )
    assert "(NoSuchBucket)" in done.stderr


@pytest.mark.slow
def test_the_command_line_copies_lists_and_removes_files(
    account: Account, cli: Cli, bucket: str, tmp_path: Path
) -> None:
    """Large ones in parts.

    docs.aws.amazon.com/cli/latest/reference/s3/cp.html
    """
    (tmp_path / "large").write_bytes(os.urandom(9 << 20))
    cli.run("s3", "cp", "--quiet", str(tmp_path / "large"), f"s3://{bucket}/cli/large")
    assert account.s3.head_object(Bucket=bucket, Key="cli/large")["ETag"].endswith('-2"')
    cli.run("s3", "cp", "--quiet", f"s3://{bucket}/cli/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    assert f"{9 << 20} large" in cli.run("s3", "ls", f"s3://{bucket}/cli/").stdout
    cli.run("s3", "rm", "--quiet", "--recursive", f"s3://{bucket}/cli/")
    assert cli.run("s3", "ls", f"s3://{bucket}/cli/", code=1).stdout == ""


def test_the_command_line_synchronizes_a_folder(account: Account, cli: Cli, bucket: str, tmp_path: Path) -> None:
    """Only what has changed goes up, and what is gone here goes there.

    docs.aws.amazon.com/cli/latest/reference/s3/sync.html
    """
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
        # S3 tells whole seconds: a file of this second looks newer than its copy.
        os.utime(folder / name, (made := time.time() - 3600, made))
    target = f"s3://{bucket}/synced/"
    assert cli.run("s3", "sync", "--no-progress", str(folder), target).stdout.count("upload:") == 2
    assert cli.run("s3", "sync", "--no-progress", str(folder), target).stdout == ""
    (folder / "a").unlink()
    assert cli.run("s3", "sync", "--no-progress", "--delete", str(folder), target).stdout.count("delete:") == 1
    listed = account.s3.list_objects_v2(Bucket=bucket, Prefix="synced/")["Contents"]
    assert [one["Key"] for one in listed] == ["synced/b"]


def test_the_command_line_removes_an_image_as_our_messages_say(
    account: Account, cli: Cli, running: str, later: Later
) -> None:
    """With its snapshots.

    docs.aws.amazon.com/cli/latest/reference/ec2/deregister-image.html
    """
    image = make_image(account, running, later)
    cli.run("ec2", "deregister-image", "--image-id", image, "--delete-associated-snapshots")
    found = account.ec2.describe_images(Filters=[{"Name": "image-id", "Values": [image]}])["Images"]
    assert found == []


TEMPLATE = """
variable "image" { type = string }
source "amazon-ebs" "contract" {
  region                     = "%(region)s"
  %(endpoint)s
  skip_region_validation     = true
  skip_metadata_api_check    = true
  skip_credential_validation = true
  source_ami                 = var.image
  instance_type              = "t3.micro"
  ssh_username               = "admin"
  ami_name                   = "%(name)s"
}
build { sources = ["source.amazon-ebs.contract"] }
"""


@pytest.mark.skipif(not shutil.which("packer"), reason="packer is not installed")
def test_packer_takes_the_account_as_it_is(account: Account, cli: Cli, tmp_path: Path) -> None:
    """It reads the template and finds the source image; a build on real nodes is with the tests of those.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/creating-an-ami-ebs.html
    """
    endpoint = f'custom_endpoint_ec2 = "{account.endpoint}"' if account.endpoint else ""
    file = tmp_path / "contract.pkr.hcl"
    file.write_text(TEMPLATE % {"region": account.region, "endpoint": endpoint, "name": account.name("packer")})
    environment = cli._environment | {"CHECKPOINT_DISABLE": "1"}
    for image, good in ((account.image, True), ("", False)):
        done = subprocess.run(
            ["packer", "validate", f"-var=image={image}", str(file)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode == 0) is good, done.stdout + done.stderr
