"""Errors as the services of AWS word and shape them, so that each SDK can read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

XML = "text/xml; charset=utf-8"


class Fault(Exception):  # noqa: N818 - what AWS' service models call them
    """An error that the caller of the API gets. ``code`` is AWS's word for it, ``status`` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A response: HTTP status, content type and body."""

    status: int
    content_type: str
    body: bytes
    code: str


def render(fault: Fault, service: str, *, json_protocol: bool, request_id: str) -> Rendered:
    """The response for ``fault`` in the wire protocol of ``service`` (its signing name)."""
    code, message = escape(fault.code), escape(fault.message)
    if json_protocol:
        document = json.dumps({"__type": fault.code, "message": fault.message, "Message": fault.message})
        return Rendered(fault.status, "application/x-amz-json-1.1", document.encode(), fault.code)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
    elif service == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    else:
        blame = "Receiver" if fault.status >= 500 else "Sender"
        text = (
            f"<ErrorResponse><Error><Type>{blame}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return Rendered(fault.status, XML, (head + text).encode(), fault.code)
