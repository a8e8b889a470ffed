"""The one composition root: joins adapters, ports and flows."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hcluster.model.events import Report, silent

if TYPE_CHECKING:
    from hcluster.aws.session import AwsSession
    from hcluster.cli.config import CliState
    from hcluster.flows.context import Context
    from hcluster.spec.platform import PlatformSpec


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


def session(platform: PlatformSpec) -> AwsSession:
    """The AWS session of a platform."""
    from hcluster.aws.session import AwsSession
    from hcluster.cli.config import state_folder

    directory = Path(platform.aws.directory) if platform.aws.directory else None
    return AwsSession(platform.aws.profile, directory, platform.region, state_folder() / "sdk")


def context(state: CliState, report: Report = silent) -> Context:
    """Everything a flow needs, for the platform and the caller of this command; no call is made yet."""
    from hcluster.aws.account import AwsAccount
    from hcluster.aws.checkins import StoredCheckIns
    from hcluster.aws.compute import AwsCompute
    from hcluster.aws.images import AwsImages
    from hcluster.aws.objects import S3ObjectStore
    from hcluster.aws.prices import AwsPrices
    from hcluster.cli import config
    from hcluster.flows.context import Context
    from hcluster.metastore.registry import MetastoreCatalog
    from hcluster.remote.connector import SshConnector
    from hcluster.spec.load import load_platform

    platform = load_platform(config.platform_file(state))
    aws = session(platform)
    clock = SystemClock()
    compute = AwsCompute(aws, clock)
    store = S3ObjectStore(aws, platform.bucket, clock)
    checkins = StoredCheckIns(store)

    @cache
    def cidrs() -> tuple[str, ...]:
        wanted = platform.network.vpc
        found = compute.default_network() if wanted == "default" else compute.network(wanted)
        return found[1] if found else ()

    return Context(
        platform=platform,
        principal=config.principal(state, lambda: compute.caller()[1]),
        compute=compute,
        account=AwsAccount(aws, clock),
        prices=AwsPrices(aws, clock),
        images=AwsImages(aws, clock),
        store=store,
        checkins=checkins,
        connector=SshConnector(
            checkins=checkins,
            compute=compute,
            clock=clock,
            network_cidrs=cidrs,
            ssh_user=platform.network.ssh_user,
            bastion=platform.network.bastion,
        ),
        catalog=MetastoreCatalog(),
        clock=clock,
        report=report,
    )
