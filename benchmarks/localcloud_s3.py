"""S3 of the local cloud against plain moto, in one run: `python -m benchmarks.localcloud_s3`.

Each server is a process of its own, as its users have it; both are asked by the same client in the same way. Sizes are
those that clusters use: a check-in (1 KB), a release or a block of a table (100 MB), a prefix with many keys.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REPOSITORY = Path(__file__).parents[1]
BUCKET = "speed"
SMALL, BIG = b"x" * 1024, 100 << 20
BODY = SMALL * (BIG // len(SMALL))
SERIAL, PARALLEL, KEYS = 200, 400, 10_000
WORKERS = 16
_MOTO = """
import json, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(json.dumps({"port": server.get_host_and_port()[1], "keys": ["unused", "unused"]}), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: calls a second, or seconds of one call."""

    name: str
    value: float
    unit: str

    def slower_than(self, other: Figure) -> bool:
        """Whether this one lost."""
        return self.value < other.value if self.unit == "1/s" else self.value > other.value


@contextmanager
def server(kind: str) -> Iterator[Any]:
    """A client of a new server: "ours" or "moto"."""
    with tempfile.TemporaryDirectory(prefix="s3-speed-") as folder:
        command = (
            [sys.executable, "-c", _MOTO]
            if kind == "moto"
            else [sys.executable, "-m", "tests.contract.api_process", folder]
        )
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if process.stdin is None or process.stdout is None:
            raise OSError(command)
        try:
            said = json.loads(process.stdout.readline())
            yield client(f"http://127.0.0.1:{said['port']}", *said["keys"])
        finally:
            process.stdin.close()
            process.wait(30)
            process.stdout.close()


def client(url: str, access: str, secret: str) -> Any:
    """As many callers have it: retries, a pool of connections."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(max_pool_connections=WORKERS, s3={"addressing_style": "path"}),
    )


Call = Callable[[Any, int], Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is timed: ``call(client, number)``, ``count`` times by ``workers``; the best of ``times``."""

    name: str
    call: Call
    count: int = 1
    workers: int = 1
    times: int = 3

    def taken(self, s3: Any) -> float:
        """Seconds of one round."""
        begun = time.perf_counter()
        if self.workers == 1:
            for number in range(self.count):
                self.call(s3, number)
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                list(pool.map(lambda number: self.call(s3, number), range(self.count)))
        return time.perf_counter() - begun

    def figure(self, seconds: float) -> Figure:
        """As it is told."""
        return Figure(self.name, self.count / seconds, "1/s") if self.count > 1 else Figure(self.name, seconds, "s")


def put_small(s3: Any, number: int) -> None:
    """A check-in."""
    s3.put_object(Bucket=BUCKET, Key=f"small/{number:05}", Body=SMALL)


def get_small(s3: Any, number: int) -> None:
    """Reads one."""
    s3.get_object(Bucket=BUCKET, Key=f"small/{number:05}")["Body"].read()


def put_big(s3: Any, _: int) -> None:
    """A release, in one request."""
    s3.put_object(Bucket=BUCKET, Key="big", Body=BODY)


def get_big(s3: Any, _: int) -> None:
    """Reads it."""
    size = sum(len(chunk) for chunk in s3.get_object(Bucket=BUCKET, Key="big")["Body"].iter_chunks(1 << 20))
    if size != BIG:
        raise ValueError(size)


def list_all(s3: Any, _: int) -> None:
    """All pages of a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="many/")
    found = sum(len(page["Contents"]) for page in pages)
    if found != KEYS:
        raise ValueError(found)


MEASUREMENTS = (
    Measurement("put 1 KB, serial", put_small, SERIAL),
    Measurement("get 1 KB, serial", get_small, SERIAL),
    Measurement("put 1 KB, 16-fold", put_small, PARALLEL, WORKERS),
    Measurement("get 1 KB, 16-fold", get_small, PARALLEL, WORKERS),
    Measurement("put 100 MB", put_big, times=5),
    Measurement("get 100 MB", get_big, times=7),
    Measurement(f"list {KEYS:,} keys", list_all),
)


def prepare(s3: Any) -> None:
    """The bucket, and its many keys."""
    s3.create_bucket(Bucket=BUCKET)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda number: s3.put_object(Bucket=BUCKET, Key=f"many/{number:05}", Body=b""), range(KEYS)))


def compare() -> Iterator[tuple[Figure, Figure]]:
    """(ours, moto's) of each measurement, round by round in turns, so that both see the same machine."""
    with server("moto") as theirs, server("ours") as ours:
        prepare(theirs)
        prepare(ours)
        for measurement in MEASUREMENTS:
            best = {"ours": float("inf"), "moto": float("inf")}
            for _ in range(measurement.times):
                best["moto"] = min(best["moto"], measurement.taken(theirs))
                best["ours"] = min(best["ours"], measurement.taken(ours))
            yield measurement.figure(best["ours"]), measurement.figure(best["moto"])


def main() -> int:
    """Prints a table; 1 when ours is slower in anything."""
    lost = False
    print(f"{'':24}{'local cloud':>14}{'plain moto':>14}")
    for ours, theirs in compare():
        slower = ours.slower_than(theirs)
        lost |= slower
        verdict = "  SLOWER" if slower else ""
        print(
            f"{ours.name:24}{ours.value:>12.2f} {ours.unit:<3}{theirs.value:>10.2f} {theirs.unit}{verdict}", flush=True
        )
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
