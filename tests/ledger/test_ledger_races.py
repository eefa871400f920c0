"""Races for states: threads, processes that share a notary's file, killed ones, a window's end.

`make prove-ledger` runs them in full: 1,000 tries of each race, 10,000 requests around the end of a
time window, 50 kills. CORDBOX_SEED repeats a run.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from host.domain.ids import EpochMs
from host.domain.instants import instant_text
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.service import UniquenessService
from tests.ledger.racing_process import NODE, issue, service_of, spending
from tests.ledger.test_ledger_uniqueness import NOW, Clock, Databases, kind, ref, request

IN_FULL = os.environ.get("CORDBOX_RACES") == "full"
TRIES = 1_000 if IN_FULL else 15
BOUNDARY = 10_000 if IN_FULL else 120
KILLS = 50 if IN_FULL else 1
SEED = int(os.environ.get("CORDBOX_SEED") or random.SystemRandom().randrange(10**6))
CHILD_SECONDS_MAX = 600


@pytest.fixture(autouse=True)
def _told(record_property):
    """The seed of a failure, and of each full run."""
    record_property("seed", SEED)
    sys.stdout.write(f"seed {SEED}\n")


@pytest.fixture
def databases(tmp_path):
    made = Databases(tmp_path)
    yield made
    made.close()


def test_one_of_two_threads_spends_a_state_and_the_answers_stay(databases):
    """As two flows of one host: each try has both ask at the same moment."""
    service = UniquenessService(databases=databases, clock=Clock())
    assert kind(service.check(NODE, request(0, outputs=TRIES))) is None
    both, accepted = threading.Barrier(2), 0

    def spend(asked):
        both.wait(60)
        return service.check(NODE, asked)

    with ThreadPoolExecutor(2) as pool:
        for number in range(TRIES):
            rivals = [request(1 + 2 * number + n, inputs=[ref(0, number)]) for n in range(2)]
            first = list(pool.map(spend, rivals))
            assert sorted(each.is_accepted for each in first) == [False, True], f"seed {SEED}"
            assert [service.check(NODE, each) for each in rivals] == first
            accepted += first[0].is_accepted
    sys.stdout.write(f"{TRIES} races of two threads; the first asked won {accepted}\n")


@pytest.mark.crash
def test_one_of_two_processes_spends_a_state(tmp_path):
    """As two hosts that serve one notary: they share the file, and nothing else."""
    path = made(tmp_path, TRIES)
    begun = [begin(path, name, 0, TRIES) for name in "ab"]
    said = [answers_of(each) for each in begun]
    assert [set(each) for each in said] == [set(range(TRIES))] * 2
    won = [sum(each.values()) for each in said]
    check_spent_once(path, dict(zip("ab", said, strict=True)), TRIES)
    assert sum(won) == TRIES
    sys.stdout.write(f"{TRIES} races of two processes; won: {won}\n")


@pytest.mark.crash
@pytest.mark.slow
def test_killed_processes_lose_no_answer_and_spend_nothing_twice(tmp_path):
    """SIGKILL after a random number of answers; the next process asks again for some of them."""
    chance, states = random.Random(SEED), 40 * KILLS
    path = made(tmp_path, states)
    said = {"a": {}, "b": {}}
    bounds = [*sorted(chance.sample(range(1, states), KILLS)), states]
    beyond = 0
    for first, last in pairwise([0, *bounds]):
        # The other process lives on while this one dies.
        other = begin(path, "b", first, last)
        doomed = begin(path, "a", max(0, first - 5), states)
        for _ in range(chance.randint(1, 30)):
            line = doomed.stdout.readline()
            if not line:
                break
            beyond += note(said["a"], line)
        doomed.send_signal(signal.SIGKILL)
        rest, _ = doomed.communicate(timeout=CHILD_SECONDS_MAX)
        for line in rest.splitlines(keepends=True):
            beyond += note(said["a"], line)
        for number, accepted in answers_of(other).items():
            assert said["b"].setdefault(number, accepted) is accepted
    check_spent_once(path, said, states)
    sys.stdout.write(f"{KILLS + 1} processes were killed; {beyond} answers, {states} states\n")


def made(folder, states):
    """A notary's file whose first transaction has that many states."""
    path = folder / "uniqueness.sqlite"
    service = service_of(path)
    assert service.check(NODE, issue(states)).is_accepted
    service._databases.database.close()
    return path


def begin(path, name, first, last):
    words = ["tests.ledger.racing_process", str(path), name, str(first), str(last)]
    return subprocess.Popen(
        [sys.executable, "-m", *words, f"{SEED}{name}"], stdout=subprocess.PIPE, text=True
    )


def answers_of(process):
    out, _ = process.communicate(timeout=CHILD_SECONDS_MAX)
    assert process.returncode == 0
    found = {}
    for line in out.splitlines(keepends=True):
        note(found, line)
    return found


def note(found, line):
    """Keep an answer, which must be the same each time; a line that a kill cut does not count."""
    if not line.endswith("\n"):
        return 0
    number, said = line.split()
    accepted = said == "accepted"
    assert found.setdefault(int(number), accepted) is accepted, f"seed {SEED}: {line}"
    return 1


def check_spent_once(path, said, states):
    """What was said is what is stored, and no state has two spenders."""
    service = service_of(path)
    for name, answers in said.items():
        for number, accepted in answers.items():
            again = service.check(NODE, spending(name, number))
            assert again.is_accepted is accepted, f"seed {SEED}: {name} {number}"
    for number in range(states):
        both = [answers.get(number) for answers in said.values()]
        assert both.count(True) <= 1, f"seed {SEED}: state {number} was spent twice"
    service._databases.database.close()


def test_around_a_windows_end_what_is_in_time_is_taken_and_nothing_else(databases):
    """A clock that steps by 0 to 2 ms, and now and then back; a window ends in the middle."""
    chance, clock = random.Random(SEED), Clock()
    service = UniquenessService(databases=databases, clock=clock)
    end = NOW + BOUNDARY // 2
    latest, answers = EpochMs(0), []
    for number in range(BOUNDARY):
        clock.now += chance.choice((0, 0, 1, 1, 2, 2, -3 if number % 17 == 0 else 1))
        latest = max(latest, clock.now)
        asked = request(number, upper=instant_text(EpochMs(end)))
        result = service.check(NODE, asked)
        expected = None if latest < end else ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS
        assert kind(result) is expected, f"seed {SEED}: request {number}"
        answers.append((asked, result))
    taken = sum(result.is_accepted for _, result in answers)
    assert 0 < taken < BOUNDARY
    clock.now += 10**9
    assert [service.check(NODE, asked) for asked, _ in answers] == [each for _, each in answers]
    sys.stdout.write(f"{BOUNDARY} requests around a window's end: {taken} taken\n")
