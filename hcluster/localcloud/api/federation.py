"""AssumeRoleWithWebIdentity comes without a signature: its token says who asks, and is verified before any lock."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any
from urllib.parse import parse_qs

from hcluster.localcloud.api.access.sessions import FEDERATED, WEB_IDENTITY, check
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.identity import PRINCIPAL, Identities, Principal
from hcluster.localcloud.api.oidc import Provider, Verifier


class Federation:
    """Verifies web identities by the OIDC providers that IAM knows."""

    def __init__(self, identities: Identities, network: IPv4Network) -> None:
        self._identities = identities
        self._verifier = Verifier(network)

    @staticmethod
    def concerns(environ: dict[str, Any]) -> bool:
        """Whether a request is one without a signature that this verifies."""
        return environ.get("hcluster.action") == FEDERATED

    def admit(self, environ: dict[str, Any], body: bytes) -> None:
        """Put the caller and its token into the environment. Raises Fault for a token that is not right."""
        text = body.decode(errors="replace") or str(environ.get("QUERY_STRING", ""))
        given = parse_qs(text)
        if given.get("Action") != [FEDERATED]:
            raise Fault("InvalidAction", "The request must name one action.")
        # Moto routes by what a request says of its signature; this one has none.
        for name in ("HTTP_AUTHORIZATION", "HTTP_X_AMZ_TARGET"):
            environ.pop(name, None)
        form = {name: values[0] for name, values in given.items()}
        for name in ("RoleArn", "RoleSessionName", "WebIdentityToken"):
            if not form.get(name):
                raise Fault("MissingParameter", f"The request must contain the parameter {name}")
        if form.get("ProviderId"):
            raise Fault("InvalidParameterValue", "ProviderId is for OAuth 2.0 access tokens, which are not supported.")
        check({"RoleSessionName": form["RoleSessionName"], "DurationSeconds": form.get("DurationSeconds")})
        token = self._verifier.verify(form["WebIdentityToken"], self.providers(), self._identities.now())
        environ[WEB_IDENTITY] = token
        # Nobody's ARN: policies know it as the provider's alone.
        environ[PRINCIPAL] = Principal(
            "arn:aws:sts:::web-identity", "", "", "", facts=token.facts, federated=token.provider
        )

    def providers(self) -> list[Provider]:
        """The account's OIDC providers."""
        return [
            Provider(
                one.arn,
                f"{getattr(one, 'scheme', 'https')}://{one.url}",
                tuple(one.client_id_list or ()),
                tuple(one.thumbprint_list or ()),
            )
            for one in list(self._identities.iam.open_id_providers.values())
        ]
