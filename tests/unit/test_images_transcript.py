"""Packer's machine-readable output as steps for people."""

from __future__ import annotations

from hcluster.images.transcript import Transcript

LINES = """\
1700000000,,ui,say,==> amazon-ebs.hadoop: Launching a source AWS instance...
1700000000,,ui,say,==> amazon-ebs.hadoop: Uploading /a => /b
1700000000,,ui,say,\\n==> Wait completed after 1 second
1700000000,,ui,message,    amazon-ebs.hadoop: Instance ID: i-0123
1700000000,,ui,message,    amazon-ebs.hadoop: ## puppet apply%!(PACKER_COMMA) role::image
1700000000,,ui,message,    amazon-ebs.hadoop: Notice: Applied\\nNotice: Done
1700000000,,ui,error,==> amazon-ebs.hadoop: debconf: a word of warning on stderr
1700000000,,ui,message,    amazon-ebs.hadoop: ## checking
1700000000,,ui,error,==> amazon-ebs.hadoop: it broke%!(PACKER_COMMA) sorry
1700000000,,ui,error,==> amazon-ebs.hadoop: Provisioning step had errors: Running the cleanup provisioner
1700000000,,ui,say,==> amazon-ebs.hadoop: Terminating the source AWS instance...
1700000000,amazon-ebs.hadoop,artifact,0,id,us-east-1:ami-0abc
panic: at the disco
"""


def test_steps_are_what_packer_says_and_what_our_scripts_mark() -> None:
    transcript = Transcript()
    steps = [transcript.step for line in LINES.splitlines() if transcript.feed(line)]
    assert steps == ["Launching a source AWS instance...", "puppet apply, role::image", "checking"]


def test_the_context_ends_with_what_went_before_the_failure_not_with_the_cleaning_up() -> None:
    transcript = Transcript()
    for line in LINES.splitlines():
        transcript.feed(line)
    assert transcript.step == "checking"
    assert transcript.errors == ["Provisioning step had errors: Running the cleanup provisioner"]
    assert transcript.context().splitlines()[-4:] == [
        "## checking",
        "it broke, sorry",
        "panic: at the disco",
        *transcript.errors,
    ]


def test_the_image_is_taken_from_the_artifact() -> None:
    transcript = Transcript()
    for line in LINES.splitlines():
        transcript.feed(line)
    assert transcript.image == "ami-0abc"
