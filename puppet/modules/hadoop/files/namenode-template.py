#!/usr/bin/python3
# Written by Puppet: changes do not last.
"""Make HOME/namenode, the formatted NameNode directory that each new NameNode starts with a copy of.

usage: namenode-template HOME PATH:OWNER:MODE...

The file system in it has the folders that daemons and users share. Made at the first start instead, they would belong
to whoever came first, with rights for nobody else; and each would cost a JVM.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

GROUP = "hadoop"
IMAGE = "fsimage_0000000000000000000"


def java(home: Path, main_class: str, *arguments: str) -> None:
    """Run a class of the distribution; its output is shown only when it fails, which ends this script."""
    flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", f"{home}/lib/hadoop/*"]
    command = ["java", *flags, main_class, *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{main_class} ended with code {done.returncode}:\n{done.stdout}")


def add(tree: ET.Element, wanted: list[str]) -> None:
    """Add the folders, parents first, to the XML that the offline image viewer writes."""
    section = tree.find("INodeSection")
    links = tree.find("INodeDirectorySection")
    root = section.find("inode")
    number = int(root.findtext("id"))
    known, children = {"/": number}, {}
    for path, owner, mode in sorted(line.split(":") for line in wanted):
        number += 1
        parent = path.rpartition("/")[0] or "/"
        known[path] = number
        children.setdefault(known[parent], []).append((path.rpartition("/")[2], number))
        inode = ET.SubElement(section, "inode")
        for tag, text in (
            ("id", number),
            ("type", "DIRECTORY"),
            ("name", path.rpartition("/")[2]),
            ("mtime", 0),
            ("permission", f"{owner}:{GROUP}:{mode}"),
            ("nsquota", -1),
            ("dsquota", -1),
        ):
            ET.SubElement(inode, tag).text = str(text)
    root.find("permission").text = f"hdfs:{GROUP}:0755"
    section.find("lastInodeId").text = str(number)
    section.find("numInodes").text = str(len(known))
    for parent, names in children.items():
        directory = ET.SubElement(links, "directory")
        ET.SubElement(directory, "parent").text = str(parent)
        for _, child in sorted(names):  # the NameNode searches them by halves
            ET.SubElement(directory, "child").text = str(child)


def main() -> None:
    """Format a directory, add the folders to its image, and put it in place when it is complete."""
    home = Path(sys.argv[1])
    hdfs = "org.apache.hadoop.hdfs"
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        fresh, xml = Path(scratch, "namenode"), Path(scratch, "fsimage.xml")
        where = ("-fs", "hdfs://template:8020", "-D", f"dfs.namenode.name.dir=file://{fresh}")
        java(home, f"{hdfs}.server.namenode.NameNode", *where, "-format", "-nonInteractive", "-clusterId", "template")
        image, viewer = fresh / "current" / IMAGE, f"{hdfs}.tools.offlineImageViewer.OfflineImageViewerPB"
        java(home, viewer, "-p", "XML", "-i", str(image), "-o", str(xml))
        tree = ET.parse(xml)  # noqa: S314 - what the viewer has just written
        add(tree.getroot(), sys.argv[2:])
        tree.write(xml, encoding="unicode", xml_declaration=True)
        java(home, viewer, "-p", "ReverseXML", "-i", str(xml), "-o", str(image))
        digest = hashlib.md5(image.read_bytes(), usedforsecurity=False).hexdigest()
        image.with_name(f"{IMAGE}.md5").write_text(f"{digest} *{IMAGE}\n")
        shutil.rmtree(home / "namenode", ignore_errors=True)
        fresh.rename(home / "namenode")


main()
