"""Rules of what is broken on purpose: what each does, by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import LocalCloudError, UsageError
from hcluster.localcloud.api.effects import (
    Bucket,
    Call,
    Clock,
    Delay,
    Failure,
    Lag,
    Shortage,
    Throttle,
    draw,
    effect_of,
    take,
    throttled,
    to_json,
)
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.rules import Rules
from hcluster.localcloud.api.s3.request import operation_of, parse_query, split_path

ADMIN = "arn:aws:iam::123456789012:user/admin"


class Clockwork:
    """A clock that only moves when something sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clockwork:
    return Clockwork()


@pytest.fixture
def rules(tmp_path: Path, clock: Clockwork) -> Rules:
    return _rules(tmp_path, clock)


def _rules(folder: Path, clock: Clockwork) -> Rules:
    return Rules(folder, lambda: clock.now, clock.sleep)


def _codes(rules: Rules, count: int, action: str = "RunInstances", service: str = "ec2") -> list[str]:
    found = []
    for _ in range(count):
        try:
            rules.before(service, action, ADMIN)
        except Fault as fault:
            found.append(fault.code)
        else:
            found.append("")
    return found


def test_without_rules_nothing_happens(rules: Rules, tmp_path: Path) -> None:
    assert _codes(rules, 3) == ["", "", ""]
    rules.after("ec2", "RunInstances", ADMIN)
    assert (rules.lag(), rules.clock().total_seconds(), rules.capacity("m5.large", "us-east-1a", "spot")) == (
        0,
        0,
        None,
    )
    rules.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pattern", "service", "action", "fits"),
    [
        ("RunInstances", "ec2", "RunInstances", True),
        ("ec2:RunInstances", "ec2", "RunInstances", True),
        ("EC2:runinstances", "ec2", "RunInstances", True),
        ("ec2:Describe*", "ec2", "DescribeImages", True),
        ("ec2:Describe*", "ec2", "RunInstances", False),
        ("s3:*", "ec2", "RunInstances", False),
        ("*", "iam", "GetRole", True),
        ("*:Get*", "s3", "GetObject", True),
    ],
)
def test_actions_are_named_as_in_policies(pattern: str, service: str, action: str, *, fits: bool) -> None:
    assert Delay(pattern, 1).covers(Call(service, action, ADMIN)) is fits


def test_a_rule_can_be_about_some_callers_only() -> None:
    rule = Delay("*", 1, principal="*:assumed-role/*")
    assert rule.covers(Call("s3", "GetObject", "arn:aws:sts::1:assumed-role/node/i-1"))
    assert not rule.covers(Call("s3", "GetObject", ADMIN))


def test_a_bucket_holds_its_burst_and_refills_at_its_rate() -> None:
    bucket: Bucket | None = None
    told = []
    for at in (0, 0, 0, 0, 0.4, 0.5, 0.6, 10, 10, 10, 10):
        bucket, there = take(bucket, (3, 2), at)
        told.append(there)
    assert told == [True, True, True, False, False, True, False, True, True, True, False]


def test_a_clock_that_goes_back_gives_no_tokens_and_takes_none() -> None:
    bucket, there = take(Bucket(1, 100), (5, 1), 50)
    assert there
    assert bucket == Bucket(0, 50)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "RequestLimitExceeded", 503),
        ("s3", "SlowDown", 503),
        ("iam", "Throttling", 400),
        ("ssm", "ThrottlingException", 400),
    ],
)
def test_each_service_has_its_own_word_for_too_many_requests(service: str, code: str, status: int) -> None:
    fault = throttled(service)
    assert (fault.code, fault.status) == (code, status)


def test_each_action_has_a_bucket_of_its_own(rules: Rules, clock: Clockwork) -> None:
    rules.add(Throttle("ec2:*", rate=1, burst=2), "me")
    assert _codes(rules, 3) == ["", "", "RequestLimitExceeded"]
    assert _codes(rules, 1, "DescribeInstances") == [""]
    clock.now += 1
    assert _codes(rules, 2) == ["", "RequestLimitExceeded"]
    assert rules.all()[0].hits == 2
    assert rules.all()[0].seen == 6


