"""Lines of a failure's trace, as statuses, logs and histories have them."""

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
    assert own_places(LINES) == LINES[1:3]
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
    assert own_places(lines)[-1] == "iou/flows.py:59 call"
