"""The daemon of one local cloud: ``python -m hcluster.localcloud.daemon --name NAME --state FOLDER``.

It owns the network, the name server, the package proxy, the API and the nodes, and takes them all down when it is told
to end (SIGTERM). A daemon that was killed leaves them; the next one starts by removing them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hcluster.errors import HclusterError
from hcluster.localcloud import apt_sources, aws_profile, base_image, dry, leftovers
from hcluster.localcloud.api.server import ApiServer, spare_collector
from hcluster.localcloud.channel import Channel, path_of
from hcluster.localcloud.dns import NameServer
from hcluster.localcloud.dry import DryMachines
from hcluster.localcloud.layers import Layers
from hcluster.localcloud.network import CloudNetwork
from hcluster.localcloud.nodes import NodeMachines
from hcluster.localcloud.package_cache import PackageCache
from hcluster.localcloud.package_proxy import PackageProxy, ProxyPolicy
from hcluster.localcloud.settings import METADATA_ADDRESS, METADATA_PORT, CloudSettings, derive
from hcluster.localcloud.system import adopt_orphans, hold, run, start_time, write_atomically

_LOG = logging.getLogger("hcluster.localcloud")

OPEN_FILES = 524_288
"""systemd's own default for its services; nodes inherit the limit of this process."""

_WATCH_SECONDS = 2.0


class Daemon:
    """One run, from start to orderly end."""

    def __init__(self, settings: CloudSettings, *, dry_nodes: bool = False) -> None:
        """``dry_nodes``: instances are records only, for load tests of the API."""
        self._settings = settings
        self._dry_nodes = dry_nodes
        self._ending = threading.Event()
        self._since = time.time()
        self._image: dict[str, str] = {}

    def run(self) -> None:
        """Bring the cloud up, keep it until ``end`` and take it down."""
        settings = self._settings
        leftovers.clean(settings)
        with ExitStack() as stack:
            stack.callback(leftovers.clean, settings)
            settings.runtime.mkdir(parents=True)
            self._tell("starting")
            network = CloudNetwork(settings)
            network.up()
            machines = self._dry_machines() if self._dry_nodes else self._machines(network)
            names = stack.enter_context(_name_server(settings))
            stack.enter_context(_package_proxy(settings, network, machines))
            api = ApiServer(settings, machines)
            api.load()
            api.register_base_image(self._image["image_id"], self._image["image_name"])
            aws_profile.write(settings, *api.admin_keys())
            stack.callback(api.shutdown)
            api.serve(
                network.listen(settings.gateway, settings.api_port), network.listen(METADATA_ADDRESS, METADATA_PORT)
            )
            spare_collector()
            api.resume()
            stack.enter_context(Channel(path_of(settings), api.controls.handle))
            self._tell("ready")
            self._watch(names)
            self._tell("stopping")

    def _machines(self, network: CloudNetwork) -> NodeMachines:
        base = base_image.ensure(self._settings.cache, apt_sources.read_sources())
        self._image = {"image_id": base.image_id, "image_name": base.name}
        layers = Layers(self._settings.folder / "layers")
        layers.sweep()
        layers.register_base(base.image_id, base.root)
        for image, problem in layers.damaged().items():
            _LOG.error("instances of %s cannot start: %s", image, problem)
        return NodeMachines(self._settings, network, layers)

    def _dry_machines(self) -> DryMachines:
        self._image = {"image_id": dry.IMAGE_ID, "image_name": dry.IMAGE_NAME}
        return DryMachines()

    def end(self) -> None:
        """Ask for the end; ``run`` returns when all is down."""
        self._ending.set()

    def _watch(self, names: list[NameServer]) -> None:
        while not self._ending.wait(_WATCH_SECONDS):
            if not names[-1].running():
                _LOG.error("the name server ended by itself; starting another")
                names.append(NameServer(self._settings))

    def _tell(self, state: str) -> None:
        """Write what ``control`` reads: who we are and how far."""
        facts = {"pid": os.getpid(), "start": start_time(os.getpid()), "state": state, "since": self._since}
        write_atomically(self._settings.runtime / "daemon.json", json.dumps(facts | self._image))
        _LOG.info("local cloud %s: %s", self._settings.name, state)


@contextmanager
def _name_server(settings: CloudSettings) -> Iterator[list[NameServer]]:
    servers = [NameServer(settings)]
    try:
        yield servers
    finally:
        servers[-1].stop()


@contextmanager
def _package_proxy(
    settings: CloudSettings, network: CloudNetwork, machines: NodeMachines | DryMachines
) -> Iterator[None]:
    home = Path.home()
    hosts = apt_sources.package_hosts(
        apt_sources.read_sources(),
        pip_files=(Path("/etc/pip.conf"), home / ".config/pip/pip.conf", home / ".pip/pip.conf"),
        maven_files=(Path("/etc/maven/settings.xml"), home / ".m2/settings.xml"),
    )
    policy = ProxyPolicy(hosts, machines.is_baking, _apt_proxy())
    listener = network.listen(settings.gateway, settings.proxy_port)
    proxy = PackageProxy(listener, policy, PackageCache(settings.cache / "packages"))
    proxy.start()
    try:
        yield
    finally:
        proxy.stop()


def _apt_proxy() -> str:
    """The proxy that apt on this machine uses, "" for none; without apt there is none either."""
    try:
        found = run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"], check=False).stdout.strip()
    except HclusterError:
        return ""
    value = found.removeprefix("PROXY=").strip("'")
    return "" if value in ("", "DIRECT") else value


def _allow_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, OPEN_FILES), max(hard, OPEN_FILES)))
    except (ValueError, OSError):
        # Root without CAP_SYS_RESOURCE, as inside some virtual machines: what there is has to do.
        _LOG.info("open files stay limited to %d", hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon of one cloud; 0 after an orderly end."""
    parser = argparse.ArgumentParser(prog="hcluster.localcloud.daemon", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--dry-nodes", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = derive(options.name, options.state)
    _allow_open_files()
    adopt_orphans()
    daemon = Daemon(settings, dry_nodes=options.dry_nodes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.end())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with hold(settings.lock, wait=False):
            daemon.run()
    except HclusterError as failure:
        _LOG.error("%s%s", failure, f"\n{failure.context}" if failure.context else "")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
