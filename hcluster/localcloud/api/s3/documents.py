"""XML as S3 speaks it, both ways."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote
from xml.sax.saxutils import escape

from hcluster.localcloud.api.s3.problem import problem

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
# What XML 1.0 cannot carry but keys may.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]")

Element = ET.Element


def document(root: str, inner: str) -> bytes:
    """A whole document."""
    return f'{_HEAD}<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode()


def tag(name: str, value: object) -> str:
    """An element with text."""
    text = escape(str(value))
    if _UNSPEAKABLE.search(text):
        text = _UNSPEAKABLE.sub(lambda found: f"&#{ord(found.group())};", text)
    return f"<{name}>{text}</{name}>"


def truth(value: object) -> str:
    """A boolean."""
    return "true" if value else "false"


def iso(moment: float) -> str:
    """A time in XML: listings tell milliseconds, which are always zero."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def http_date(moment: float) -> str:
    """A time in a header."""
    return formatdate(int(moment), usegmt=True)


def url_encoded(text: str) -> str:
    """A key in a listing with encoding-type=url."""
    return quote(text, safe="/-_.~*")


def parsed(body: bytes, root: str) -> Element:
    """The root element, without namespaces. Raises MalformedXML (MissingRequestBodyError for nothing)."""
    if not body.strip():
        raise problem("MissingRequestBodyError")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise problem("MalformedXML")
    try:
        found = ET.fromstring(body)  # noqa: S314 - without declarations there are no entities to expand
    except (ET.ParseError, ValueError):
        raise problem("MalformedXML") from None
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    if found.tag != root:
        raise problem("MalformedXML")
    return found


def text_of(element: Element, name: str, default: str = "") -> str:
    """The text of a child."""
    found = element.find(name)
    return default if found is None or found.text is None else found.text


def required(element: Element, name: str) -> str:
    """The text of a child that must be there. Raises MalformedXML."""
    found = text_of(element, name).strip()
    if not found:
        raise problem("MalformedXML")
    return found