@pytest.mark.parametrize(
    ("action", "burst", "rate"),
    [
        ("RunInstances", 5, 2),
        ("DescribeInstances", 100, 20),
        ("GetConsoleOutput", 100, 20),
        ("CreateFleet", 50, 5),
        ("CreateTags", 100, 10),
    ],
)
def test_each_action_has_the_bucket_that_ec2_documents(
    rules: Rules, clock: Clockwork, action: str, burst: int, rate: int
) -> None:
    rules.add(Throttle("ec2:*", as_aws=True), "me")
    assert _codes(rules, burst + 1, action) == [""] * burst + ["RequestLimitExceeded"]
    clock.now += 1
    assert _codes(rules, rate + 1, action) == [""] * rate + ["RequestLimitExceeded"]


def _launch(rules: Rules, action: str, form: str) -> str:
    try:
        rules.before("ec2", action, ADMIN, f"Action={action}&Version=2016-11-15&{form}".encode())
    except Fault as fault:
        return fault.code
    return ""


def test_a_launch_takes_a_token_for_each_instance_too(rules: Rules, clock: Clockwork) -> None:
    rules.add(Throttle("ec2:*", as_aws=True), "me")
    assert _launch(rules, "RunInstances", "MinCount=1&MaxCount=900") == ""
    assert _launch(rules, "RunInstances", "MinCount=1&MaxCount=101") == "RequestLimitExceeded"
    assert _launch(rules, "RunInstances", "MinCount=1&MaxCount=100") == ""
    clock.now += 2
    assert _launch(rules, "RunInstances", "MinCount=1&MaxCount=5") == "RequestLimitExceeded"
    assert _launch(rules, "RunInstances", "MinCount=1&MaxCount=4") == ""


def test_ending_takes_tokens_by_the_ids_that_are_named(rules: Rules, clock: Clockwork) -> None:
    rules.add(Throttle("ec2:*", as_aws=True), "me")
    many = "&".join(f"InstanceId.{n}=i-{n:017x}" for n in range(1, 1001))
    assert _launch(rules, "TerminateInstances", many) == ""
    assert _launch(rules, "TerminateInstances", "InstanceId.1=i-1") == "RequestLimitExceeded"
    clock.now += 1
    assert _launch(rules, "TerminateInstances", "&".join(f"InstanceId.{n}=i-{n}" for n in range(1, 21))) == ""


def test_reading_everything_has_a_smaller_bucket_than_reading_by_filter(rules: Rules) -> None:
    rules.add(Throttle("ec2:*", as_aws=True), "me")
    bare = [_launch(rules, "DescribeInstances", "") for _ in range(51)]
    assert bare == [""] * 50 + ["RequestLimitExceeded"]
    narrow = [_launch(rules, "DescribeInstances", "MaxResults=5") for _ in range(101)]
    assert narrow == [""] * 100 + ["RequestLimitExceeded"]


def test_an_error_can_strike_the_first_requests_only(rules: Rules) -> None:
    rules.add(Failure("ec2:RunInstances", "InsufficientInstanceCapacity", times=2), "me")
    assert _codes(rules, 3) == ["InsufficientInstanceCapacity", "InsufficientInstanceCapacity", ""]
    assert _codes(rules, 1, "DescribeInstances") == [""]


def test_an_error_with_a_probability_strikes_about_as_often_and_the_same_in_each_run(
    tmp_path: Path, clock: Clockwork
) -> None:
    runs = []
    for name in ("a", "b"):
        rules = _rules(tmp_path / name, clock)
        rules.add(Failure("*", "InternalError", probability=0.3), "me")
        runs.append(_codes(rules, 1000))
    assert runs[0] == runs[1]
    assert 250 < runs[0].count("InternalError") < 350


def test_known_errors_come_with_their_status_and_others_as_told() -> None:
    call = Call("ec2", "RunInstances", ADMIN)
    assert Failure("*", "Unavailable").fault(call).status == 503
    fault = Failure("*", "Odd", status=418, message="why not").fault(call)
    assert (fault.code, fault.status, fault.message) == ("Odd", 418, "why not")
    assert Failure("*", "Odd").fault(call).status == 400


