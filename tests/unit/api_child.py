"""A cloud's API in a process of its own, to be killed; its nodes are dry. Says in one line of JSON how to reach it."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from hcluster.localcloud.dry import IMAGE_ID
from hcluster.localcloud.settings import settings_on

REPOSITORY = Path(__file__).parents[2]
NETWORK = IPv4Network("10.77.0.0/16")


class Child:
    """The process, as its client."""

    def __init__(self, folder: Path, log: Path, limit: int = 0) -> None:
        """``limit``: the most bytes that it may write to one file; 0: any number."""
        self.log = log
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.api_child", str(folder), str(limit)],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, log.read_text()
        self._said = json.loads(line)
        self.image = IMAGE_ID
        self.keys = tuple(self._said["keys"])

    def client(self, service: str) -> Any:
        """A boto3 client that tries once."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self._said['port']}",
            region_name="us-east-1",
            aws_access_key_id=self.keys[0],
            aws_secret_access_key=self.keys[1],
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30),
        )

    def kill(self) -> None:
        """SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def end(self) -> None:
        """An orderly end."""
        self._process.communicate(timeout=30)


@contextmanager
def child(folder: Path, log: Path, limit: int = 0) -> Iterator[Child]:
    """One that is killed at the latest at the end."""
    made = Child(folder, log, limit)
    try:
        yield made
    finally:
        made.kill()


def main(folder: Path, limit: int) -> None:
    """Serve until stdin closes."""
    from hcluster.localcloud.api.server import ApiServer
    from hcluster.localcloud.dry import IMAGE_NAME, DryMachines

    logging.basicConfig(level=logging.INFO)
    server = ApiServer(settings_on("child", folder, NETWORK), DryMachines())
    server.load()
    server.register_base_image(IMAGE_ID, IMAGE_NAME)
    keys = server.admin_keys()
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    api, imds = (socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2))
    server.serve(api, imds)
    server.resume()
    os.write(1, (json.dumps({"port": api.getsockname()[1], "keys": keys}) + "\n").encode())
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
