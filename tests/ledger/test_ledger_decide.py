"""The rules of uniqueness, by Corda's list of the uniqueness checker.

`UniquenessCheckerImplDBIntegrationTests`: docs/reference/corda-test-lists.md names each.
"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.ledger.core.model import StateRef
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.decide import decide
from host.ledger.notary.model import Books, Check, UniquenessRequest
from tests.ledger.transactions import identifier, ref

NOW = "2026-11-21T05:00:00.000000Z"
BEFORE = "2026-11-21T04:00:00.000000Z"
AFTER = "2026-11-21T06:00:00.000000Z"
EMPTY = Books(results={}, outputs={}, spent={})


def request(number, *, inputs=(), references=(), outputs=1, lower=None, upper=AFTER, check="WRITE"):
    return UniquenessRequest(
        check=Check(check),
        id=identifier(number),
        inputs=tuple(inputs),
        references=tuple(references),
        output_count=outputs,
        lower=lower,
        upper=upper,
        originator="O=Alice, L=London, C=GB",
    )


class Notary:
    """The rules with everything stored that they say, as a service does."""

    def __init__(self):
        self.results, self.outputs, self.spent = {}, {}, {}
        self.entries = []

    def batch(self, *requests, now=NOW):
        """Decide with what is stored of the transactions and states that the requests name."""
        refs = {state for one in requests for state in one.refs()}
        ids = {one.id for one in requests} | {state.transaction_id for state in refs}
        books = Books(
            results={key: self.results[key] for key in ids & self.results.keys()},
            outputs={key: self.outputs[key] for key in ids & self.outputs.keys()},
            spent={state: self.spent[state] for state in refs & self.spent.keys()},
        )
        results, entries = decide(requests, books, now)
        for entry in entries:
            assert entry.request.id not in self.results
            self.results[entry.request.id] = entry.result
            if entry.result.is_accepted:
                self.outputs[entry.request.id] = entry.request.output_count
                self.spent |= dict.fromkeys(entry.request.inputs, entry.request.id)
        self.entries += entries
        return [kind(result) for result in results]

    def issued(self, number=1, outputs=10):
        assert self.batch(request(number, outputs=outputs)) == ["accepted"]


def kind(result):
    return "accepted" if result.is_accepted else result.rejection.kind.value


@pytest.fixture
def notary():
    made = Notary()
    made.issued()
    return made


@pytest.fixture(params=["same batch", "different batches"])
def after(request, notary):
    """Runs requests one after the other, in one batch or in several."""

    def run(*requests):
        if request.param == "same batch":
            return notary.batch(*requests)
        return [result for one in requests for result in notary.batch(one)]

    return run


def test_a_request_without_an_upper_bound_is_malformed(notary):
    assert notary.batch(request(2, upper=None)) == ["MalformedRequest"]
    assert notary.batch(request(2)) == ["accepted"]


def test_a_negative_number_of_outputs_is_malformed(notary):
    assert notary.batch(request(2, outputs=-1)) == ["MalformedRequest"]


def test_an_unknown_input_fails(notary):
    for unknown in (ref(9), ref(1, 10)):
        assert Notary.batch(notary, request(unknown.index + 20, inputs=[unknown])) == [
            "InputStateUnknown"
        ]


@pytest.mark.parametrize("count", [1, 7])
def test_states_are_spent(notary, count):
    assert notary.batch(request(2, inputs=[ref(1, i) for i in range(count)])) == ["accepted"]


def test_a_spend_can_be_retried(after):
    spend = request(2, inputs=[ref(1)])
    assert after(spend, spend, spend) == ["accepted"] * 3


@pytest.mark.parametrize("count", [1, 3])
def test_different_states_are_spent_by_different_transactions(after, count):
    spends = [
        request(2 + n, inputs=[ref(1, count * n + i) for i in range(count)]) for n in range(3)
    ]
    assert after(*spends) == ["accepted"] * 3


@pytest.mark.parametrize("count", [1, 3])
def test_a_second_spend_fails_and_names_the_first(after, notary, count):
    inputs = [ref(1, index) for index in range(count)]
    assert after(request(2, inputs=inputs), request(3, inputs=inputs)) == [
        "accepted",
        "InputStateConflict",
    ]
    rejection = notary.results[identifier(3)].rejection
    assert rejection.message.startswith("Input State Conflict: ")
    assert rejection.details["conflictingStates"] == [
        {"stateRef": str(one), "consumingTransaction": identifier(2)} for one in inputs
    ]


def test_a_failed_spend_spends_nothing(after):
    both = request(3, inputs=[ref(1, 0), ref(1, 1)])
    only = request(4, inputs=[ref(1, 1)])
    assert after(request(2, inputs=[ref(1, 0)]), both, only) == [
        "accepted",
        "InputStateConflict",
        "accepted",
    ]


def test_an_unknown_reference_fails(notary):
    assert notary.batch(request(2, references=[ref(9)])) == ["ReferenceStateUnknown"]
    assert notary.results[identifier(2)].rejection.details == {"unknownStates": [str(ref(9))]}


def test_a_reference_alone_and_its_retry(after):
    reads = request(2, references=[ref(1)])
    assert after(reads, reads) == ["accepted"] * 2


@pytest.mark.parametrize("distinct", [True, False])
def test_transactions_share_references(after, distinct):
    reads = [request(2 + n, references=[ref(1, n if distinct else 0)]) for n in range(3)]
    assert after(*reads) == ["accepted"] * 3


def test_an_input_beside_a_reference(notary):
    assert notary.batch(request(2, inputs=[ref(1)], references=[ref(1, 1)])) == ["accepted"]


@pytest.mark.parametrize(
    ("inputs", "references"), [([0, 0], []), ([], [0, 0]), ([0], [0]), ([1, 0, 1], [])]
)
def test_a_state_named_twice_is_malformed(notary, inputs, references):
    twice = request(
        2, inputs=[ref(1, i) for i in inputs], references=[ref(1, i) for i in references]
    )
    assert notary.batch(twice) == ["MalformedRequest"]
    assert identifier(2) not in notary.results


def test_a_spent_reference_fails(after):
    spend, reads = request(2, inputs=[ref(1)]), request(3, references=[ref(1)])
    assert after(spend, reads) == ["accepted", "ReferenceStateConflict"]


def test_a_reference_replayed_after_it_was_spent_is_accepted(after):
    reads, spend = request(2, references=[ref(1)]), request(3, inputs=[ref(1)])
    assert after(reads, spend, reads) == ["accepted"] * 3


def test_two_that_use_each_others_inputs_as_references(after):
    one = request(2, inputs=[ref(1, 0)], references=[ref(1, 1)])
    other = request(3, inputs=[ref(1, 1)], references=[ref(1, 0)])
    assert after(one, other) == ["accepted", "ReferenceStateConflict"]


def test_an_issuance_can_be_replayed(after):
    issue = request(2)
    assert after(issue, issue) == ["accepted"] * 2


def test_many_states_are_issued_and_spent(notary):
    notary.issued(2, outputs=1000)
    inputs = [ref(2, index) for index in range(1000)]
    assert notary.batch(request(3, inputs=inputs)) == ["accepted"]
    assert notary.batch(request(4, inputs=inputs[:1])) == ["InputStateConflict"]


@pytest.mark.parametrize(
    ("lower", "upper", "result"),
    [
        (BEFORE, AFTER, "accepted"),
        (NOW, AFTER, "accepted"),  # the lower bound is inside
        (BEFORE, NOW, "TimeWindowOutOfBounds"),  # the upper bound is not
        (AFTER, AFTER, "TimeWindowOutOfBounds"),
        (None, BEFORE, "TimeWindowOutOfBounds"),
    ],
)
def test_the_time_window(notary, lower, upper, result):
    assert notary.batch(request(2, lower=lower, upper=upper)) == [result]


def test_what_was_accepted_stays_so_outside_of_its_window(notary):
    made = request(2, upper=AFTER)
    assert notary.batch(made) == ["accepted"]
    assert notary.batch(made, now="2026-11-22T00:00:00.000000Z") == ["accepted"]


def test_what_came_too_early_stays_refused(notary):
    early = request(2, lower=AFTER, upper="2026-11-21T07:00:00.000000Z")
    assert notary.batch(early) == ["TimeWindowOutOfBounds"]
    assert notary.batch(early, now=AFTER) == ["TimeWindowOutOfBounds"]


def test_no_requests_give_no_results():
    assert decide([], EMPTY, NOW) == ([], [])


def test_an_issue_is_spent_in_its_batch(notary):
    assert notary.batch(request(2), request(3, inputs=[ref(2)])) == ["accepted"] * 2


def test_a_spend_before_its_issue_fails(after):
    assert after(request(3, inputs=[ref(2)]), request(2), request(3, inputs=[ref(2)])) == [
        "InputStateUnknown",
        "accepted",
        "InputStateUnknown",
    ]


@pytest.mark.parametrize(
    ("inputs", "references", "result"),
    [
        ([ref(9)], [ref(9, 1)], "InputStateUnknown"),
        ([ref(1, 0)], [ref(9, 1)], "ReferenceStateUnknown"),
        ([ref(1, 0)], [ref(1, 1)], "InputStateConflict"),
        ([ref(1, 2)], [ref(1, 1)], "ReferenceStateConflict"),
        ([ref(1, 2)], [ref(1, 3)], "TimeWindowOutOfBounds"),
    ],
)
def test_the_order_of_checks(notary, inputs, references, result):
    assert notary.batch(request(2, inputs=[ref(1, 0), ref(1, 1)])) == ["accepted"]
    assert notary.batch(request(3, inputs=inputs, references=references, upper=BEFORE)) == [result]


def test_a_batch_of_many_outcomes(notary):
    batch = [
        request(2, inputs=[ref(1, 0)]),
        request(3, inputs=[ref(1, 0)]),
        request(4, inputs=[ref(9)]),
        request(5, inputs=[ref(2, 0)], references=[ref(1, 1)]),
        request(6, inputs=[ref(1, 1)], upper=BEFORE),
        request(7, inputs=[ref(1, 1)]),
        request(8, references=[ref(1, 1)]),
        request(2, inputs=[ref(1, 0)]),
        request(3, inputs=[ref(1, 0)]),
    ]
    assert notary.batch(*batch) == [
        "accepted",
        "InputStateConflict",
        "InputStateUnknown",
        "accepted",
        "TimeWindowOutOfBounds",
        "accepted",
        "ReferenceStateConflict",
        "accepted",
        "InputStateConflict",
    ]
    assert len(notary.entries) == 1 + 7


# `READ`: what a repair asks.


def read(made):
    return replace(made, check=Check.READ)


def test_a_read_answers_what_was_decided(notary):
    good, bad = request(2, inputs=[ref(1)]), request(3, inputs=[ref(1)])
    assert notary.batch(good, bad) == ["accepted", "InputStateConflict"]
    later = "2026-11-22T00:00:00.000000Z"
    assert notary.batch(read(good), read(bad), now=later) == ["accepted", "InputStateConflict"]


def test_a_read_consumes_nothing_and_is_not_kept(notary):
    made = request(2, inputs=[ref(1)])
    before = len(notary.entries)
    assert notary.batch(read(made)) == ["NotPreviouslySeenTransaction"]
    assert len(notary.entries) == before
    assert notary.batch(request(3, inputs=[ref(1)])) == ["accepted"]


def test_a_read_behind_the_window_is_final(notary):
    made = request(2, upper=BEFORE)
    assert notary.batch(read(made)) == ["TimeWindowOutOfBounds"]
    assert ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS.is_fatal


def test_a_read_before_the_window_is_not(notary):
    made = request(2, lower=AFTER, upper="2026-11-21T07:00:00.000000Z")
    assert notary.batch(read(made)) == ["TimeWindowBeforeLowerBound"]
    assert not ErrorKind.TIME_WINDOW_BEFORE_LOWER_BOUND.is_fatal
    assert notary.batch(made, now=AFTER) == ["accepted"]


def test_which_kinds_are_fatal():
    undecided = {kind.value for kind in ErrorKind if not kind.is_fatal}
    assert undecided == {"TimeWindowBeforeLowerBound", "NotPreviouslySeenTransaction", "General"}


# Properties.


@st.composite
def histories(draw):
    """Requests over few states, so that they meet: issues, spends, repeats and reads."""
    choose = Random(draw(st.integers(0)))
    refs = [StateRef(identifier(n), i) for n in range(1, 8) for i in range(3)]
    made = []
    for _ in range(draw(st.integers(1, 40))):
        number = choose.randint(1, 12)
        picked = choose.sample(refs, choose.randint(0, 3))
        cut = choose.randint(0, len(picked))
        made.append(
            request(
                number,
                inputs=picked[:cut],
                references=picked[cut:],
                outputs=choose.randint(0, 3),
                lower=choose.choice([None, BEFORE, AFTER]),
                upper=choose.choice([AFTER, AFTER, BEFORE, None]),
                check=choose.choice(["WRITE", "WRITE", "WRITE", "READ"]),
            )
        )
    return made, choose


@given(histories())
def test_any_division_into_batches_gives_the_same(history):
    requests, choose = history
    one_by_one, batched = Notary(), Notary()
    singly = [result for one in requests for result in one_by_one.batch(one)]
    together, rest = [], list(requests)
    while rest:
        size = choose.randint(1, len(rest))
        together += batched.batch(*rest[:size])
        rest = rest[size:]
    assert together == singly
    assert (batched.results, batched.spent) == (one_by_one.results, one_by_one.spent)


@given(histories())
def test_no_state_is_spent_twice_and_answers_never_change(history):
    requests, _ = history
    notary, answers = Notary(), {}
    for one in requests:
        (result,) = notary.batch(one)
        if result not in ("MalformedRequest", "NotPreviouslySeenTransaction") and (
            one.check is Check.WRITE or one.id in answers
        ):
            assert answers.setdefault(one.id, result) == result
    accepted = [e.request for e in notary.entries if e.result.is_accepted]
    spent = [state for made in accepted for state in made.inputs]
    assert len(spent) == len(set(spent))
    assert all(state.index < notary.outputs[state.transaction_id] for state in spent)
