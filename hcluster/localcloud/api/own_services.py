"""Services that are the local cloud's own: moto has none of the name, or none with data."""

from __future__ import annotations

from typing import Any

from flask import Flask
from moto.core.utils import convert_to_flask_response
from moto.moto_server.werkzeug_app import BackendRequest

from hcluster.localcloud.api.pricing import PricingResponse
from hcluster.localcloud.api.service_quotas import QuotasResponse

_RESPONSES: dict[str, Any] = {"pricing": PricingResponse, "servicequotas": QuotasResponse}


def applications() -> dict[str, Any]:
    """A WSGI application a service, by its signing name."""
    return {service: _application(service, response) for service, response in _RESPONSES.items()}


def _application(service: str, response: Any) -> Any:
    made = Flask(service)
    made.debug = True  # Errors go on to the gateway, which shapes them.
    made.request_class = BackendRequest
    view: Any = convert_to_flask_response(response.dispatch)
    made.add_url_rule("/", endpoint=service, view_func=view, methods=["POST"])
    return made
