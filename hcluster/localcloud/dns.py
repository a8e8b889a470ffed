"""Names of the cloud: dnsmasq in its namespace, without upstream."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Network

from hcluster.localcloud.settings import DOMAIN, CloudSettings
from hcluster.localcloud.system import environment


def command(settings: CloudSettings) -> list[str]:
    """The dnsmasq call.

    Names follow from addresses (ip-10-64-16-5.ec2.internal), forward and reverse, as in a VPC: an address resolves
    before its node boots, and no record can be stale. Everything else does not exist.
    """
    network = IPv4Network(settings.cidr)
    return [
        # The name server ends with the daemon, however that ends.
        *("setpriv", "--pdeathsig", "KILL"),
        *("ip", "netns", "exec", settings.namespace),
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        f"--listen-address={settings.gateway}",
        "--bind-interfaces",
        f"--synth-domain={DOMAIN},{network},ip-",
        "--address=/#/",
        "--local-ttl=60",
        "--cache-size=0",
    ]


class NameServer:
    """The running dnsmasq."""

    def __init__(self, settings: CloudSettings) -> None:
        """Start it; call from the thread that lives as long as the cloud (its end is the server's)."""
        self._process = subprocess.Popen(command(settings), stdin=subprocess.DEVNULL, env=environment())

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it; again is fine."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
