"""EC2's operations on security groups where moto's own answer is missing or wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from hcluster.localcloud.api.faults import Fault


class GroupOperations:
    """Mixed into the response of EC2's requests."""

    _backend: Any
    _request: Any
    _process_rules_from_querystring: Any

    def authorize_security_group_ingress(self) -> ActionResult:
        """AuthorizeSecurityGroupIngress: all rules of the call, or none."""
        return self._authorize(self._backend.authorize_security_group_ingress)

    def authorize_security_group_egress(self) -> ActionResult:
        """AuthorizeSecurityGroupEgress: all rules of the call, or none."""
        return self._authorize(self._backend.authorize_security_group_egress)

    def revoke_security_group_ingress(self) -> ActionResult:
        """RevokeSecurityGroupIngress: all rules of the call, or none."""
        return self._revoke(self._backend.revoke_security_group_ingress)

    def revoke_security_group_egress(self) -> ActionResult:
        """RevokeSecurityGroupEgress: all rules of the call, or none."""
        return self._revoke(self._backend.revoke_security_group_egress)

    def delete_security_group(self) -> EmptyResult:
        """DeleteSecurityGroup: not the default one of a VPC, nor one that something names."""
        request = self._request()
        name = str(request.get("GroupId") or request.get("GroupName") or "")
        if not name:
            raise Fault("MissingParameter", "The request must contain the parameter groupName or groupId")
        group = self._backend.get_security_group_by_name_or_id(name)
        if group is None:
            raise Fault("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
        if group.is_default:
            text = f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user'
            raise Fault("CannotDelete", text)
        self._backend.delete_security_group(group_id=group.id)
        return EmptyResult()

    def _authorize(self, add: Callable[..., tuple[list[Any], Any]]) -> ActionResult:
        self._request()
        added: list[Any] = []

        def each() -> None:
            for wanted in self._process_rules_from_querystring():
                added.extend(add(**wanted)[0])

        self._whole(each)
        return ActionResult({"Return": True, "SecurityGroupRules": added})

    def _revoke(self, remove: Callable[..., None]) -> ActionResult:
        self._request()

        def each() -> None:
            for wanted in self._process_rules_from_querystring():
                del wanted["sgrule_tags"]
                remove(**wanted)

        self._whole(each)
        return ActionResult({"Return": True})

    def _whole(self, change: Callable[[], None]) -> None:
        """Change a group's rules, or leave them as they were."""
        request = self._request()
        group = self._backend.get_security_group_by_name_or_id(request.get("GroupId") or request.get("GroupName"))
        if group is None:
            change()
            return
        before = (list(group.ingress_rules), list(group.egress_rules))
        try:
            change()
        except BaseException:
            group.ingress_rules, group.egress_rules = before
            raise
