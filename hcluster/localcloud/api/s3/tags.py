"""Tags of objects and buckets: from headers and XML, checked. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from hcluster.localcloud.api.s3.documents import document, parsed, tag, text_of
from hcluster.localcloud.api.s3.problem import problem

OBJECT, BUCKET = 10, 50
"""How many an object and a bucket may have."""
_LETTERS = re.compile(r"[\w\s+\-=._:/@]*")


def from_header(header: str) -> dict[str, str]:
    """The tags of x-amz-tagging."""
    pairs = [part.partition("=") for part in header.split("&") if part]
    return checked(((unquote_plus(key), unquote_plus(value)) for key, _, value in pairs), OBJECT)


def from_xml(body: bytes, most: int) -> dict[str, str]:
    """The tags of a Tagging document."""
    found = parsed(body, "Tagging").find("TagSet")
    if found is None:
        raise problem("MalformedXML")
    return checked(((text_of(one, "Key"), text_of(one, "Value")) for one in found.findall("Tag")), most)


def checked(pairs: Iterable[tuple[str, str]], most: int) -> dict[str, str]:
    """Raises BadRequest or InvalidTag."""
    found: dict[str, str] = {}
    for key, value in pairs:
        if not key or len(key) > 128 or not _LETTERS.fullmatch(key):
            raise problem("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or not _LETTERS.fullmatch(value):
            raise problem("InvalidTag", "The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        if key.lower().startswith("aws:"):
            raise problem("InvalidTag", "System tags cannot be added/updated by requester", TagKey=key)
        if key in found:
            raise problem("InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=key)
        found[key] = value
    if len(found) > most:
        kind = "Object" if most == OBJECT else "Bucket"
        raise problem("BadRequest", f"{kind} tags cannot be greater than {most}")
    return found


def to_xml(tags: dict[str, str]) -> bytes:
    """A Tagging document."""
    inner = "".join(f"<Tag>{tag('Key', key)}{tag('Value', value)}</Tag>" for key, value in tags.items())
    return document("Tagging", f"<TagSet>{inner}</TagSet>")
