"""The part of ``benchmarks.archives`` that runs on a node, as root, with nothing but the standard library.

usage: archives_node.py ROUNDS | archives_node.py archive | archives_node.py plain

With ROUNDS it restarts each daemon of the node so often with its class-data archive and so often with Java's own, in
turns, and prints one JSON object. A word puts the node into that state and leaves it there.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

ARCHIVES = Path("/opt/hadoop/archives")
PLAIN = Path("/run/hcluster-plain-archives")
JAVA = Path("/usr/bin/java").resolve().parents[1] / "lib/server/classes.jsa"
PATIENCE = 240.0


def mounted() -> bool:
    """Whether the folder of the archives is hidden behind the other one."""
    return any(line.split()[1] == str(ARCHIVES) for line in Path("/proc/mounts").read_text().splitlines())


def use(mode: str) -> None:
    """Plain: every archive is the one that Java comes with, which has Java's own classes alone.

    Another folder is mounted over theirs, which cannot be renamed where the image is the lower layer of an overlay.
    """
    if mode == "plain" and not mounted():
        PLAIN.mkdir(exist_ok=True)
        for archive in ARCHIVES.glob("*.jsa"):
            if not (PLAIN / archive.name).is_symlink():
                (PLAIN / archive.name).symlink_to(JAVA)
        subprocess.run(["mount", "--bind", str(PLAIN), str(ARCHIVES)], check=True)
    elif mode == "archive" and mounted():
        subprocess.run(["umount", str(ARCHIVES)], check=True)


def asked(unit: str, name: str) -> int:
    """A number that systemd knows of a unit."""
    command = ["systemctl", "show", f"--property={name}", "--value", unit]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or 0)


def cpu(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, float]:
    """RSS, PSS and private dirty pages in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return {
        "rss": int(found["Rss"]) / 1024,
        "pss": int(found["Pss"]) / 1024,
        "dirty": int(found["Private_Dirty"]) / 1024,
    }


def restart(unit: str, host: str, port: int) -> dict[str, float]:
    """Stop and start a unit; figures of the moment at which its port is open."""
    subprocess.run(["systemctl", "stop", unit], check=True)
    start = time.monotonic()
    subprocess.run(["systemctl", "start", "--no-block", unit], check=True)
    while True:
        try:
            socket.create_connection((host, port), timeout=2).close()
            break
        except OSError:
            if time.monotonic() - start > PATIENCE:
                sys.exit(f"{unit} did not open port {port} in {PATIENCE:.0f} s")
            time.sleep(0.02)
    seconds, pid = time.monotonic() - start, asked(unit, "MainPID")
    return {"seconds": seconds, "cpu": cpu(pid), **memory(pid)}


def main() -> None:
    """Daemons in the order of health.json, which is that of their needs."""
    if sys.argv[1] in ("archive", "plain"):
        use(sys.argv[1])
        return
    checks = json.loads(Path("/etc/hcluster/health.json").read_text())
    daemons = [check for check in checks if check["unit"].startswith(("hadoop-", "hive-")) and check["port"]]
    found: dict[str, dict[str, list[dict[str, float]]]] = {check["name"]: {} for check in daemons}
    try:
        for _ in range(int(sys.argv[1])):
            for mode in ("plain", "archive"):
                use(mode)
                for check in daemons:
                    figures = restart(check["unit"], check["host"], check["port"])
                    found[check["name"]].setdefault(mode, []).append(figures)
    finally:
        use("archive")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
