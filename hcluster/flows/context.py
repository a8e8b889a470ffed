"""What every flow is given: the ports, the caller, the platform and where progress goes."""

from __future__ import annotations

from dataclasses import dataclass

from hcluster.model.events import Report, silent
from hcluster.model.principal import Principal
from hcluster.ports import Account, Catalog, CheckIns, Clock, Compute, Connector, Images, ObjectStore, Prices
from hcluster.spec.platform import PlatformSpec


@dataclass(frozen=True)
class Context:
    """Ports and identity of one call; made by ``cli/wire.py`` alone."""

    platform: PlatformSpec
    principal: Principal
    compute: Compute
    account: Account
    prices: Prices
    images: Images
    store: ObjectStore
    checkins: CheckIns
    connector: Connector
    catalog: Catalog
    clock: Clock
    report: Report = silent
    command: str = ""
    """The verb that the caller used, such as `hcluster up`; written down with what it did."""
