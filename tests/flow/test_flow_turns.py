"""Whose turn it is: shares, bounds, and what is forgotten."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host.domain.ids import ShortHash
from host.flow.core.turns import Turns

NAMES = tuple(ShortHash(letter * 12) for letter in "ABCDE")
A, B, C, *_ = NAMES


def take(turns: Turns, cost_ms: float, *, only_fresh: bool = False) -> ShortHash | None:
    """One whole turn."""
    name = turns.next(only_fresh=only_fresh)
    if name is not None:
        turns.end(name, turns.begin(name), cost_ms)
    return name


def test_a_node_with_ten_thousand_records_delays_the_first_record_of_another_by_no_turn() -> None:
    turns = Turns(2)
    turns.ready(A)
    for _ in range(10_000):
        assert take(turns, 3) == A
    turns.ready(B)
    assert take(turns, 3) == B


def test_dear_steps_and_cheap_ones_get_the_same_time() -> None:
    turns, spent = Turns(1), Counter[ShortHash]()
    costs = {A: 100.0, B: 7.0, C: 0.0}
    for name in costs:
        turns.ready(name)
    for _ in range(20_000):
        name = turns.next()
        assert name is not None
        take(turns, costs[name])
        spent[name] += max(1, int(costs[name] * 10))
    assert max(spent.values()) - min(spent.values()) <= 2 * 1_000


def test_who_was_away_saves_nothing_up_and_owes_what_it_used() -> None:
    turns = Turns(2)
    for name in (A, B):
        turns.ready(name)
    assert [take(turns, 50) for _ in range(2)] == [A, B]
    turns.idle(B)
    for _ in range(20):
        assert take(turns, 50) == A
    turns.ready(B)
    assert [take(turns, 50) for _ in range(4)] == [B, A, B, A]
    assert take(turns, 500) == B
    turns.idle(B)
    turns.ready(B)  # leaving the line and coming back makes up for nothing
    assert [take(turns, 50) for _ in range(9)] == [A] * 9


def test_time_spent_for_a_node_outside_of_its_steps_counts_like_theirs() -> None:
    turns = Turns(2)
    for name in (A, B):
        turns.ready(name)
    turns.charge(A, 500)  # the place that it stands in already is given up
    assert [take(turns, 50) for _ in range(9)] == [B] * 9
    turns.charge(C, 400)  # a node without work owes it when work comes
    turns.ready(C)
    assert [take(turns, 50) for _ in range(3)] == [B, A, B]
    for name in (A, B, C):
        turns.idle(name)
    assert len(turns) == 0


def test_no_more_steps_of_a_node_run_than_it_may_have_and_fresh_nodes_come_first() -> None:
    turns = Turns(2)
    turns.ready(A)
    for _ in range(2):
        assert turns.next() == A
        turns.begin(A)
    assert turns.next() is None
    for name in (B, C):
        turns.ready(name)
    assert turns.next(only_fresh=True) == B
    expected = turns.begin(B)
    assert turns.next() == C
    turns.begin(C)
    assert turns.next(only_fresh=True) is None
    assert turns.next() == B  # one runs, and one more may
    turns.end(B, expected, 1)
    assert turns.next(only_fresh=True) == B


def test_a_step_that_lasts_gives_nobody_credit_meanwhile() -> None:
    """The common clock goes on with those that work, though a long step of another still runs."""
    turns = Turns(1)
    turns.ready(A)
    lasting = turns.begin(A)
    turns.ready(B)
    for _ in range(100):
        assert take(turns, 50) == B
    turns.ready(C)
    assert [take(turns, 50) for _ in range(4)] == [C, B, C, B]
    turns.end(A, lasting, 60_000)
    assert A not in [take(turns, 50) for _ in range(1000)]


def test_nodes_that_are_not_needed_any_more_are_forgotten() -> None:
    turns = Turns(2)
    turns.ready(A)
    for number in range(5_000):
        name = ShortHash(f"{number:012}")
        turns.ready(name)
        assert name in {take(turns, 1), take(turns, 1)}
        turns.idle(name)
        assert len(turns) <= 200
    turns.idle(A)
    assert len(turns) == 0


@dataclass
class Step:
    name: ShortHash
    expected: float


class Nodes(RuleBasedStateMachine):
    """Nodes come, wait and go, steps last for as long as they like, beside a slow, plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns(2)
        self.waiting: set[ShortHash] = set()
        self.steps: list[Step] = []
        self.passed: dict[ShortHash, Counter[ShortHash]] = {}

    @rule(name=st.sampled_from(NAMES))
    def ready(self, name: ShortHash) -> None:
        self.turns.ready(name)
        is_new = name not in self.waiting and not self.running(name)
        if is_new and self.turns.ahead_ms(name) == 0:  # who owes nothing
            self.passed[name] = Counter()
        self.waiting.add(name)

    @rule(name=st.sampled_from(NAMES))
    def idle(self, name: ShortHash) -> None:
        self.turns.idle(name)
        self.waiting.discard(name)
        self.passed.pop(name, None)

    @rule(only_fresh=st.booleans())
    def begin(self, only_fresh: bool) -> None:
        name = self.turns.next(only_fresh=only_fresh)
        allowed = {n for n in self.waiting if self.running(n) < (1 if only_fresh else 2)}
        assert (name is None) == (not allowed)
        if name is None:
            return
        assert name in allowed
        fresh = {n for n in allowed if not self.running(n)}
        assert name in fresh or not fresh
        self.steps.append(Step(name, self.turns.begin(name)))
        for other, passed in self.passed.items():
            passed[name] += other != name
        self.passed.pop(name, None)

    @precondition(lambda self: self.steps)
    @rule(data=st.data(), cost=st.sampled_from([0.0, 1.0, 30.0, 9_000.0]))
    def end(self, data: st.DataObject, cost: float) -> None:
        step = data.draw(st.sampled_from(self.steps))
        self.steps.remove(step)
        self.turns.end(step.name, step.expected, cost)

    @invariant()
    def who_came_waits_for_one_step_of_each_other_node(self) -> None:
        for passed in self.passed.values():
            assert all(count <= 1 for count in passed.values())

    def running(self, name: ShortHash) -> int:
        return sum(step.name == name for step in self.steps)


TestNodes = Nodes.TestCase


@given(
    costs=st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 5_000)), min_size=1, max_size=300)
)
def test_two_that_always_wait_differ_by_one_step_at_most(
    costs: list[tuple[ShortHash, float]],
) -> None:
    """Whatever steps cost: who has had less is next, so nobody gets ahead by more than one step."""
    turns, spent = Turns(1), dict.fromkeys(NAMES, 0.0)
    for name in NAMES:
        turns.ready(name)
    most = 0.1
    for _, cost in costs:
        name = take(turns, cost)
        assert name is not None
        spent[name] += max(cost, 0.1)
        most = max(most, cost)
        assert max(spent.values()) - min(spent.values()) <= 2 * most + 1e-6
