"""Who we are, and the instance profiles that nodes act with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hcluster.aws.part import Part, Record, carries, demand_own, demand_tags, tag_list, tags_of
from hcluster.errors import ConflictError, NotFoundError
from hcluster.model.names import TAG_REGION

PREFIX = "hcluster-"
"""Only roles and profiles named so are ever deleted."""
POLICY_NAME = "hcluster"
TRUST: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


class Identity(Part):
    """STS and IAM."""

    def caller(self) -> tuple[str, str]:
        """(account id, ARN) of the caller, from STS."""
        with self._session.call("asking STS who we are"):
            answer = self._session.client("sts").get_caller_identity()
        return str(answer["Account"]), str(answer["Arn"])

    def ensure_instance_profile(self, name: str, policy: Mapping[str, object], *, tags: Mapping[str, str]) -> str:
        """Create or adopt role and instance profile of that name, with exactly ``policy`` inline. Returns the name.

        Continues whatever an interrupted call left. Raises ConflictError when the profile holds another role or when
        either is not this platform's of this region, before anything is changed, and DeadlineError when IAM does not
        show the role in the profile within 30 s.
        """
        role, profile = self._own_role(name, tags), self._own_profile(name, tags)
        self._ensure_role(name, role, tags)
        self._put_policy(name, policy)
        self._ensure_profile(name, profile, tags)
        self._settle(f"instance profile {name}", lambda: self._demand_role(name))
        return name

    def delete_instance_profiles(self, tags: Mapping[str, str]) -> int:
        """Delete roles and profiles whose name starts with ``hcluster-`` and which carry ``tags``; how many names.

        A platform of the same name in another region keeps its own.
        """
        demand_tags(tags, "deleting instance profiles")
        roles = [
            name for name in self._names("list_roles", "Roles", "RoleName") if self._tagged(self._role(name), tags)
        ]
        profiles = [
            name
            for name in self._names("list_instance_profiles", "InstanceProfiles", "InstanceProfileName")
            if self._tagged(self._profile(name), tags)
        ]
        for name in profiles:
            self._delete_profile(name)
        for name in roles:
            self._delete_role(name)
        return len({*roles, *profiles})

    def _iam(self) -> Any:
        return self._session.client("iam")

    def _role(self, name: str) -> Record | None:
        return self._found(f"reading role {name}", lambda: self._iam().get_role(RoleName=name)["Role"])

    def _profile(self, name: str) -> Record | None:
        return self._found(
            f"reading instance profile {name}",
            lambda: self._iam().get_instance_profile(InstanceProfileName=name)["InstanceProfile"],
        )

    def _found(self, what: str, read: Callable[[], Record]) -> Record | None:
        try:
            with self._session.call(what):
                return read()
        except NotFoundError:
            return None

    def _tagged(self, record: Record | None, tags: Mapping[str, str]) -> bool:
        return record is not None and carries(record, tags) and self._home(record) == self._session.region()

    def _home(self, record: Record) -> str:
        """The region that a role or profile was made for."""
        # What was made before regions were written down is taken for this region's.
        return tags_of(record).get(TAG_REGION) or self._session.region()

    def _own_role(self, name: str, tags: Mapping[str, str]) -> Record | None:
        role = self._role(name)
        self._demand_home(role, tags, f"role {name}", f"`aws iam delete-role --role-name {name}`")
        return role

    def _own_profile(self, name: str, tags: Mapping[str, str]) -> Record | None:
        profile = self._profile(name)
        remove = f"`aws iam delete-instance-profile --instance-profile-name {name}`"
        self._demand_home(profile, tags, f"instance profile {name}", remove)
        return profile

    def _demand_home(self, record: Record | None, tags: Mapping[str, str], what: str, remove: str) -> None:
        """Refuse what is another platform's, or that of the platform of the same name in another region."""
        if record is None:
            return
        demand_own(record, tags, what, remove)
        home = self._home(record)
        if home != self._session.region():
            raise ConflictError(
                f"{what} exists and belongs to the platform of the same name in {home}",
                hint="the names of roles are shared by all regions: choose another `name` in platform.yaml",
            )

    def _tags(self, tags: Mapping[str, str]) -> list[dict[str, str]]:
        return tag_list({**tags, TAG_REGION: self._session.region()})

    def _ensure_role(self, name: str, role: Record | None, tags: Mapping[str, str]) -> None:
        trust = json.dumps(TRUST)
        if role is None:
            try:
                with self._session.call(f"creating role {name}"):
                    self._iam().create_role(
                        RoleName=name,
                        AssumeRolePolicyDocument=trust,
                        Description="hcluster nodes",
                        Tags=self._tags(tags),
                    )
            except ConflictError:
                role = self._own_role(name, tags)  # made by another caller meanwhile
        if role is not None and role.get("AssumeRolePolicyDocument") != TRUST:
            with self._session.call(f"correcting the trust policy of role {name}"):
                self._iam().update_assume_role_policy(RoleName=name, PolicyDocument=trust)

    def _put_policy(self, name: str, policy: Mapping[str, object]) -> None:
        def put() -> None:
            with self._session.call(f"writing the policy of role {name}"):
                self._iam().put_role_policy(
                    RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy, sort_keys=True)
                )
                for other in self._iam().list_role_policies(RoleName=name)["PolicyNames"]:
                    if other != POLICY_NAME:
                        self._iam().delete_role_policy(RoleName=name, PolicyName=other)

        self._settle(f"role {name}", put)

    def _ensure_profile(self, name: str, profile: Record | None, tags: Mapping[str, str]) -> None:
        if profile is None:
            try:
                with self._session.call(f"creating instance profile {name}"):
                    self._iam().create_instance_profile(InstanceProfileName=name, Tags=self._tags(tags))
            except ConflictError:
                self._own_profile(name, tags)  # made by another caller meanwhile
        self._settle(f"instance profile {name}", lambda: self._add_role(name))

    def _add_role(self, name: str) -> None:
        with self._session.call(f"putting role {name} into its instance profile"):
            held = self._iam().get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
            names = [str(role["RoleName"]) for role in held]
            if not names:
                self._iam().add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
            elif names != [name]:
                raise ConflictError(
                    f"instance profile {name} holds role {names[0]}, not {name}",
                    hint=f"remove that role: aws iam remove-role-from-instance-profile --instance-profile-name {name} "
                    f"--role-name {names[0]}",
                )

    def _demand_role(self, name: str) -> None:
        with self._session.call(f"reading instance profile {name}"):
            held = self._iam().get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        if name not in [str(role["RoleName"]) for role in held]:
            raise NotFoundError(f"role {name} is not yet in its instance profile")

    def _names(self, operation: str, key: str, field: str) -> list[str]:
        with self._session.call(f"{operation.replace('_', ' ')} of the account"):
            pages = self._iam().get_paginator(operation).paginate()
            names = [str(record[field]) for page in pages for record in page[key]]
        return [name for name in names if name.startswith(PREFIX)]

    def _delete_profile(self, name: str) -> None:
        profile = self._profile(name)
        if profile is None:
            return
        for role in profile["Roles"]:
            self._gone_is_fine(
                f"taking role {role['RoleName']} out of its profile",
                "remove_role_from_instance_profile",
                InstanceProfileName=name,
                RoleName=role["RoleName"],
            )
        self._gone_is_fine(f"deleting instance profile {name}", "delete_instance_profile", InstanceProfileName=name)

    def _delete_role(self, name: str) -> None:
        try:
            with self._session.call(f"emptying role {name}"):
                inline = self._iam().list_role_policies(RoleName=name)["PolicyNames"]
                attached = self._iam().list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        except NotFoundError:
            return
        for policy in inline:
            self._gone_is_fine(f"emptying role {name}", "delete_role_policy", RoleName=name, PolicyName=policy)
        for policy in attached:
            self._gone_is_fine(
                f"emptying role {name}", "detach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"]
            )
        self._gone_is_fine(f"deleting role {name}", "delete_role", RoleName=name)

    def _gone_is_fine(self, what: str, operation: str, **arguments: object) -> None:
        try:
            with self._session.call(what):
                getattr(self._iam(), operation)(**arguments)
        except NotFoundError:
            return
