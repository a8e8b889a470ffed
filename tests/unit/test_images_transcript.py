"""Packer's machine-readable output as steps for people."""

from __future__ import annotations

from hcluster.images.transcript import Transcript

LINES = """\
1700000000,,ui,say,==> amazon-ebs.hadoop: Launching a source AWS instance...
1700000000,,ui,message,    amazon-ebs.hadoop: Instance ID: i-0123
1700000000,,ui,message,    amazon-ebs.hadoop: ## puppet apply%!(PACKER_COMMA) role::image
1700000000,,ui,message,    amazon-ebs.hadoop: Notice: Applied\\nNotice: Done
1700000000,,ui,error,==> amazon-ebs.hadoop: it broke%!(PACKER_COMMA) sorry
1700000000,amazon-ebs.hadoop,artifact,0,id,us-east-1:ami-0abc
panic: at the disco
"""


def test_steps_are_what_packer_says_and_what_our_scripts_mark() -> None:
    transcript = Transcript()
    steps = [transcript.step for line in LINES.splitlines() if transcript.feed(line)]
    assert steps == ["Launching a source AWS instance...", "puppet apply, role::image"]


def test_the_context_has_the_last_messages_and_every_error() -> None:
    transcript = Transcript()
    for line in LINES.splitlines():
        transcript.feed(line)
    assert transcript.errors == ["it broke, sorry"]
    assert transcript.context().splitlines()[-4:] == [
        "Notice: Applied",
        "Notice: Done",
        "it broke, sorry",
        "panic: at the disco",
    ]


def test_the_image_is_taken_from_the_artifact() -> None:
    transcript = Transcript()
    for line in LINES.splitlines():
        transcript.feed(line)
    assert transcript.image == "ami-0abc"
