"""Stateful stand-ins for every port, for tests of flows without a cloud; the contract suite holds them to the adapters.

``FakeCloud`` joins them. There is no reset: each test makes its own.
"""

from hcluster.testing.catalog import InMemoryCatalog
from hcluster.testing.clock import ManualClock
from hcluster.testing.cloud import FakeCloud
from hcluster.testing.compute import InMemoryCompute
from hcluster.testing.images import InMemoryImages
from hcluster.testing.objects import InMemoryCheckIns, InMemoryObjectStore
from hcluster.testing.prices import InMemoryPrices
from hcluster.testing.probes import Crash, CrashPoint
from hcluster.testing.remote import FakeConnector, FakeRemote
from hcluster.testing.script import NodeScript

__all__ = [
    "Crash",
    "CrashPoint",
    "FakeCloud",
    "FakeConnector",
    "FakeRemote",
    "InMemoryCatalog",
    "InMemoryCheckIns",
    "InMemoryCompute",
    "InMemoryImages",
    "InMemoryObjectStore",
    "InMemoryPrices",
    "ManualClock",
    "NodeScript",
]