def test_an_error_after_the_effect_is_not_raised_before_it(rules: Rules) -> None:
    rules.add(Failure("*", "InternalError", after=True, times=1), "me")
    assert _codes(rules, 1) == [""]
    with pytest.raises(Fault, match="InternalError"):
        rules.after("ec2", "RunInstances", ADMIN)
    rules.after("ec2", "RunInstances", ADMIN)


def test_delays_add_up_and_their_jitter_follows_from_the_seed(rules: Rules, clock: Clockwork) -> None:
    rules.add(Delay("ec2:*", 1, jitter=0.5, seed=7), "me")
    rules.add(Delay("*", 2), "me")
    _codes(rules, 2)
    assert clock.slept == [pytest.approx(3 + 0.5 * draw(7, n)) for n in (0, 1)]
    assert clock.slept[0] != clock.slept[1]


def test_what_is_throttled_does_not_wait(rules: Rules, clock: Clockwork) -> None:
    rules.add(Delay("*", 5), "me")
    rules.add(Throttle("*", rate=0, burst=0), "me")
    assert _codes(rules, 1) == ["RequestLimitExceeded"]
    assert clock.slept == []


def test_a_shortage_names_type_zone_and_market(rules: Rules) -> None:
    rules.add(Shortage("m5.*", "us-east-1a", "spot"), "me")
    assert rules.shortage("m5.large", "us-east-1a", "spot")
    assert not rules.shortage("m5.large", "us-east-1b", "spot")
    assert not rules.shortage("m5.large", "us-east-1a", "on-demand")
    assert not rules.shortage("r5.large", "us-east-1a", "spot")


def test_capacity_that_is_left_is_used_up_and_the_scarcer_rule_wins(rules: Rules) -> None:
    rules.add(Shortage("m5.*", left=3), "me")
    rules.add(Shortage("*", left=5), "me")
    assert rules.capacity("m5.large", "us-east-1a", "spot") == 3
    rules.took("m5.large", "us-east-1a", "spot", 2)
    assert rules.capacity("m5.large", "us-east-1a", "spot") == 1
    assert rules.capacity("r5.large", "us-east-1a", "spot") == 3
    rules.took("m5.large", "us-east-1a", "spot", 9)
    assert rules.shortage("m5.large", "us-east-1b", "on-demand")


def test_the_longest_lag_counts_and_clocks_add_up(rules: Rules) -> None:
    rules.add(Lag(2), "me")
    rules.add(Lag(5), "me")
    rules.add(Clock(60), "me")
    rules.add(Clock(-20), "me")
    assert rules.lag() == 5
    assert rules.clock().total_seconds() == 40


def test_a_rule_ends_by_itself_when_its_time_is_over(rules: Rules, clock: Clockwork) -> None:
    rules.add(Lag(5), "me", seconds=60)
    clock.now += 59
    assert rules.lag() == 5
    clock.now += 1
    assert rules.lag() == 0
    assert rules.all() == []


def test_rules_and_what_they_counted_outlast_the_process(rules: Rules, tmp_path: Path, clock: Clockwork) -> None:
    rules.add(Failure("*", "InternalError", times=2), "me")
    rules.add(Shortage("m5.*", left=2), "you", seconds=600)
    rules.discard([rules.add(Lag(1), "me").id])
    _codes(rules, 1)
    rules.took("m5.large", "us-east-1a", "spot")
    rules.close()
    again = _rules(tmp_path, clock)
    assert again.all() == rules.all()
    assert _codes(again, 2) == ["InternalError", ""]
    assert again.capacity("m5.large", "us-east-1a", "spot") == 1
    assert again.add(Lag(1), "me").id == "f4"
    assert (tmp_path / "faults.json").stat().st_mode & 0o777 == 0o600


def test_what_was_removed_does_nothing_any_more(rules: Rules) -> None:
    rule = rules.add(Failure("*", "InternalError"), "me")
    rules.discard([rule.id])
    assert _codes(rules, 1) == [""]
    rules.discard([rule.id])
    assert rules.all() == []


