"""Packer on the local cloud: an image of the base image, made by the amazon-ebs builder as on AWS."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.cluster.conftest import Cloud, wait_until

TEMPLATE = """
source "amazon-ebs" "small" {
  region                      = "us-east-1"
  custom_endpoint_ec2         = "%(endpoint)s"
  skip_region_validation      = true
  skip_metadata_api_check     = true
  skip_credential_validation  = true
  source_ami_filter {
    filters     = { name = "debian-12-amd64-*" }
    owners      = ["136693071363"]
    most_recent = true
  }
  instance_type               = "t3.micro"
  associate_public_ip_address = false
  ssh_interface               = "private_ip"
  ssh_username                = "admin"
  ami_name                    = "%(name)s"
  tags                        = { made = "by packer" }
  aws_polling {
    delay_seconds = 1
    max_attempts  = 120
  }
}
build {
  sources = ["source.amazon-ebs.small"]
  provisioner "shell" { inline = ["echo was here | sudo tee /etc/was-here"] }
}
"""


def test_packer_makes_an_image_of_the_base_image_and_leaves_nothing_else(cloud: Cloud, tmp_path: Path) -> None:
    ec2 = cloud.client("ec2")
    name = f"packer-{os.getpid()}"
    before = cloud.inventory()
    (tmp_path / "small.pkr.hcl").write_text(TEMPLATE % {"endpoint": ec2.meta.endpoint_url, "name": name})
    done = subprocess.run(
        ["packer", "build", "-color=false", str(tmp_path / "small.pkr.hcl")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_SHARED_CREDENTIALS_FILE": str(cloud.aws / "credentials"),
            "AWS_CONFIG_FILE": str(cloud.aws / "config"),
            "AWS_PROFILE": f"hcluster-{cloud.name}",
            "CHECKPOINT_DISABLE": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    (image,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    try:
        assert image["State"] == "available"
        assert {"Key": "made", "Value": "by packer"} in image["Tags"]
        wait_until("nothing else is left", lambda: cloud.inventory() == before)
        assert not [pair for pair in ec2.describe_key_pairs()["KeyPairs"] if pair["KeyName"].startswith("packer")]
    finally:
        ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
