"""What AWS documents of the evaluation of policies, case by case; each names the page that says so."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hcluster.localcloud.api.policy import Asker, Policies, Policy, PolicyError, Value, context, decide, parse

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
OPERATORS = f"{GUIDE}reference_policies_elements_condition_operators.html"
SEVERAL = f"{GUIDE}reference_policies_condition-single-vs-multi-valued-context-keys.html"
VARIABLES = f"{GUIDE}reference_policies_variables.html"
RESOURCE = f"{GUIDE}reference_policies_elements_resource.html"
NOT_RESOURCE = f"{GUIDE}reference_policies_elements_notresource.html"
ACTION = f"{GUIDE}reference_policies_elements_action.html"
NOT_ACTION = f"{GUIDE}reference_policies_elements_notaction.html"
PRINCIPAL = f"{GUIDE}reference_policies_elements_principal.html"
NOT_PRINCIPAL = f"{GUIDE}reference_policies_elements_notprincipal.html"
LOGIC = f"{GUIDE}reference_policies_evaluation-logic_policy-eval-basics.html"
BOUNDARIES = f"{GUIDE}access_policies_boundaries.html"
SESSION = f"{GUIDE}access_policies.html#policies_session"
KEYS = f"{GUIDE}reference_policies_condition-keys.html"
CONDITION = f"{GUIDE}reference_policies_elements_condition.html"
TAGS = f"{GUIDE}access_tags.html"
REQUEST_TAGS = f"{GUIDE}access_tags.html#access_tags_control-requests"
GRAMMAR = f"{GUIDE}reference_policies_grammar.html"
VERSION = f"{GUIDE}reference_policies_elements_version.html"
EXTERNAL = f"{GUIDE}id_roles_common-scenarios_third-party.html"
SESSION_TAGS = f"{GUIDE}id_session-tags.html"
WEB = f"{GUIDE}reference_policies_iam-condition-keys.html#condition-keys-wif"
S3_PREFIX = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"
S3_TLS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"
EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html"

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/today"
ANN = Asker(arn=USER, account=ACCOUNT)
OPS = Asker(arn=SESSION_ARN, role=ROLE, account=ACCOUNT)
STRANGER = Asker(arn="arn:aws:iam::999999999999:user/eve", account="999999999999")
YES, NO, DENIED = "allowed", "implicitDeny", "explicitDeny"
OBJECT = "arn:aws:s3:::lake/data/x"
INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1"
Statement = dict[str, Any]


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": action, "Resource": resource} | more


def when(operator: str, key: str, values: Any, effect: str = "Allow") -> Statement:
    return {"Effect": effect, "Action": "*", "Resource": "*", "Condition": {operator: {key: values}}}


def granting(principal: Any, effect: str = "Allow", **more: Any) -> Statement:
    return {"Effect": effect, "Principal": principal, "Action": "s3:*", "Resource": "arn:aws:s3:::lake/*"} | more


def trusting(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> Statement:
    return {"Effect": "Allow", "Principal": principal, "Action": action} | more


def document(*statements: Statement, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


@dataclass(frozen=True)
class Case:
    """One row."""

    id: str
    page: str
    expected: str
    identity: tuple[Statement, ...] = ()
    action: str = "s3:GetObject"
    resource: str = OBJECT
    keys: Mapping[str, Value] = field(default_factory=dict)
    asker: Asker = ANN
    boundary: tuple[Statement, ...] | None = None
    session: tuple[Statement, ...] | None = None
    bucket: tuple[Statement, ...] | None = None
    trust: tuple[Statement, ...] | None = None
    owner: str = ""
    version: str = "2012-10-17"


def condition(
    name: str, page: str, expected: str, test: tuple[str, str, Any], keys: Mapping[str, Value], effect: str = "Allow"
) -> Case:
    """A statement about everything with one condition; a Deny stands beside an Allow of everything."""
    statement = when(*test, effect)
    return Case(name, page, expected, (statement,) if effect == "Allow" else (allow(), statement), keys=keys)


LOGIC_CASES = [
    Case("everything-is-denied-by-default", LOGIC, NO),
    Case("an-allow-overrides-the-default", LOGIC, YES, (allow("s3:GetObject", OBJECT),)),
    Case("an-explicit-deny-overrides-any-allow", LOGIC, DENIED, (allow(), deny("s3:*"))),
    Case("a-deny-before-the-allow-is-as-good", LOGIC, DENIED, (deny("s3:*"), allow())),
    Case("a-deny-of-something-else-does-nothing", LOGIC, YES, (allow(), deny("s3:*", "arn:aws:s3:::other/*"))),
    Case("a-boundary-that-allows-too", BOUNDARIES, YES, (allow(),), boundary=(allow("s3:*"),)),
    Case("a-boundary-gives-nothing-by-itself", BOUNDARIES, NO, (), boundary=(allow(),)),
    Case("a-boundary-limits", BOUNDARIES, NO, (allow(),), boundary=(allow("ec2:*"),)),
    Case("a-boundary-denies", BOUNDARIES, DENIED, (allow(),), boundary=(allow(), deny("s3:*"))),
    Case("a-session-policy-limits", SESSION, NO, (allow(),), asker=OPS, session=(allow("ec2:*"),)),
    Case("a-session-has-the-intersection", SESSION, YES, (allow("s3:*"),), asker=OPS, session=(allow("s3:Get*"),)),
    Case("a-session-policy-gives-nothing", SESSION, NO, (), asker=OPS, session=(allow(),)),
    Case("a-session-policy-denies", SESSION, DENIED, (allow(),), asker=OPS, session=(allow(), deny("s3:*"))),
    Case(
        "identity-boundary-and-session-all-must-allow",
        BOUNDARIES,
        YES,
        (allow("s3:*"),),
        asker=OPS,
        session=(allow("s3:Get*"),),
        boundary=(allow("s3:GetObject"),),
    ),
]

RESOURCE_POLICY_CASES = [
    Case("a-bucket-policy-that-names-the-user-is-enough", LOGIC, YES, bucket=(granting({"AWS": USER}),)),
    Case(
        "a-user-it-names-is-not-held-by-a-boundary",
        BOUNDARIES,
        YES,
        boundary=(allow("ec2:*"),),
        bucket=(granting({"AWS": USER}),),
    ),
    Case(
        "a-boundary-that-denies-holds-all-the-same",
        BOUNDARIES,
        DENIED,
        boundary=(deny("s3:*"),),
        bucket=(granting({"AWS": USER}),),
    ),
    Case("a-bucket-policy-for-somebody-else", PRINCIPAL, NO, bucket=(granting({"AWS": f"{USER}e"}),)),
    Case("an-account-delegates-only", PRINCIPAL, NO, bucket=(granting({"AWS": ACCOUNT}),)),
    Case(
        "an-account-and-its-identity-policy",
        PRINCIPAL,
        YES,
        (allow("s3:*"),),
        bucket=(granting({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),),
    ),
    Case("everybody", PRINCIPAL, YES, bucket=(granting("*"),)),
    Case("everybody-of-type-aws-is-the-same", PRINCIPAL, YES, bucket=(granting({"AWS": "*"}),)),
    Case("a-role-is-named-for-its-sessions", PRINCIPAL, YES, asker=OPS, bucket=(granting({"AWS": ROLE}),)),
    Case(
        "a-role-it-names-is-held-by-the-session-policy",
        SESSION,
        NO,
        asker=OPS,
        session=(allow("ec2:*"),),
        bucket=(granting({"AWS": ROLE}),),
    ),
    Case(
        "a-session-it-names-is-not",
        SESSION,
        YES,
        asker=OPS,
        session=(allow("ec2:*"),),
        bucket=(granting({"AWS": SESSION_ARN}),),
    ),
    Case("a-bucket-policy-denies", LOGIC, DENIED, (allow(),), bucket=(granting("*", "Deny"),)),
    Case(
        "a-stranger-needs-the-bucket-and-its-own-policy",
        LOGIC,
        YES,
        (allow(),),
        asker=STRANGER,
        bucket=(granting({"AWS": "999999999999"}),),
        owner=ACCOUNT,
    ),
    Case("its-own-policy-alone-opens-no-other-account", LOGIC, NO, (allow(),), asker=STRANGER, owner=ACCOUNT),
    Case(
        "nor-does-the-buckets-alone",
        LOGIC,
        NO,
        asker=STRANGER,
        bucket=(granting({"AWS": "arn:aws:iam::999999999999:user/eve"}),),
        owner=ACCOUNT,
    ),
    Case(
        "all-but-one-are-denied",
        NOT_PRINCIPAL,
        DENIED,
        (allow(),),
        bucket=(
            {
                "Effect": "Deny",
                "NotPrincipal": {"AWS": [f"{USER}e", ACCOUNT]},
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::lake/*",
            },
        ),
    ),
    Case(
        "the-one-with-its-account-is-spared",
        NOT_PRINCIPAL,
        YES,
        (allow(),),
        bucket=(
            {
                "Effect": "Deny",
                "NotPrincipal": {"AWS": [USER, f"arn:aws:iam::{ACCOUNT}:root"]},
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::lake/*",
            },
        ),
    ),
    Case(
        "plain-http-is-denied",
        S3_TLS,
        DENIED,
        (allow(),),
        keys={"aws:SecureTransport": "false"},
        bucket=(granting("*", "Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),),
    ),
    Case(
        "https-is-not",
        S3_TLS,
        YES,
        (allow(),),
        keys={"aws:SecureTransport": "true"},
        bucket=(granting("*", "Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),),
    ),
]

ELEMENT_CASES = [
    Case("actions-have-no-case", ACTION, YES, (allow("S3:getobject"),)),
    Case("actions-have-wildcards", ACTION, YES, (allow("s3:*Object"),)),
    Case("a-question-mark-is-one-character", ACTION, NO, (allow("s3:GetObjec?"),), action="s3:GetObjects"),
    Case("an-action-of-another-service", ACTION, NO, (allow("ec2:*"),)),
    Case("all-but-an-action", NOT_ACTION, YES, ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},)),
    Case(
        "the-action-left-out",
        NOT_ACTION,
        NO,
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},),
        action="iam:ListUsers",
        resource="*",
    ),
    Case(
        "a-deny-of-all-but-an-action",
        NOT_ACTION,
        DENIED,
        (allow(), {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}),
    ),
    Case("a-prefix-of-objects", RESOURCE, YES, (allow("s3:*", "arn:aws:s3:::lake/data/*"),)),
    Case("a-star-crosses-slashes", RESOURCE, YES, (allow("s3:*", "arn:aws:s3:::lake/*x"),)),
    Case("resources-have-case", RESOURCE, NO, (allow("s3:*", "arn:aws:s3:::Lake/*"),)),
    Case("a-bucket-is-not-its-objects", RESOURCE, NO, (allow("s3:*", "arn:aws:s3:::lake"),)),
    Case(
        "a-star-within-each-segment",
        RESOURCE,
        YES,
        (allow("*", "arn:aws:ec2:*:*:instance/*"),),
        action="ec2:StopInstances",
        resource=INSTANCE,
    ),
    Case(
        "a-segment-with-a-star-inside-ends-at-its-colon",
        RESOURCE,
        NO,
        (allow("*", "arn:aws:ec2:us-*1:instance/*"),),
        action="ec2:StopInstances",
        resource=INSTANCE,
    ),
    Case(
        "a-star-at-a-segments-end-may-cross-colons",
        RESOURCE,
        YES,
        (allow("*", "arn:aws:ec2:us-east-1:*"),),
        action="ec2:StopInstances",
        resource=INSTANCE,
    ),
    Case(
        "another-kind-of-resource",
        RESOURCE,
        NO,
        (allow("*", f"arn:aws:ec2:us-east-1:{ACCOUNT}:volume/*"),),
        action="ec2:StopInstances",
        resource=INSTANCE,
    ),
    Case(
        "an-action-without-resources-needs-a-star",
        EC2,
        NO,
        (allow("ec2:Describe*", "arn:aws:ec2:*:*:instance/*"),),
        action="ec2:DescribeInstances",
        resource="*",
    ),
    Case(
        "all-but-a-resource",
        NOT_RESOURCE,
        NO,
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::lake/*"},),
    ),
    Case(
        "a-deny-of-all-but-a-resource",
        NOT_RESOURCE,
        DENIED,
        (allow(), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}),
    ),
    Case("a-policy-with-one-statement-may-leave-the-list-out", GRAMMAR, YES, (allow("s3:*"),)),
]

HOME = "arn:aws:s3:::lake/home/${aws:username}/*"
TEAM = "arn:aws:s3:::lake/${aws:PrincipalTag/team, 'all'}/*"
VARIABLE_CASES = [
    Case(
        "a-variable-in-a-resource",
        VARIABLES,
        YES,
        (allow("s3:*", HOME),),
        resource="arn:aws:s3:::lake/home/ann/x",
        keys={"aws:username": "ann"},
    ),
    Case(
        "another-ones-home",
        VARIABLES,
        NO,
        (allow("s3:*", HOME),),
        resource="arn:aws:s3:::lake/home/bob/x",
        keys={"aws:username": "ann"},
    ),
    Case(
        "a-variable-without-a-value",
        VARIABLES,
        NO,
        (allow("s3:*", HOME),),
        resource="arn:aws:s3:::lake/home//x",
    ),
    Case(
        "a-wildcard-in-a-variables-value-is-plain",
        VARIABLES,
        NO,
        (allow("s3:*", HOME),),
        resource="arn:aws:s3:::lake/home/bob/x",
        keys={"aws:username": "*"},
    ),
    Case(
        "a-tag-as-a-variable",
        VARIABLES,
        YES,
        (allow("s3:*", TEAM),),
        resource="arn:aws:s3:::lake/red/x",
        keys={"aws:PrincipalTag/team": "red"},
    ),
    Case("a-variables-default", VARIABLES, YES, (allow("s3:*", TEAM),), resource="arn:aws:s3:::lake/all/x"),
    Case(
        "the-default-is-for-those-without-a-value",
        VARIABLES,
        NO,
        (allow("s3:*", TEAM),),
        resource="arn:aws:s3:::lake/all/x",
        keys={"aws:PrincipalTag/team": "red"},
    ),
    Case(
        "an-escaped-star-is-a-star",
        VARIABLES,
        NO,
        (allow("s3:*", "arn:aws:s3:::lake/${*}"),),
        resource="arn:aws:s3:::lake/x",
    ),
    Case(
        "and-matches-one",
        VARIABLES,
        YES,
        (allow("s3:*", "arn:aws:s3:::lake/${*}"),),
        resource="arn:aws:s3:::lake/*",
    ),
    Case(
        "variables-of-the-old-version-are-text",
        VERSION,
        NO,
        (allow("s3:*", HOME),),
        resource="arn:aws:s3:::lake/home/ann/x",
        keys={"aws:username": "ann"},
        version="2008-10-17",
    ),
    condition(
        "a-variable-in-a-condition",
        TAGS,
        YES,
        ("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
        {"aws:ResourceTag/team": "red", "aws:PrincipalTag/team": "red"},
    ),
    condition(
        "of-another-team",
        TAGS,
        NO,
        ("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
        {"aws:ResourceTag/team": "red", "aws:PrincipalTag/team": "blue"},
    ),
    condition(
        "neither-has-the-tag",
        TAGS,
        NO,
        ("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
        {},
    ),
]

K = "aws:PrincipalTag/k"
CONDITION_CASES = [
    condition("a-string-equals", OPERATORS, YES, ("StringEquals", K, "v"), {K: "v"}),
    condition("strings-have-case", OPERATORS, NO, ("StringEquals", K, "v"), {K: "V"}),
    condition("no-wildcards-in-equals", OPERATORS, NO, ("StringEquals", K, "v*"), {K: "vw"}),
    condition("any-of-the-values", CONDITION, YES, ("StringEquals", K, ["u", "v"]), {K: "v"}),
    condition("keys-have-no-case", CONDITION, YES, ("StringEquals", "AWS:principaltag/K", "v"), {K: "v"}),
    condition("a-missing-key", OPERATORS, NO, ("StringEquals", K, "v"), {}),
    condition("if-exists-takes-a-missing-key", OPERATORS, YES, ("StringEqualsIfExists", K, "v"), {}),
    condition("if-exists-holds-one-that-is-there", OPERATORS, NO, ("StringEqualsIfExists", K, "v"), {K: "w"}),
    condition("not-equals", OPERATORS, YES, ("StringNotEquals", K, "v"), {K: "w"}),
    condition("not-equals-is-none-of-all", CONDITION, NO, ("StringNotEquals", K, ["v", "w"]), {K: "w"}),
    condition("not-equals-of-a-missing-key", OPERATORS, YES, ("StringNotEquals", K, "v"), {}),
    condition("a-deny-of-what-is-not-there", OPERATORS, DENIED, ("StringNotEquals", K, "v"), {}, "Deny"),
    condition("ignoring-case", OPERATORS, YES, ("StringEqualsIgnoreCase", K, "VaL"), {K: "val"}),
    condition("like", OPERATORS, YES, ("StringLike", K, "v?l*"), {K: "value"}),
    condition("like-matches-all-of-it", OPERATORS, NO, ("StringLike", K, "al"), {K: "value"}),
    condition("not-like", OPERATORS, NO, ("StringNotLike", K, "v*"), {K: "value"}),
    condition(
        "a-prefix-that-may-be-listed", S3_PREFIX, YES, ("StringLike", "s3:prefix", "data/*"), {"s3:prefix": "data/a"}
    ),
    condition("listing-without-a-prefix", S3_PREFIX, NO, ("StringLike", "s3:prefix", "data/*"), {}),
    condition("a-number", OPERATORS, YES, ("NumericEquals", "s3:max-keys", "10"), {"s3:max-keys": "10.0"}),
    condition("at-most", S3_PREFIX, YES, ("NumericLessThanEquals", "s3:max-keys", "10"), {"s3:max-keys": "10"}),
    condition("too-many", S3_PREFIX, NO, ("NumericLessThanEquals", "s3:max-keys", "10"), {"s3:max-keys": "100"}),
    condition("more-than", OPERATORS, NO, ("NumericGreaterThan", "s3:max-keys", 10), {"s3:max-keys": "10"}),
    condition("what-is-no-number", OPERATORS, NO, ("NumericLessThan", "s3:max-keys", "10"), {"s3:max-keys": "few"}),
    condition(
        "before-a-date",
        OPERATORS,
        YES,
        ("DateLessThan", "aws:CurrentTime", "2026-06-30T00:00:00Z"),
        {"aws:CurrentTime": "2026-06-29T23:59:59Z"},
    ),
    condition(
        "after-it",
        OPERATORS,
        NO,
        ("DateLessThan", "aws:CurrentTime", "2026-06-30T00:00:00Z"),
        {"aws:CurrentTime": "2026-06-30T00:00:00Z"},
    ),
    condition(
        "dates-of-other-zones",
        OPERATORS,
        YES,
        ("DateEquals", "aws:CurrentTime", "2026-06-30T02:00:00+02:00"),
        {"aws:CurrentTime": "2026-06-30T00:00:00Z"},
    ),
    condition(
        "dates-in-seconds",
        OPERATORS,
        YES,
        ("DateGreaterThan", "aws:EpochTime", "1782777600"),
        {"aws:EpochTime": "1782777601"},
    ),
    condition("a-boolean", OPERATORS, YES, ("Bool", "aws:SecureTransport", "true"), {"aws:SecureTransport": "true"}),
    condition("json-booleans", OPERATORS, YES, ("Bool", "aws:SecureTransport", True), {"aws:SecureTransport": "true"}),
    condition("bytes", OPERATORS, YES, ("BinaryEquals", "aws:PrincipalTag/k", "QmluYXJ5"), {K: "QmluYXJ5"}),
    condition(
        "an-address", OPERATORS, YES, ("IpAddress", "aws:SourceIp", "203.0.113.0/24"), {"aws:SourceIp": "203.0.113.9"}
    ),
    condition(
        "one-outside", OPERATORS, NO, ("IpAddress", "aws:SourceIp", "203.0.113.0/24"), {"aws:SourceIp": "203.0.114.9"}
    ),
    condition(
        "not-from-here",
        OPERATORS,
        DENIED,
        ("NotIpAddress", "aws:SourceIp", ["203.0.113.0/24", "2001:db8::/32"]),
        {"aws:SourceIp": "198.51.100.1"},
        "Deny",
    ),
    condition(
        "from-here-by-ipv6",
        OPERATORS,
        YES,
        ("NotIpAddress", "aws:SourceIp", ["203.0.113.0/24", "2001:db8::/32"]),
        {"aws:SourceIp": "2001:db8::1"},
        "Deny",
    ),
    condition(
        "an-arn-like",
        OPERATORS,
        YES,
        ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*"),
        {"aws:PrincipalArn": ROLE},
    ),
    condition(
        "arn-equals-has-wildcards-too",
        OPERATORS,
        YES,
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/o?s"),
        {"aws:PrincipalArn": ROLE},
    ),
    condition(
        "arns-are-checked-part-by-part",
        OPERATORS,
        NO,
        ("ArnLike", "aws:PrincipalArn", "arn:aws:*:role/ops"),
        {"aws:PrincipalArn": ROLE},
    ),
    condition(
        "arn-not-like",
        OPERATORS,
        DENIED,
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/admin*"),
        {"aws:PrincipalArn": ROLE},
        "Deny",
    ),
    condition("null-wants-it-missing", OPERATORS, YES, ("Null", "aws:TokenIssueTime", "true"), {}),
    condition("null-found-it", OPERATORS, NO, ("Null", "aws:TokenIssueTime", "true"), {"aws:TokenIssueTime": "2026"}),
    condition("null-false-wants-it", OPERATORS, NO, ("Null", "aws:TokenIssueTime", "false"), {}),
    Case(
        "all-keys-of-an-operator-must-hold",
        CONDITION,
        NO,
        (allow(Condition={"StringEquals": {K: "v", "aws:username": "ann"}}),),
        keys={K: "v", "aws:username": "bob"},
    ),
    Case(
        "all-operators-must-hold",
        CONDITION,
        NO,
        (allow(Condition={"StringEquals": {K: "v"}, "Bool": {"aws:SecureTransport": "true"}}),),
        keys={K: "v", "aws:SecureTransport": "false"},
    ),
]

TAG_KEYS = "aws:TagKeys"
SEVERAL_CASES = [
    condition(
        "all-of-them-are-among", SEVERAL, YES, ("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"]), {TAG_KEYS: ("a",)}
    ),
    condition("one-is-not", SEVERAL, NO, ("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"]), {TAG_KEYS: ("a", "c")}),
    condition("all-of-none", SEVERAL, YES, ("ForAllValues:StringEquals", TAG_KEYS, "a"), {}),
    condition("any-of-them", SEVERAL, YES, ("ForAnyValue:StringEquals", TAG_KEYS, "a"), {TAG_KEYS: ("a", "c")}),
    condition("none-of-them", SEVERAL, NO, ("ForAnyValue:StringEquals", TAG_KEYS, "a"), {TAG_KEYS: ("b", "c")}),
    condition("any-of-none", SEVERAL, NO, ("ForAnyValue:StringEquals", TAG_KEYS, "a"), {}),
    condition("any-of-none-in-a-deny", SEVERAL, YES, ("ForAnyValue:StringNotEquals", TAG_KEYS, "a"), {}, "Deny"),
    condition(
        "one-is-another",
        SEVERAL,
        DENIED,
        ("ForAnyValue:StringNotEquals", TAG_KEYS, "a"),
        {TAG_KEYS: ("a", "b")},
        "Deny",
    ),
    condition(
        "any-like", SEVERAL, YES, ("ForAnyValue:StringLike", TAG_KEYS, "cost-*"), {TAG_KEYS: ("x", "cost-center")}
    ),
    Case(
        "tags-as-wanted-and-no-other",
        REQUEST_TAGS,
        YES,
        (
            allow(
                Condition={
                    "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
                    "ForAllValues:StringEquals": {TAG_KEYS: ["team", "Name"]},
                }
            ),
        ),
        action="ec2:CreateTags",
        resource=INSTANCE,
        keys={"aws:RequestTag/team": "red", TAG_KEYS: ("team",)},
    ),
    Case(
        "with-another-tag",
        REQUEST_TAGS,
        NO,
        (
            allow(
                Condition={
                    "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
                    "ForAllValues:StringEquals": {TAG_KEYS: ["team", "Name"]},
                }
            ),
        ),
        action="ec2:CreateTags",
        resource=INSTANCE,
        keys={"aws:RequestTag/team": "red", TAG_KEYS: ("team", "admin")},
    ),
    Case(
        "instances-of-the-own-team",
        EC2,
        YES,
        (allow("ec2:*", "*", Condition={"StringEquals": {"ec2:ResourceTag/team": "red"}}),),
        action="ec2:TerminateInstances",
        resource=INSTANCE,
        keys={"ec2:ResourceTag/team": "red"},
    ),
    Case(
        "instances-of-another",
        EC2,
        NO,
        (allow("ec2:*", "*", Condition={"StringEquals": {"ec2:ResourceTag/team": "red"}}),),
        action="ec2:TerminateInstances",
        resource=INSTANCE,
        keys={"ec2:ResourceTag/team": "blue"},
    ),
]

ISSUER = "oidc.example.org/id"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
WEB_ASKER = Asker(federated=PROVIDER)
ASSUME: dict[str, Any] = {"action": "sts:AssumeRole", "resource": ROLE}
TRUST_CASES = [
    Case("a-role-that-trusts-the-user", PRINCIPAL, YES, trust=(trusting({"AWS": USER}),), **ASSUME),
    Case("a-role-that-does-not", PRINCIPAL, NO, (allow(),), trust=(trusting({"AWS": f"{USER}e"}),), **ASSUME),
    Case("a-role-that-trusts-the-account", PRINCIPAL, NO, trust=(trusting({"AWS": ACCOUNT}),), **ASSUME),
    Case("and-a-user-who-may", PRINCIPAL, YES, (allow("sts:*", ROLE),), trust=(trusting({"AWS": ACCOUNT}),), **ASSUME),
    Case("a-user-who-may-not", LOGIC, DENIED, (deny("sts:*"),), trust=(trusting({"AWS": USER}),), **ASSUME),
    Case(
        "the-external-id",
        EXTERNAL,
        YES,
        trust=(trusting({"AWS": USER}, Condition={"StringEquals": {"sts:ExternalId": "42"}}),),
        keys={"sts:ExternalId": "42"},
        **ASSUME,
    ),
    Case(
        "no-external-id",
        EXTERNAL,
        NO,
        trust=(trusting({"AWS": USER}, Condition={"StringEquals": {"sts:ExternalId": "42"}}),),
        **ASSUME,
    ),
    Case(
        "a-service",
        PRINCIPAL,
        YES,
        asker=Asker(service="ec2.amazonaws.com"),
        trust=(trusting({"Service": "ec2.amazonaws.com"}),),
        **ASSUME,
    ),
    Case(
        "another-service",
        PRINCIPAL,
        NO,
        asker=Asker(service="ec2.amazonaws.com"),
        trust=(trusting({"Service": "lambda.amazonaws.com"}),),
        **ASSUME,
    ),
    Case(
        "tagging-a-session-is-an-action-of-its-own",
        SESSION_TAGS,
        NO,
        action="sts:TagSession",
        resource=ROLE,
        trust=(trusting({"AWS": USER}),),
    ),
    Case(
        "that-the-trust-policy-allows",
        SESSION_TAGS,
        YES,
        action="sts:TagSession",
        resource=ROLE,
        trust=(trusting({"AWS": USER}, ["sts:AssumeRole", "sts:TagSession"]),),
    ),
    Case(
        "a-web-identity",
        WEB,
        YES,
        action="sts:AssumeRoleWithWebIdentity",
        resource=ROLE,
        asker=WEB_ASKER,
        trust=(
            trusting(
                {"Federated": PROVIDER},
                "sts:AssumeRoleWithWebIdentity",
                Condition={"StringEquals": {f"{ISSUER}:aud": "hcluster", f"{ISSUER}:sub": "repo:main"}},
            ),
        ),
        keys={f"{ISSUER}:aud": "hcluster", f"{ISSUER}:sub": "repo:main"},
    ),
    Case(
        "another-subject",
        WEB,
        NO,
        action="sts:AssumeRoleWithWebIdentity",
        resource=ROLE,
        asker=WEB_ASKER,
        trust=(
            trusting(
                {"Federated": PROVIDER},
                "sts:AssumeRoleWithWebIdentity",
                Condition={"StringEquals": {f"{ISSUER}:sub": "repo:main"}},
            ),
        ),
        keys={f"{ISSUER}:sub": "repo:fork"},
    ),
    Case(
        "everybody-with-keys-is-no-web-identity",
        PRINCIPAL,
        NO,
        action="sts:AssumeRoleWithWebIdentity",
        resource=ROLE,
        asker=WEB_ASKER,
        trust=(trusting({"AWS": "*"}, "sts:AssumeRoleWithWebIdentity"),),
    ),
]

CASES = [
    *LOGIC_CASES,
    *RESOURCE_POLICY_CASES,
    *ELEMENT_CASES,
    *VARIABLE_CASES,
    *CONDITION_CASES,
    *SEVERAL_CASES,
    *TRUST_CASES,
]


def policy(statements: tuple[Statement, ...] | None, version: str) -> Policy | None:
    return Policy("p", document(*statements, version=version)) if statements else None


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_policies_are_evaluated_as_aws_documents(case: Case) -> None:
    assert case.page.startswith("https://docs.aws.amazon.com/")
    identity = policy(case.identity, case.version)
    session = policy(case.session, case.version)
    known = Policies(
        [identity] if identity else [],
        policy(case.boundary, case.version),
        [session] if session else None,
        policy(case.bucket, case.version),
        policy(case.trust, case.version),
        case.owner,
    )
    found = decide(known, case.asker, case.action, case.resource, context(case.keys))
    assert found.outcome == case.expected, found
    assert bool(found.reason) == (case.expected != YES), "a refusal says why"
    assert bool(found.matched) == (case.expected != NO)


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        ("arn:aws:s3:::b/" + "*a" * 12 + "*b", "arn:aws:s3:::b/" + "a" * 1000),
        ("arn:" + "*:" * 4 + "*:*b", "arn" + ":" * 1000),
    ],
)
def test_a_pattern_of_many_wildcards_is_soon_found_not_to_fit(resource: str, asked: str) -> None:
    known = Policies([Policy("p", document(allow(resource=resource)))])
    began = time.monotonic()
    assert not decide(known, Asker(), "s3:GetObject", asked, {}).allowed
    assert time.monotonic() - began < 1


def test_the_table_has_more_than_a_hundred_cases_each_with_its_own_name() -> None:
    assert len({case.id for case in CASES}) == len(CASES) > 100


IDENTITY, TRUST, BUCKET = "identity", "trust", "resource"
S = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def changed(**more: Any) -> Statement:
    return {key: value for key, value in (S | more).items() if value is not None}


REFUSED: list[tuple[str, Any, str, str]] = [
    ("StringMatches", document(changed(Condition={"StringMatches": {K: "v"}})), IDENTITY, OPERATORS),
    ("ForSomeValues", document(changed(Condition={"ForSomeValues:StringEquals": {K: "v"}})), IDENTITY, SEVERAL),
    ("Null cannot be combined", document(changed(Condition={"NullIfExists": {K: "true"}})), IDENTITY, OPERATORS),
    ("'soon' is no date", document(changed(Condition={"DateLessThan": {K: "soon"}})), IDENTITY, OPERATORS),
    ("'many' is no number", document(changed(Condition={"NumericEquals": {K: "many"}})), IDENTITY, OPERATORS),
    ("is no IP address", document(changed(Condition={"IpAddress": {K: "here"}})), IDENTITY, OPERATORS),
    ("neither true nor false", document(changed(Condition={"Bool": {K: "maybe"}})), IDENTITY, OPERATORS),
    ("'team' in", document(changed(Condition={"StringEquals": {"team": "v"}})), IDENTITY, KEYS),
    ("no closing brace", document(changed(Resource="arn:aws:s3:::b/${aws:username")), IDENTITY, VARIABLES),
    ("is no policy variable", document(changed(Resource="arn:aws:s3:::b/${}")), IDENTITY, VARIABLES),
    ("Allow or Deny", document(changed(Effect="allow")), IDENTITY, GRAMMAR),
    ("Resources in", document(changed(Resources="*")), IDENTITY, GRAMMAR),
    ("both Action and NotAction", document(changed(NotAction="s3:*")), IDENTITY, GRAMMAR),
    ("no Resource", document(changed(Resource=None)), IDENTITY, GRAMMAR),
    ("ARN format", document(changed(Resource="lake/*")), IDENTITY, RESOURCE),
    ("prefaced by a vendor", document(changed(Action="GetObject")), IDENTITY, ACTION),
    ("must be unique", document(changed(Sid="a"), changed(Sid="a")), IDENTITY, GRAMMAR),
    ("version", document(S, version="2026-01-01"), IDENTITY, VERSION),
    ("Syntax errors", "{", IDENTITY, GRAMMAR),
    ("no Statement", '{"Version": "2012-10-17"}', IDENTITY, GRAMMAR),
    ("given twice", '{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', IDENTITY, GRAMMAR),
    ("should not specify a principal", document(changed(Principal="*")), IDENTITY, PRINCIPAL),
    ("Missing required field Principal", document(S), BUCKET, PRINCIPAL),
    ("Invalid principal", document(changed(Principal={"AWS": "arn:aws:iam::123456789012:user/*"})), BUCKET, PRINCIPAL),
    ("Invalid principal", document(changed(Principal={"Team": "red"})), BUCKET, PRINCIPAL),
    ("effect Deny only", document(changed(NotPrincipal={"AWS": ACCOUNT})), BUCKET, NOT_PRINCIPAL),
    ("may only specify STS", document(trusting("*", "s3:GetObject")), TRUST, PRINCIPAL),
    ("prohibited field Resource", document(changed(Principal="*", Action="sts:AssumeRole")), TRUST, PRINCIPAL),
]


@pytest.mark.parametrize(("named", "text", "kind", "page"), REFUSED, ids=[f"{n}-{k}" for n, _, k, _ in REFUSED])
def test_what_cannot_be_evaluated_is_refused_and_named(named: str, text: str, kind: Any, page: str) -> None:
    assert page.startswith("https://docs.aws.amazon.com/")
    with pytest.raises(PolicyError, match=named.replace("$", r"\$")):
        parse(text, kind)
