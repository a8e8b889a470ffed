"""Roles and users with policies of their own, and sessions that act with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.contract.aws.account import PATH, Account, code_of
from tests.contract.aws.conftest import Later
from tests.contract.aws.sweep import delete_role

Statement = dict[str, Any]
DENIED = ("AccessDenied", "UnauthorizedOperation", "AccessDeniedException", "403")


def document(*statements: Statement) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resources: str | list[str] = "*", **condition: Any) -> Statement:
    """A statement that allows; ``condition`` by operator, with colons written as double underscores."""
    return _statement("Allow", actions, resources, condition)


def deny(actions: str | list[str], resources: str | list[str] = "*", **condition: Any) -> Statement:
    """A statement that denies."""
    return _statement("Deny", actions, resources, condition)


def _statement(effect: str, actions: Any, resources: Any, condition: dict[str, Any]) -> Statement:
    made: Statement = {"Effect": effect, "Action": actions, "Resource": resources}
    if condition:
        made["Condition"] = {name.replace("__", ":"): value for name, value in condition.items()}
    return made


def trust(account: Account, **condition: Any) -> str:
    """Whoever in the account is allowed to may assume the role, and tag its session."""
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account.id}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    if condition:
        statement["Condition"] = condition
    return document(statement)


def make_role(account: Account, later: Later, *statements: Statement, trusting: str = "", **more: Any) -> str:
    """A role with ``statements`` as its inline policy; its name."""
    name = account.name("role")
    tags = more.pop("Tags", [])
    account.iam.create_role(
        RoleName=name,
        Path=PATH,
        AssumeRolePolicyDocument=trusting or trust(account),
        Tags=[*account.tags, *tags],
        **more,
    )
    later(delete_role, account, name)
    if statements:
        account.iam.put_role_policy(RoleName=name, PolicyName="contract", PolicyDocument=document(*statements))
    return name


def arn_of(account: Account, role: str) -> str:
    """ARN of a role of the suite's path."""
    return f"arn:aws:iam::{account.id}:role{PATH}{role}"


def assume(account: Account, role: str, **more: Any) -> tuple[str, str, str]:
    """Keys of a session of the role; as long as the new role has not come through, it is tried again."""
    request = {"RoleArn": arn_of(account, role), "RoleSessionName": "contract"} | more
    found = account.granted(lambda: account.client("sts").assume_role(**request))["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


def acting(account: Account, later: Later, *statements: Statement, **session: Any) -> Callable[..., Any]:
    """Clients of a session of a new role with ``statements``."""
    tags = session.pop("RoleTags", [])
    keys = assume(account, make_role(account, later, *statements, Tags=tags), **session)
    return lambda service, **more: account.client(service, keys, **more)


def allowed(account: Account, call: Callable[..., Any], **arguments: Any) -> bool:
    """Whether a call gets past its authorization; what else may come of it does not matter.

    On a real account a refusal is believed only when it lasts: IAM is eventually consistent.
    """

    def once() -> bool:
        try:
            call(**arguments)
        except ClientError as error:
            if code_of(error) in DENIED:
                raise
        return True

    try:
        return account.granted(once)
    except ClientError:
        return False
