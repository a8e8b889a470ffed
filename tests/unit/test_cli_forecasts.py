"""Plans as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hcluster.cli.output.forecasts import dollars, expected_text, forecast_text, price_line
from hcluster.model.actions import Action
from hcluster.model.forecast import Amount, Cost, Expected, Forecast, GroupCost

AT = datetime(2026, 11, 22, 3, 20, tzinfo=UTC)
CORE = GroupCost("core", 2, 3, Amount(0.06, 0.06), Amount(0.09, 0.1), Amount(0.03, 0.04), Amount(0.288, 0.288), None)
COST = Cost((CORE, GroupCost("total", 2, 3, *([None] * 5))), AT, AT, ("m9.large: not among the listed prices",))
LAUNCH = Action("launch", "core", 1, "launch 1 spot node (m5.large)", "2 of 3 are there", "live")
PENDING = Action("pending", "task", 4, "replace 4 nodes by spot nodes", "type", "replace-nodes", batches=4)


@pytest.mark.parametrize(
    ("amount", "signed", "text"),
    [
        (Amount(0, 0), True, "0.00"),
        (Amount(0.192, 0.192), False, "0.192"),
        (Amount(0.1, 0.1), True, "+0.10"),
        (Amount(-0.26, -0.26), True, "-0.26"),
        (Amount(0.03123, 0.04), False, "0.0312 to 0.04"),
        (Amount(-0.01, 0.02), True, "-0.01 to +0.02"),
        (Amount(0.00001, 0.00001), True, "0.00"),
        (Amount(12, 12), False, "12.00"),
        (None, True, "unknown"),
    ],
)
def test_amounts_have_two_to_four_digits_and_ranges_both_ends(amount: Amount | None, signed: bool, text: str) -> None:
    assert dollars(amount, signed=signed) == text


def test_a_plan_tells_actions_prices_their_sources_seconds_and_that_nothing_was_done() -> None:
    expected = Expected(64.2, 58, 71, 5, "grow of 1 node")
    lines = forecast_text(Forecast("flights", "up", (LAUNCH, PENDING), COST, expected), "hcluster up f.yaml").split(
        "\n"
    )
    assert lines == [
        "   GROUP  ACTION                                       REASON",
        "1  core   launch 1 spot node (m5.large)                2 of 3 are there",
        "2  task   replace 4 nodes by spot nodes, in 4 batches  not without --replace: type",
        "",
        "USD AN HOUR  NODES    BEFORE             AFTER          DIFFERENCE  ALL ON-DEMAND  ALL SPOT",
        "core         2 -> 3   0.0600  0.0900 to 0.1000  +0.0300 to +0.0400         0.2880   unknown",
        "total        2 -> 3  unknown           unknown             unknown        unknown   unknown",
        "on-demand: price list of 2026-11-22; spot: present prices, 2026-11-22 03:20 UTC; they move",
        "unknown: m9.large: not among the listed prices",
        "not included: EBS volumes, S3, data transfer, the platform's own node",
        "",
        "expected: 64 s (median of 5 earlier runs: grow of 1 node, 58 to 71 s)",
        "",
        "Nothing was changed. To do it: hcluster up f.yaml",
    ]


def test_a_plan_without_anything_to_do_says_so() -> None:
    nothing = Cost((GroupCost("total", 0, 0, *([Amount(0, 0)] * 5)),))
    text = forecast_text(Forecast("flights", "up", (), nothing, Expected(None)), "hcluster up f.yaml")
    assert text.startswith("flights: nothing to do\n")
    assert "USD" not in text, "what is not there has no price"
    assert text.endswith("Nothing was changed.")
    only = forecast_text(Forecast("flights", "up", (PENDING,), nothing, Expected(None)), "hcluster up f.yaml")
    assert only.endswith("Nothing was changed."), "what is pending is not done by the same command"


def test_seconds_say_of_how_many_runs_they_are() -> None:
    assert expected_text(Expected(None)) == "expected: unknown, there was no run like this yet"
    assert expected_text(Expected(9, 9, 9, 1, "down of 3 nodes")) == "expected: 9 s (1 earlier run: down of 3 nodes)"


def test_the_whole_price_fits_into_a_line() -> None:
    cost = Cost((GroupCost("total", 2, 3, Amount(0.06, 0.06), Amount(0.09, 0.1), None, None, None),))
    assert price_line(cost) == "0.09 to 0.10 USD an hour instead of 0.06"
