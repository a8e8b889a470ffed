"""A dump that is asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hcluster.errors import RemoteCommandError
from hcluster.metastore.registry import MetastoreCatalog
from hcluster.model.node import Instance
from hcluster.testing import FakeConnector

NODE = Instance("i-1", "running", "10.0.0.7", "", "t3.large", "us-east-1a", "on-demand", "ami-1", datetime.now(UTC))


def test_the_node_is_asked_to_write_it_by_its_own_role() -> None:
    connector = FakeConnector()
    MetastoreCatalog().dump(connector.connect(NODE, "platform"))
    assert connector.commands == [("i-1", "sudo hcluster-node dump")]


def test_a_dump_that_fails_says_why() -> None:
    connector = FakeConnector(responder=lambda _node, _line: (1, b"", b"no database metastore"))
    with pytest.raises(RemoteCommandError, match="could not be dumped") as raised:
        MetastoreCatalog().dump(connector.connect(NODE, "platform"))
    assert raised.value.exit_code == 1
    assert raised.value.context == "no database metastore"
