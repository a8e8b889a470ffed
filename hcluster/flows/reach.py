"""Find nodes and run commands on them."""

from __future__ import annotations

from collections.abc import Sequence

from hcluster.errors import HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.waiting import platform_tag
from hcluster.model.names import TAG_CLUSTER, TAG_GROUP
from hcluster.model.node import Instance


def alive(ctx: Context, name: str) -> list[Instance]:
    """The nodes of a cluster that are booting or running, the master first.

    Raises:
        NotFoundError: there is none.
    """
    found = ctx.compute.instances({**platform_tag(ctx), TAG_CLUSTER: name})
    if not found:
        raise NotFoundError(
            f"no cluster {name} is running on platform {ctx.platform.name}",
            hint="`hcluster list` shows what runs, `hcluster up FILE` starts a cluster",
            reference="no-cluster",
        )
    order = ("master", "platform", "core", "task")
    return sorted(found, key=lambda node: (order.index(node.tags.get(TAG_GROUP, "task")), node.private_ip))


def master(ctx: Context, name: str) -> Instance:
    """The master of a cluster (of ``platform``: its node).

    Raises:
        NotFoundError: the cluster has none.
    """
    first = alive(ctx, name)[0]
    if first.tags.get(TAG_GROUP) not in ("master", "platform"):
        raise NotFoundError(
            f"cluster {name} has lost its master",
            hint=f"take it down with `hcluster down {name}`, then start it again",
            reference="no-master",
        )
    return first


def targets(ctx: Context, name: str, group: str = "", instance: str = "") -> list[Instance]:
    """Nodes of a cluster, of one group, or one node by id, address, DNS name or group name.

    Raises:
        NotFoundError: nothing fits.
    """
    nodes = alive(ctx, name)
    if group:
        nodes = [node for node in nodes if node.tags.get(TAG_GROUP) == group]
    if instance:
        nodes = [
            node
            for node in nodes
            if instance in (node.id, node.private_ip, node.private_dns, node.private_dns.split(".")[0])
        ] or [node for node in nodes if node.tags.get(TAG_GROUP) == instance][:1]
    if not nodes:
        raise NotFoundError(
            f"cluster {name} has no such node: {instance or group}", hint=f"`hcluster nodes {name}` lists them"
        )
    return nodes


def run_on(
    ctx: Context, name: str, instances: Sequence[Instance], command: Sequence[str], timeout: float = 600
) -> list[tuple[Instance, int, bytes, bytes]]:
    """Run one command on several nodes side by side: (node, exit code, stdout, stderr) of each.

    A node that cannot be reached gets exit code 255 and the reason as its stderr, as with ``ssh``.
    """

    def one(node: Instance) -> tuple[Instance, int, bytes, bytes]:
        try:
            remote = ctx.connector.connect(node, name)
        except HclusterError as cause:
            return node, 255, b"", cause.message.encode()
        try:
            code, out, err = remote.run(command, timeout=timeout)
        except HclusterError as cause:
            return node, 255, b"", cause.message.encode()
        finally:
            remote.close()
        return node, code, out, err

    return gather([lambda node=node: one(node) for node in instances])  # type: ignore[misc]
