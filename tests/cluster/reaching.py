"""A proxy that runs, pages through it, and how much memory a command took."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.conftest import HCLUSTER, Hcluster

_MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@contextmanager
def started(hcluster: Hcluster, *words: str, deadline: float = 240) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until it ends or the block does."""
    process = subprocess.Popen(
        [HCLUSTER, *words],
        env=hcluster.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(deadline, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()
        watchdog.cancel()


@contextmanager
def proxied(hcluster: Hcluster, *words: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """A running proxy: what it said is open, and its process."""
    with started(hcluster, "--output", "json", "proxy", *words) as process:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if line.rstrip() == "}":
                break
        yield json.loads(said), process


def fetched(url: str, socks: str = "") -> tuple[int, str]:
    """Status and text of a page, after redirects; CalledProcessError when there is no answer."""
    way = ["--socks5-hostname", socks] if socks else []
    command = ["curl", "-sSL", "--noproxy", "" if socks else "*", "--max-time", "60", "-w", "\n%{http_code}", *way, url]
    text, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    return int(status), text


def memory_of(hcluster: Hcluster, *words: str) -> int:
    """The most bytes of memory that a command had while it ran; it must succeed."""
    program = [sys.executable, "-c", _MEASURED, str(HCLUSTER), *words]
    done = subprocess.run(program, env=hcluster.variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])