def test_a_rule_that_cannot_be_kept_is_not_in_force(tmp_path: Path, clock: Clockwork) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    rules = _rules(tmp_path, clock)
    rules._file = blocked / "faults.json"
    with pytest.raises(OSError, match="file"):
        rules.add(Lag(1), "me")
    assert rules.all() == []


def test_a_file_that_cannot_be_read_is_named_with_its_cure(tmp_path: Path, clock: Clockwork) -> None:
    (tmp_path / "faults.json").write_text("{")
    with pytest.raises(LocalCloudError, match=r"faults\.json cannot be read") as raised:
        _rules(tmp_path, clock)
    assert "remove that file" in raised.value.hint


EFFECTS: list[tuple[str, dict[str, Any]]] = [
    ("shortage", {"instance_type": "m5.*", "left": 2}),
    ("throttle", {"action": "ec2:*", "rate": 1, "burst": 2.5}),
    ("error", {"action": "*", "code": "X", "times": 3, "after": True}),
    ("delay", {"action": "*", "seconds": 1}),
    ("lag", {"seconds": 3}),
    ("clock", {"seconds": -3}),
    ("node", {"instance_id": "i-1", "how": "frozen"}),
    ("interruption", {"instance_id": "i-1", "noticed": 1, "at": 2}),
]


@pytest.mark.parametrize(("kind", "values"), EFFECTS)
def test_each_effect_goes_through_json_and_says_what_it_is(kind: str, values: dict[str, Any]) -> None:
    effect = effect_of(kind, values)
    document = json.loads(json.dumps(to_json(effect)))
    assert effect_of(document.pop("kind"), document) == effect
    assert effect.text()


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("flood", {}, "there is no fault 'flood'"),
        ("lag", {}, "'seconds' is missing"),
        ("lag", {"seconds": "1"}, "'seconds' must be float"),
        ("lag", {"seconds": -1}, "a lag is"),
        ("lag", {"seconds": True}, "'seconds' must be float"),
        ("lag", {"seconds": 1, "more": 1}, "unknown: more"),
        ("shortage", {"market": "black"}, "the market is one of"),
        ("shortage", {"left": -1}, "negative"),
        ("throttle", {"action": "*", "rate": -1}, "0 or more"),
        ("error", {"action": "*", "code": ""}, "needs a code"),
        ("error", {"action": "*", "code": "X", "probability": 0}, "probability"),
        ("error", {"action": "*", "code": "X", "status": 200}, "400 to 599"),
        ("delay", {"action": "*", "seconds": 601}, "600 seconds"),
        ("node", {"instance_id": "i-1", "how": "eaten"}, "eaten"),
        ("interruption", {"instance_id": "i-1", "noticed": 1, "reason": "war"}, "war"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        effect_of(kind, values)


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("GET", "/b", "list-type=2&prefix=a%2F", "ListObjectsV2"),
        ("GET", "/b", "prefix=versions", "ListObjects"),
        ("GET", "/b/", "versions", "ListObjectVersions"),
        ("GET", "/b", "policy", "GetBucketPolicy"),
        ("PUT", "/b", "publicAccessBlock", "PutPublicAccessBlock"),
        ("PUT", "/b", "", "CreateBucket"),
        ("POST", "/b", "delete", "DeleteObjects"),
        ("HEAD", "/b", "", "HeadBucket"),
        ("GET", "/b/a/b", "", "GetObject"),
        ("PUT", "/b/a", "", "PutObject"),
        ("PUT", "/b/a", "partNumber=1&uploadId=x", "UploadPart"),
        ("POST", "/b/a", "uploads", "CreateMultipartUpload"),
        ("POST", "/b/a", "uploadId=x", "CompleteMultipartUpload"),
        ("DELETE", "/b/a", "tagging", "DeleteObjectTagging"),
        ("HEAD", "/b/a", "", "HeadObject"),
    ],
)
def test_operations_of_s3_are_told_by_method_path_and_query(method: str, path: str, query: str, operation: str) -> None:
    assert operation_of(method, *split_path(path), parse_query(query), {}) == operation
