"""STS' operations where moto's own answer is wrong: sessions remember their tags and who began them."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult

from hcluster.localcloud.api.access.need import listed_tags
from hcluster.localcloud.api.access.sessions import WEB_IDENTITY
from hcluster.localcloud.api.identity import PRINCIPAL
from hcluster.localcloud.api.parts import TokenResponse


class CloudTokenResponse(TokenResponse):  # type: ignore[misc]
    """One request to STS; that it is allowed was found out before."""

    def assume_role(self) -> ActionResult:
        """AssumeRole."""
        environ = self.normalized_request.environ
        principal = environ[PRINCIPAL]
        # Transitive tags of the session that asks win over what it asks for.
        handed = {key: principal.tags[key] for key in principal.transitive if key in principal.tags}
        session = self._begin(
            {**listed_tags(self._get_param("Tags")), **handed},
            tuple(dict.fromkeys([*principal.transitive, *(self._get_param("TransitiveTagKeys") or ())])),
            {"sts:SourceIdentity": self._get_param("SourceIdentity")} if self._get_param("SourceIdentity") else {},
        )
        return ActionResult(_described(session))

    def assume_role_with_web_identity(self) -> ActionResult:
        """AssumeRoleWithWebIdentity; the token was verified before."""
        token = self.normalized_request.environ[WEB_IDENTITY]
        session = self._begin(token.tags, token.transitive, token.facts)
        result = _described(session) | {
            "SubjectFromWebIdentityToken": token.subject,
            "Audience": token.audience,
            "Provider": token.provider,
        }
        return ActionResult(result)

    def _begin(self, tags: Any, transitive: Any, facts: Any) -> Any:
        session = self.backend.assume_role(
            region_name=self.region,
            role_session_name=self._get_param("RoleSessionName"),
            role_arn=self._get_param("RoleArn"),
            policy=self._get_param("Policy"),
            duration=int(self._get_param("DurationSeconds") or 3600),
            external_id=self._get_param("ExternalId"),
        )
        remember(session, tags, transitive, facts)
        return session


def remember(session: Any, tags: Any = None, transitive: Any = (), facts: Any = None) -> None:
    """Give moto's record of a session what policies ask of it."""
    from datetime import UTC, datetime

    session.session_tags = dict(tags or {})
    session.transitive = tuple(transitive)
    session.facts = dict(facts or {})
    session.issued = datetime.now(UTC)


def _described(session: Any) -> dict[str, Any]:
    return {
        "Credentials": session,
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "PackedPolicySize": 6,
    }
