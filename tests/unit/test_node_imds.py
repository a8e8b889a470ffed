"""What a node makes of its metadata service."""

from __future__ import annotations

import pytest

from hcluster.errors import NodeFailedError, UnreachableError
from hcluster.node.imds import Imds

ANSWERS = {
    "meta-data/instance-id": "i-0abc",
    "meta-data/instance-type": "m5.large",
    "meta-data/local-ipv4": "10.64.16.5",
    "meta-data/local-hostname": "ip-10-64-16-5.ec2.internal ip-10-64-16-5.example.com",
    "meta-data/placement/availability-zone": "us-east-1a",
    "user-data": "{}",
    "meta-data/tags/instance/hcluster:told": "a-b\n",
}


class Scripted(Imds):
    def __init__(self, faults: int = 0, **changes: str) -> None:
        super().__init__()
        self.faults = faults
        self.answers = ANSWERS | {f"meta-data/{name.replace('_', '-')}": text for name, text in changes.items()}

    def get(self, path: str) -> str:
        if path.endswith("local-ipv4") and self.faults:
            self.faults -= 1
            raise UnreachableError("not yet")
        return self.answers[path]


def test_the_first_of_several_names_is_the_nodes() -> None:
    found = Scripted().identity()
    assert (found.hostname, found.told) == ("ip-10-64-16-5.ec2.internal", "a-b")


def test_a_machine_without_a_private_name_is_a_clear_error() -> None:
    with pytest.raises(NodeFailedError, match="no local-hostname for this machine"):
        Scripted(local_hostname="").identity()


def test_a_service_that_fails_in_the_middle_is_asked_again() -> None:
    assert Scripted(faults=2).identity().ip == "10.64.16.5"
    with pytest.raises(UnreachableError):
        Scripted(faults=1000).identity(deadline_seconds=0.1)
