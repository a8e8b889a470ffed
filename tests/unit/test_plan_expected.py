"""How long a run is likely to take, judged by earlier ones."""

from __future__ import annotations

from hcluster.model.actions import Action, Kind
from hcluster.model.forecast import Expected, Run
from hcluster.plan.expected import NEWEST, expected, kind_of, nodes_of


def run(seconds: float, nodes: int = 3, kind: str = "launch", image: str = "ami-1", at: float = 0) -> Run:
    return Run(kind, "flights", "l", nodes, image, seconds, at)


def action(kind: Kind, count: int = 1) -> Action:
    return Action(kind, "core", count, "", "")


def test_the_median_of_runs_of_the_same_size_from_the_same_image() -> None:
    runs = [run(60), run(70), run(62), run(200, image="ami-2"), run(300, nodes=30), run(1, kind="down")]
    found = expected(runs, kind="launch", nodes=3, image="ami-1")
    assert found == Expected(62, 60, 70, 3, "launch of 3 nodes from this image")


def test_another_image_counts_when_this_one_was_never_launched() -> None:
    found = expected([run(60), run(70)], kind="launch", nodes=3, image="ami-9")
    assert (found.seconds, found.runs, found.like) == (65, 2, "launch of 3 nodes")


def test_about_as_many_nodes_and_then_any_number_count_when_there_is_nothing_nearer() -> None:
    assert expected([run(60, 4), run(90, 30)], kind="launch", nodes=5).like == "launch of about 5 nodes"
    found = expected([run(60, 4), run(90, 30)], kind="launch", nodes=100)
    assert (found.seconds, found.like) == (75, "launch of other sizes")


def test_the_newest_runs_count() -> None:
    old = [run(1000, at=number) for number in range(NEWEST)]
    new = [run(50, at=100 + number) for number in range(NEWEST)]
    assert expected(new + old, kind="launch", nodes=3, image="ami-1").seconds == 50


def test_without_history_and_without_anything_to_do_nothing_is_expected() -> None:
    assert expected([], kind="launch", nodes=3) == Expected(None)
    assert expected([run(60, kind="")], kind="", nodes=0) == Expected(None)


def test_one_node_is_one_node() -> None:
    assert expected([run(9, 1)], kind="launch", nodes=1, image="ami-1").like == "launch of 1 node from this image"


def test_a_run_is_named_by_what_it_does_that_takes_time() -> None:
    assert kind_of([action("launch", 2)], anew=True) == "launch"
    assert kind_of([action("launch", 2)], anew=False) == "grow"
    assert kind_of([action("replace"), action("launch"), action("tell")], anew=False) == "grow+tell+replace"
    assert kind_of([action("keep"), action("pending")], anew=False) == ""
    assert nodes_of([action("launch", 2), action("tell", 3), action("keep", 9)]) == 5
