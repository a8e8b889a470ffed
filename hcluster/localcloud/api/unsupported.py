"""What is not supported: named, and refused in the words and the protocol of the service that was asked."""

from __future__ import annotations

import functools
import re
import traceback
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError

from hcluster.localcloud.api.faults import Fault

Environ = Mapping[str, Any]

_MODELS = {
    "elasticfilesystem": "efs",
    "elasticmapreduce": "emr",
    "email": "ses",
    "events": "events",
    "ingestionservice": "importexport",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
"""Service models whose name is not the one that requests are signed for."""
SERVICES = frozenset(
    ("ec2", "ec2-instance-connect", "events", "iam", "pricing", "s3", "servicequotas", "sqs", "ssm", "sts")
)
"""Signing names of the services that there are. Moto has two hundred more, which would make their answers up."""
_ABSENT = {
    "ec2": re.compile(
        r"(?!Describe|Get|Search)[A-Za-z]*?(Gateways?|TransitGateway[A-Za-z]*|VpnConnection[A-Za-z]*|VpcPeeringConnection|"
        r"VpcEndpoints?|FlowLogs|ManagedPrefixList|Hosts|SpotFleet[A-Za-z]*)"
    ),
    "iam": re.compile(
        r"(?!List)[A-Za-z]+?(SAMLProvider|MFADevice|ServiceLinkedRole|CredentialReport|(?<!Get)AccountPasswordPolicy)"
    ),
    "ssm": re.compile(r"(?![A-Za-z]*Parameter).*"),
}
"""What moto would note down though nothing comes of it: networks beside the VPC, hosts, other ways to sign in."""
_CODES = {"json": "UnknownOperationException", "rest-json": "UnknownOperationException", "s3": "NotImplemented"}
_OURS, _MOTOS = "/hcluster/localcloud/", "/moto/"


@functools.lru_cache(maxsize=32)
def _model(service: str) -> Any:
    """The service's model by its signing name, None when botocore has none."""
    session = botocore.session.get_session()
    try:
        return session.get_service_model(_MODELS.get(service, service))
    except BotoCoreError:
        return None


def protocol(environ: Environ, service: str) -> str:
    """The wire protocol of a request: "ec2", "query", "json", "rest-json", "rest-xml"."""
    if "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    if service in ("ec2", "s3"):
        return "ec2" if service == "ec2" else "rest-xml"
    content = str(environ.get("CONTENT_TYPE", ""))
    if content.startswith("application/x-www-form-urlencoded"):
        return "query"
    if "json" in content:
        return "rest-json"
    if "xml" in content:
        return "rest-xml"
    model = _model(service) if service else None
    # Of a service with several protocols this is the one that its SDKs prefer.
    return str(model.metadata["protocol"]) if model is not None else "query"


def operation(environ: Environ, service: str) -> str:
    """The operation's name: as the request says, or as the service's model calls its method and path."""
    if named := environ.get("hcluster.action"):
        return str(named)
    method, path = str(environ.get("REQUEST_METHOD", "")), str(environ.get("PATH_INFO", ""))
    query = str(environ.get("QUERY_STRING", "")).split("&")
    for verb, pattern, needs, name in _routes(service):
        if verb == method and pattern.fullmatch(path) and all(part in query for part in needs):
            return name
    return f"{method} {path}"


@functools.lru_cache(maxsize=32)
def _routes(service: str) -> list[tuple[str, re.Pattern[str], list[str], str]]:
    """(method, path, parts of the query, operation) of a REST service, the most literal first."""
    model = _model(service) if service else None
    if model is None or not str(model.metadata["protocol"]).startswith("rest"):
        return []
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = str(http["requestUri"]).partition("?")
        needs = query.split("&") if query else []
        found.append((len(path.split("{")), -len(needs), (str(http["method"]), _pattern(path), needs, name)))
    return [route for _, _, route in sorted(found, key=lambda one: one[:2])]


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([^}]+)\}", path)
    text = "".join(
        re.escape(part) if place % 2 == 0 else (".+" if part.endswith("+") else "[^/]+")
        for place, part in enumerate(parts)
    )
    return re.compile(text.rstrip("/") + "/?")


def demand_service(environ: Environ, service: str) -> None:
    """Raise Fault for what is not there: other services, and what these do not do here."""
    absent = _ABSENT.get(service)
    if service not in SERVICES or (absent is not None and absent.fullmatch(operation(environ, service))):
        raise refusal(environ, service)


def filter_of(error: NotImplementedError) -> str:
    """What moto cannot filter by, in words; "" when it is the operation that it does not have."""
    found = re.match(r"The filter '(.+?)' for ", str(error))
    return f"not with the filter '{found[1]}'" if found else ""


def refusal(environ: Environ, service: str, detail: str = "") -> Fault:
    """Of an operation that the local cloud does not have."""
    spoken = "s3" if service == "s3" else protocol(environ, service)
    name = operation(environ, service)
    code = _CODES.get(spoken, "InvalidAction")
    if spoken == "ec2":
        if name not in _model("ec2").operation_names:
            return Fault("InvalidAction", f"The action {name} is not valid for this web service.")
        code = "UnsupportedOperation"
    text = f"{service or 'request'}: {name} is not supported by the local cloud"
    return Fault(code, f"{text}: {detail}" if detail else f"{text}.", 501 if spoken == "s3" else 400)


def failure(environ: Environ, service: str, error: Exception) -> Fault:
    """Of an operation that failed without a word for the caller.

    Where moto stumbles by itself, over an id that it does not know or a parameter that it does not expect, the request
    was not supported, and repeating it would not help: the caller's error. Everything else is ours.
    """
    what = f"{type(error).__name__}: {error}"
    name = f"{service or 'request'}: {operation(environ, service)}"
    if any(frame.name == "create_backend_app" for frame in traceback.extract_tb(error.__traceback__)):
        return refusal(environ, service)  # Moto has no such service, or not what that service needs.
    if not _motos(error):
        return Fault("InternalError", f"{name} failed in the local cloud: {what}", 500)
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        text = f"{name}: '{error.args[0]}' does not exist or is missing in the request."
        return Fault(_invalid(protocol(environ, service)), text)
    return refusal(environ, service, f"not with these parameters ({what})")


def _motos(error: Exception) -> bool:
    """Whether it was moto's own code that failed, last: ours often hands a request on to it."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    last = next((name for name in reversed(files) if _MOTOS in name or _OURS in name), "")
    return _OURS not in last and _MOTOS in last and "/moto_server/" not in last


def _invalid(spoken: str) -> str:
    return "ValidationException" if "json" in spoken else "InvalidParameterValue"
