"""Lines of a failure's trace, as statuses, logs and histories have them."""

import pytest

from host.domain.failure_lines import behind, is_place, lines_of, own_places, summary
from host.domain.guest_text import TRACE_LINES_MAX


def frame(line: int, function: str = "call") -> dict[str, object]:
    return {"file": "iou/flows.py", "line": line, "function": function}


FAILURE = {
    "type": "ValueError",
    "message": "no price",
    "notes": ["order\n  7"],
    "trace": [frame(31), frame(40, "price")],
    "causes": [
        {"link": "cause", "of": 0, "type": "KeyError", "message": "'price'", "trace": [frame(29)]},
        {"link": "context", "of": 1, "type": "E", "message": "", "notes": ["deep"], "trace": []},
        {"link": "member", "of": 0, "type": "F", "message": "m", "trace": [frame(1)]},
    ],
}
LINES = [
    "note: order 7",
    "iou/flows.py:31 call",
    "iou/flows.py:40 price",
    "caused by KeyError: 'price'",
    "iou/flows.py:29 call",
    "while handling E:",
    "note: deep",
    "in the group: F: m",
    "iou/flows.py:1 call",
]


def test_a_failure_lists_its_own_places_before_its_causes():
    assert lines_of(FAILURE) == LINES
    assert own_places(LINES) == [(LINES[1], 0), (LINES[2], 0)]
    assert behind(LINES) == [LINES[0], *LINES[3:]]
    assert [is_place(line) for line in LINES[:4]] == [False, True, True, False]


def test_the_summary_of_a_failure_is_one_line():
    assert summary("no price", LINES) == (
        "no price (at iou/flows.py:40 price); note: order 7; "
        "caused by KeyError: 'price' (at iou/flows.py:29 call); while handling E:; note: deep; "
        "in the group: F: m (at iou/flows.py:1 call)"
    )
    assert summary("no price", []) == "no price"


def test_parts_in_another_form_are_left_out():
    assert lines_of({"trace": "text", "notes": 5, "causes": {"a": 1}}) == []
    assert lines_of({"trace": ["a line", 5], "causes": ["x"]}) == ["a line", "5"]
    assert lines_of({"causes": [{}]}) == ["caused by None: None"]


def test_causes_do_not_push_out_the_place_of_the_failure():
    deep = {**FAILURE, "trace": [frame(n) for n in range(60)]}
    lines = lines_of({**deep, "causes": [{"link": "cause", **deep, "causes": []}] * 3})
    assert len(lines) == TRACE_LINES_MAX
    assert own_places(lines)[-1] == ("iou/flows.py:59 call", 0)


RECURSION = [
    "iou/flows.py:1 call",
    *["iou/flows.py:7 deep"] * 3,
    "[Previous line repeated 947 more times]",
    "iou/flows.py:9 end",
]


@pytest.mark.parametrize(
    "frames",
    [
        [*[frame(7, "deep")] * 2, {**frame(7, "deep"), "repeated": 947}],
        [frame(7, "deep")] * 950,
    ],
    ids=["folded by the guest", "by a guest that does not fold"],
)
def test_the_places_of_a_recursion_are_folded_as_python_folds_them(frames):
    lines = lines_of({"trace": [frame(1), *frames, frame(9, "end")], "notes": ["n"]})
    assert lines == ["note: n", *RECURSION]
    assert [is_place(line) for line in RECURSION] == [True] * 4 + [False, True]
    assert own_places(lines)[-2:] == [("iou/flows.py:7 deep", 947), ("iou/flows.py:9 end", 0)]
    assert behind(lines) == ["note: n"]
    assert summary("too deep", RECURSION) == "too deep (at iou/flows.py:9 end)"
    assert summary("too deep", RECURSION[:-1]) == "too deep (at iou/flows.py:7 deep)"


@pytest.mark.parametrize("said", ["947", -1, 0, True, 10**30, None, [3]])
def test_a_guest_that_tells_no_number_of_repetitions_tells_none(said):
    assert lines_of({"trace": [{**frame(7, "deep"), "repeated": said}]}) == ["iou/flows.py:7 deep"]


def test_a_place_told_four_times_is_repeated_once():
    assert lines_of({"trace": [frame(7)] * 4})[-1] == "[Previous line repeated 1 more time]"
