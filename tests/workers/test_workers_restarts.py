"""The supervisor's decisions, whatever dies whenever."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host.adapters.os.system import SteadyClock
from host.domain.clock import SimClock
from host.domain.workers import WorkerPlan
from host.runtime.workers.restarts import (
    DELAY_MS_MAX,
    START_MS_MAX,
    STEADY_MS,
    Kill,
    Phase,
    Start,
    Supervision,
    Terminate,
    delay_ms,
)

STOP_MS = 15_000
ORDER = ["rest", "flow", "persistence", "membership", "verification", "crypto"]


def begun(text):
    state = Supervision.begin(WorkerPlan.parse(text, flow_count=1), stop_ms_max=STOP_MS, now=0)
    return state.tick(0)


def only(state):
    (worker,) = (w for w in state.workers if w.kind == "flow")
    return worker


def test_every_worker_is_started_at_once():
    state, commands = begun("flow=2,crypto=1")
    assert commands == [Start(name=n) for n in ("crypto-0", "flow-0", "flow-1", "rest-0")]
    assert state.tick(1)[1] == []


def test_delays_double_up_to_a_limit():
    delays = [delay_ms(deaths) for deaths in range(1, 40)]
    assert delays[:4] == [100, 200, 400, 800]
    assert delays == sorted(delays)
    assert delays[-1] == DELAY_MS_MAX


def test_a_dead_worker_is_started_again_when_its_delay_is_over():
    state, _ = begun("flow")
    state = state.ready("flow-0", 10)
    state, commands = state.died("flow-0", 20)
    assert (commands, state.next_at) == ((), 20 + delay_ms(1))
    assert state.tick(119)[1] == []
    state, commands = state.tick(120)
    assert commands == [Start(name="flow-0")]
    assert (only(state).restarts, only(state).phase) == (1, Phase.STARTING)


@pytest.mark.parametrize(("ready_ms", "deaths"), [(STEADY_MS - 1, 3), (STEADY_MS, 1)])
def test_only_a_worker_that_was_steady_begins_anew(ready_ms, deaths):
    state, _ = begun("flow")
    now = 0
    for _ in range(2):
        state, _ = state.died("flow-0", now)
        now = only(state).at
        state, _ = state.tick(now)
    state = state.ready("flow-0", now)
    state, _ = state.died("flow-0", now + ready_ms)
    assert only(state).deaths == deaths


def test_a_worker_that_does_not_get_ready_is_killed_once():
    state, _ = begun("flow")
    state = state.ready("rest-0", 1)
    state, commands = state.tick(START_MS_MAX)
    assert commands == [Kill(name="flow-0")]
    assert state.tick(START_MS_MAX * 2)[1] == []


def test_kinds_stop_one_after_another_and_the_slow_are_killed():
    state, _ = begun("flow=2,crypto,membership,verification,persistence")
    for worker in state.workers:
        state = state.ready(worker.name, 1)
    state, commands = state.stop(5)
    stopped = []
    while not state.is_over:
        names = [command.name for command in commands]
        assert all(isinstance(command, Terminate) for command in commands)
        stopped.append(names[0].partition("-")[0])
        state, killed = state.tick(state.next_at)
        assert killed == [Kill(name=name) for name in names]
        for name in names:
            state, commands = state.died(name, 6)
    assert stopped == ORDER


class Supervising(RuleBasedStateMachine):
    """Plays the processes: they get ready, die and obey in any order and at any time."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.state, commands = begun("flow=2,crypto=1")
        self.running = set()
        self.told = set()
        self.obey(commands)

    def obey(self, commands):
        for command in commands:
            if isinstance(command, Start):
                assert command.name not in self.running
                assert not self.state.is_stopping
                self.running.add(command.name)
            else:
                assert command.name in self.running
                self.told.add(command.name)

    @rule(ms=st.integers(0, 100_000))
    def time_passes(self, ms):
        self.now += ms
        self.state, commands = self.state.tick(self.now)
        self.obey(commands)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_worker_gets_ready(self, data):
        self.state = self.state.ready(data.draw(st.sampled_from(sorted(self.running))), self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_worker_dies(self, data):
        name = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(name)
        self.told.discard(name)
        self.state, commands = self.state.died(name, self.now)
        self.obey(commands)

    @rule()
    def the_host_stops(self):
        self.state, commands = self.state.stop(self.now)
        self.obey(commands)

    @invariant()
    def the_table_is_true(self):
        assert {w.name for w in self.state.workers if w.has_process} == self.running
        assert self.state.is_over == (self.state.is_stopping and not self.running)

    @invariant()
    def somebody_is_always_asked_to_go(self):
        if self.state.is_stopping and self.running:
            assert self.told & self.running

    @invariant()
    def nobody_waits_without_an_end(self):
        for worker in self.state.workers:
            if worker.phase is Phase.WAITING:
                assert worker.at <= self.now + DELAY_MS_MAX

    def teardown(self):
        self.state, commands = self.state.stop(self.now)
        self.obey(commands)
        for _ in range(len(self.running)):
            name = min(self.told & self.running)
            self.running.discard(name)
            self.state, commands = self.state.died(name, self.now)
            self.obey(commands)
        assert self.state.is_over


TestSupervising = Supervising.TestCase
TestSupervising.pytestmark = [pytest.mark.property]


def test_a_restart_does_not_wait_for_a_clock_that_was_put_back():
    """The supervisor's clock goes on with the seconds that pass, whatever time of day is set."""
    day, seconds = SimClock(1_000_000), [50.5]
    steady = SteadyClock(day, lambda: seconds[0])
    assert steady.now_ms() == 1_000_000
    day.advance(-3_600_000)
    seconds[0] += 0.1
    assert steady.now_ms() == 1_000_100
