"""Launch templates, where moto's answers end after fifteen, inherit nothing, or name the wrong error.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.utils import parse_user_data

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.paging import page
from hcluster.localcloud.api.parts import EC2Response

MOST = 200
_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")


class TemplateOperations(EC2Response):  # type: ignore[misc]
    """One request to EC2 about launch templates."""

    _backend: Any

    def create_launch_template(self) -> ActionResult:
        """CreateLaunchTemplate, idempotent by its client token."""
        request = self._request()
        token = request.pop("ClientToken", None)
        name = str(request.get("LaunchTemplateName") or "")
        if not _NAME.fullmatch(name):
            text = "The launch template name must be 3 to 128 characters: letters, digits and ( ) . - / _"
            raise Fault("InvalidLaunchTemplateName.MalformedException", text)
        tags = launch.joined_tags(request.get("TagSpecifications") or ()).get("launch-template", {})
        data = _data(request)
        template = self._backend.once(
            "CreateLaunchTemplate",
            token,
            request,
            lambda: self._backend.create_launch_template(
                name, request.get("VersionDescription"), data, {"launch-template": tags}
            ),
        )
        return ActionResult({"LaunchTemplate": self._template_shown(template)})

    def create_launch_template_version(self) -> ActionResult:
        """CreateLaunchTemplateVersion; what it does not name comes from SourceVersion, if there is one."""
        request = self._request()
        token = request.pop("ClientToken", None)
        template = self._named(request)
        source = request.get("SourceVersion")
        data = (dict(template.get_version(source).data) if source else {}) | _data(request)
        description = request.get("VersionDescription")
        version = self._backend.once(
            "CreateLaunchTemplateVersion", token, request, lambda: self._added(template, data, description)
        )
        return ActionResult({"LaunchTemplateVersion": self._version_shown(template, version)})

    @staticmethod
    def _added(template: Any, data: dict[str, Any], description: Any) -> Any:
        version = template.create_version(data, description)
        template.versions = list(template.versions)  # Set anew, so that whoever keeps records sees it.
        return version

    def describe_launch_templates(self) -> ActionResult:
        """DescribeLaunchTemplates, in pages; one that is named and does not exist is an error."""
        request = self._request()
        ids = [str(one) for one in request.get("LaunchTemplateIds") or ()]
        ids += [self._by_name(str(name)).id for name in request.get("LaunchTemplateNames") or ()]
        for identity in ids:
            self._by_id(identity)
        filters = self._filters_from_querystring()
        found = self._backend.describe_launch_templates(template_names=[], template_ids=ids, filters=filters)
        shown, token = page(found, request, MOST)
        return ActionResult({"LaunchTemplates": [self._template_shown(one) for one in shown], "NextToken": token})

    def describe_launch_template_versions(self) -> ActionResult:
        """DescribeLaunchTemplateVersions, in pages."""
        request = self._request()
        found = list(self._versions(request))
        shown, token = page(found, request, MOST)
        answer = [self._version_shown(template, version) for template, version in shown]
        return ActionResult({"LaunchTemplateVersions": answer, "NextToken": token})

    def _versions(self, request: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
        wanted = [str(version) for version in request.get("Versions") or ()]
        if not request.get("LaunchTemplateId") and not request.get("LaunchTemplateName"):
            if not wanted or not set(wanted) <= {"$Latest", "$Default"}:
                text = "Without a launch template, Versions must be $Latest, $Default or both."
                raise Fault("InvalidParameterCombination" if wanted else "MissingParameter", text)
            for template in self._backend.launch_templates.values():
                yield from ((template, template.get_version(version)) for version in wanted)
            return
        template = self._named(request)
        if wanted:
            yield from ((template, template.get_version(version)) for version in dict.fromkeys(wanted))
            return
        least, most = int(request.get("MinVersion") or 1), int(request.get("MaxVersion") or len(template.versions))
        yield from ((template, one) for one in reversed(template.versions) if least <= one.number <= most)

    def delete_launch_template(self) -> ActionResult:
        """DeleteLaunchTemplate."""
        template = self._named(self._request())
        self._backend.delete_launch_template(None, template.id)
        return ActionResult({"LaunchTemplate": self._template_shown(template)})

    def _named(self, request: Mapping[str, Any]) -> Any:
        identity, name = request.get("LaunchTemplateId"), request.get("LaunchTemplateName")
        if identity and name:
            raise Fault("InvalidParameterCombination", "Only one of LaunchTemplateId and LaunchTemplateName is valid.")
        if not identity and not name:
            raise Fault("MissingParameter", "Either the launch template ID or the launch template name is needed.")
        return self._by_id(str(identity)) if identity else self._by_name(str(name))

    def _by_id(self, identity: str) -> Any:
        template = self._backend.launch_templates.get(identity)
        if template is None:
            text = f"The specified launch template, with template ID {identity}, does not exist."
            raise Fault("InvalidLaunchTemplateId.NotFound", text)
        return template

    def _by_name(self, name: str) -> Any:
        known = self._backend.launch_template_name_to_ids.get(name)
        if known is None:
            text = f"The specified launch template, with template name {name}, does not exist."
            raise Fault("InvalidLaunchTemplateName.NotFoundException", text)
        return self._by_id(known)

    def _template_shown(self, template: Any) -> dict[str, Any]:
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "CreateTime": template.create_time,
            "CreatedBy": f"arn:{self.partition}:iam::{self.current_account}:root",
            "DefaultVersionNumber": template.default_version_number,
            "LatestVersionNumber": template.latest_version_number,
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in template.get_tags()],
        }

    def _version_shown(self, template: Any, version: Any) -> dict[str, Any]:
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": version.number,
            "VersionDescription": version.description,
            "CreateTime": version.create_time,
            "CreatedBy": f"arn:{self.partition}:iam::{self.current_account}:root",
            "DefaultVersion": template.is_default(version),
            "LaunchTemplateData": version.data,
        }


def _data(request: Mapping[str, Any]) -> dict[str, Any]:
    """LaunchTemplateData, checked."""
    data = dict(request.get("LaunchTemplateData") or {})
    if not data:
        raise Fault("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    launch.joined_tags(data.get("TagSpecifications") or ())
    launch.check_user_data(data)
    if data.get("UserData"):
        data["UserData"] = parse_user_data(data["UserData"])
    return data
