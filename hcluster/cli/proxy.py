"""``hcluster proxy``: a cluster's web pages in a browser."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import typer

from hcluster.cli.clusters import NAME
from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render
from hcluster.errors import HclusterError, NotFoundError, UnreachableError, UsageError

if TYPE_CHECKING:
    from hcluster.flows.proxy import Gate, Page
    from hcluster.remote.forward import OpenChannel

SOCKS_PORT = 1080
LOOK_SECONDS = 5.0
"""So often the session is looked at, and opened anew when it was lost."""
_REFUSALS = 20
"""So many are told; a page with many links may ask for many."""


def proxy(
    ctx: typer.Context,
    name: str = NAME,
    port: int = typer.Option(
        SOCKS_PORT, min=0, max=65535, metavar="PORT", help="Where the proxy listens on 127.0.0.1; 0 finds a free one."
    ),
    page: list[str] = typer.Option(
        [], metavar="PAGE", help="Also lead a local port to this page: yarn, hdfs, hive, tez or history; repeatable."
    ),
) -> None:
    """Open a way to a cluster's web pages.

    A SOCKS5 proxy on this machine leads through the master's SSH session to the cluster's own nodes, by the names that
    its pages use in their links, and nowhere else. With --page, a page is on a local port, too, for programs that know
    no proxies. It lasts until Ctrl-C, and ends with an error when the cluster does. With --output json, what is printed
    first is one object.

    \b
    Examples:
      hcluster proxy flights
      hcluster proxy flights --port 0 --page yarn
      curl --socks5-hostname 127.0.0.1:1080 http://10.64.16.4:8088/ws/v1/cluster/info
    """
    from hcluster.flows import proxy as flows
    from hcluster.remote.forward import PortForward, SocksProxy

    unknown = [one for one in page if one not in flows.MASTER_PAGES]
    if unknown:
        raise UsageError(f"there is no page {', '.join(unknown)}", hint=f"pages are: {', '.join(flows.MASTER_PAGES)}")
    with ExitStack() as stack:
        with flow(ctx) as context:
            gate = flows.Gate(context, name)
            channel = cast("OpenChannel", gate.channel)
            # Before the session, so that a port that is taken is told at once.
            socks = stack.enter_context(SocksProxy(channel, _Refusals(), local_port=port))
            # Called first at the end: what the listeners' threads wait for ends with it.
            stack.callback(gate.close)
            gate.ensure()
        known = flows.pages(name, gate.master)
        forwards = {
            one.name: stack.enter_context(PortForward(channel, one.host, one.port)).port
            for one in known
            if one.name in page
        }
        render.emit(state_of(ctx), value(name, socks.port, known, forwards), text(name, socks.port, known, forwards))
        # Whoever runs it in the background ends it so, and it is as good an end as Ctrl-C.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            serve(gate)
        except KeyboardInterrupt:
            print("closed", file=sys.stderr)
        finally:
            signal.signal(signal.SIGTERM, before)


def serve(gate: Gate, over: threading.Event | None = None) -> None:
    """Keep the session open until ``over``, or for ever.

    Raises:
        UnreachableError: the cluster or its master is gone, or does not answer any more.
    """
    over = over or threading.Event()
    while not over.wait(LOOK_SECONDS):
        try:
            gate.ensure()
        except NotFoundError as cause:
            # Not as it is: a name that is not found is taken for the beginning of another one.
            raise UnreachableError(f"the proxy has ended: {cause.message}", hint=cause.hint) from cause


def value(cluster: str, port: int, pages: tuple[Page, ...], forwards: dict[str, int]) -> dict[str, object]:
    """What is open."""
    return {
        "cluster": cluster,
        "socks": f"127.0.0.1:{port}",
        "pages": [
            {
                "name": page.name,
                "url": page.url,
                "local": f"http://127.0.0.1:{forwards[page.name]}/" if page.name in forwards else None,
            }
            for page in pages
        ],
    }


def text(cluster: str, port: int, pages: tuple[Page, ...], forwards: dict[str, int]) -> str:
    """The same for people, with what to do with it."""
    lines = [f"SOCKS5 proxy to the nodes of {cluster}: 127.0.0.1:{port} (Ctrl-C closes it)"]
    width = max((len(page.name) for page in pages), default=0)
    for page in pages:
        here = f"  here: http://127.0.0.1:{forwards[page.name]}/" if page.name in forwards else ""
        lines.append(f"  {page.name.ljust(width)}  {page.url}{here}")
    if pages:
        lines.append("a browser of its own that uses it:")
        lines.append(
            f'  chromium --proxy-server=socks5://127.0.0.1:{port} --user-data-dir="$(mktemp -d)" {pages[0].url}'
        )
    return "\n".join(lines)


class _Refusals:
    """Tells on stderr what the proxy refused, each once."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, cause: HclusterError) -> None:
        with self._lock:
            if cause.message in self._told or len(self._told) >= _REFUSALS:
                return
            self._told.add(cause.message)
            print(render.clean(cause.message), file=sys.stderr, flush=True)
