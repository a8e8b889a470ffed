"""What a run of the contract suite on a real account may cost at most, told before it begins.

Nothing here asks AWS: prices are the public on-demand ones of us-east-1, rounded up to hold for every region.
``python -m tests.contract.aws.spend`` prints the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

INSTANCES = 60
"""The account refuses to launch more in one run."""
INSTANCE_TYPE = "t3.micro"
MINUTES = 30
"""What each instance lives at most; most live for less than two minutes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One kind of thing: ``count`` of ``unit`` at ``price`` US dollars each."""

    what: str
    count: float
    unit: str
    price: float

    @property
    def cost(self) -> float:
        """US dollars, at most."""
        return self.count * self.price


ITEMS: Sequence[Item] = (
    Item(f"EC2 instances ({INSTANCES} x {INSTANCE_TYPE} or smaller)", INSTANCES * MINUTES / 60, "hours", 0.0168),
    Item("EBS volumes, 8 GiB with each instance and a few more", 10 * (INSTANCES + 20) / 730, "GiB-months", 0.12),
    Item("EBS snapshots of images, deleted at the end", 20 / 730, "GiB-months", 0.06),
    Item("S3 writes and listings", 3000, "requests", 0.000007),
    Item("S3 reads", 3000, "requests", 0.0000006),
    Item("EventBridge and SQS", 1000, "messages", 0.000002),
)


def bound(items: Sequence[Item] = ITEMS) -> float:
    """US dollars that a run costs at most."""
    return sum(item.cost for item in items)


def table(profile: str, region: str, items: Sequence[Item] = ITEMS) -> str:
    """What is made at most and what it costs, for a person."""
    head = (
        f"The contract suite on the account of profile {profile}, region {region or 'of the profile'}, makes at most:"
    )
    rows = [f"  {item.what:<58} {item.count:>8.1f} {item.unit:<10} {item.cost:>8.3f} USD" for item in items]
    foot = [
        f"  {'together at most':<77} {bound(items):>8.2f} USD",
        "IAM, STS, launch templates, fleets, DryRun calls, security groups and interfaces cost nothing.",
        "All of it carries one tag or name prefix, and is removed at the end, also after failures.",
    ]
    return "\n".join([head, *rows, *foot])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="make contract-aws", description=__doc__)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--region", default="")
    options = parser.parse_args(arguments)
    print(table(options.profile, options.region))  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
