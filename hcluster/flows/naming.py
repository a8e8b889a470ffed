"""Clusters by the beginning of their names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import partial

from hcluster.errors import NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.records import read_claim
from hcluster.model.names import PLATFORM_CLUSTER

MOST = 50
"""Of the names that begin alike: whose claims are looked at."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a name that no cluster has may stand for."""

    begin: tuple[str, ...]
    """Names that begin with it: of clusters that are claimed; when there are none, of clusters that have ended."""
    near: str = ""
    """Of a claimed cluster, the name most like it when none begins with it; "" when none is."""


def meant(ctx: Context, given: str) -> Meant:
    """Which clusters a name may stand for: one listing, and one call for each name that begins with it.

    To be asked after the cloud said that no cluster has exactly this name, so that whole names cost nothing.
    """
    try:
        every = [name for name in ctx.store.folders("clusters/") if name not in (given, PLATFORM_CLUSTER)]
    except NotFoundError:
        return Meant(())
    begin = [name for name in every if given and name.startswith(given)][:MOST]
    living = _claimed(ctx, begin)
    if begin:
        return Meant(living or tuple(begin))
    return Meant((), next(iter(_claimed(ctx, difflib.get_close_matches(given, every, n=1))), ""))


def _claimed(ctx: Context, names: list[str]) -> tuple[str, ...]:
    held = gather([partial(read_claim, ctx.store, name) for name in names])
    return tuple(name for name, one in zip(names, held, strict=True) if one)
