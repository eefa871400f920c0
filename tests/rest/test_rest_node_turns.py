"""Requests of one node take turns, and those of another node need not wait for them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Scope, Send

from host.domain.pace import SHARED_S
from host.ports.live import Fixed
from host.rest.answer_pace import BURST_SECONDS, AnswerPace
from host.rest.node_turns import (
    AT_ONCE,
    PAUSE_MAX_S,
    NodeTurns,
    Turn,
    Turns,
    outside_turn,
)

BUSY, OTHER = "AAAAAAAAAAAA", "BBBBBBBBBBBB"
_SETTLED = 20
"""Rounds of the loop, more than any task of these tests needs to reach its next wait."""


async def _settle() -> None:
    for _ in range(_SETTLED):
        await asyncio.sleep(0)


class _Held:
    """An application whose requests run until `release` is set; counts those that run."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.running: list[str] = []
        self.app = NodeTurns(self, answer_bytes_per_second=Fixed(1 << 30))

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        self.running.append(scope["path"])
        await self.release.wait()
        self.running.remove(scope["path"])

    def ask(self, path: str, *, client: str = "10.0.0.1") -> asyncio.Task[None]:
        return asyncio.create_task(_asked(self.app, path, client))


async def _asked(app: NodeTurns, path: str, client: str) -> None:
    scope = {"type": "http", "path": path, "headers": [], "client": (client, 1)}
    await app(scope, _nothing, _ignored)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _ignored(_message: Message) -> None:
    return None


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_node_with_many_requests_runs_few_and_another_node_runs_at_once() -> None:
    async def work() -> None:
        held = _Held()
        busy = [held.ask(f"/api/v5_2/flow/{BUSY}/{number}") for number in range(100)]
        await _settle()
        assert len(held.running) == AT_ONCE
        other = held.ask(f"/api/v5_2/flow/{OTHER}/x")
        await _settle()
        assert f"/api/v5_2/flow/{OTHER}/x" in held.running
        held.release.set()
        await asyncio.gather(*busy, other)
        assert not held.running
        assert held.app._turns.is_idle

    _run(work)


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v5_2/flow/{BUSY.lower()}",
        f"/api/v1/virtualnode/{BUSY}/quota",
        f"/nodes/{BUSY}/flows/F",
    ],
)
def test_every_spelling_of_a_node_counts_for_it(path: str) -> None:
    async def work() -> None:
        held = _Held()
        tasks = [held.ask(f"/api/v5_2/flow/{BUSY}/{number}") for number in range(AT_ONCE)]
        tasks.append(held.ask(path))
        await _settle()
        assert path not in held.running
        held.release.set()
        await asyncio.gather(*tasks)

    _run(work)


def test_requests_that_name_no_node_count_for_their_client() -> None:
    async def work() -> None:
        held = _Held()
        tasks = [held.ask("/api/v5_2/cpi") for _ in range(AT_ONCE + 1)]
        tasks.append(held.ask("/api/v5_2/user", client="10.0.0.2"))
        await _settle()
        assert sorted(held.running) == ["/api/v5_2/cpi"] * AT_ONCE + ["/api/v5_2/user"]
        held.release.set()
        await asyncio.gather(*tasks)

    _run(work)


def test_a_request_does_not_count_while_it_waits_for_its_body_or_its_reader() -> None:
    async def work() -> None:
        slow = asyncio.Event()
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start"})
            seen.append(scope["path"])

        async def receive() -> Message:
            await slow.wait()
            return {"type": "http.request"}

        turns = NodeTurns(app, answer_bytes_per_second=Fixed(1 << 30))
        path = f"/flow/{BUSY}"
        scope: Scope = {"type": "http", "path": path, "headers": [], "client": ("10.0.0.1", 1)}
        slow_ones = [
            asyncio.create_task(turns({**scope}, receive, _ignored)) for _ in range(AT_ONCE)
        ]
        await _settle()
        await _asked(turns, f"{path}/quick", "10.0.0.1")
        assert seen == [f"{path}/quick"]
        slow.set()
        await asyncio.gather(*slow_ones)
        assert seen == [f"{path}/quick", *[path] * AT_ONCE]
        assert turns._turns.is_idle

    _run(work)


def test_what_happens_outside_gives_its_result_and_its_error() -> None:
    async def work() -> None:
        turns = Turns(at_once=1)

        async def late(value: int) -> int:
            await asyncio.sleep(0)
            return value

        async def wrong() -> None:
            await asyncio.sleep(0)
            raise ValueError("wrong")

        async with Turn(turns, BUSY) as turn:
            scope: Scope = {"state": {"node-turn": turn}}
            assert await outside_turn(scope, late(7)) == 7
            with pytest.raises(ValueError, match="wrong"):
                await outside_turn(scope, wrong())
        assert turns.is_idle
        assert await outside_turn({}, late(8)) == 8

    _run(work)


def test_a_cancelled_request_leaves_no_turn_behind() -> None:
    async def work() -> None:
        turns = Turns(at_once=1)
        never = asyncio.Event()

        async def waiting() -> None:
            async with Turn(turns, BUSY) as turn:
                await turn.outside(never.wait())

        async def running() -> None:
            async with Turn(turns, BUSY):
                await never.wait()

        tasks = [asyncio.create_task(kind()) for kind in (waiting, running, running, waiting)]
        await _settle()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert turns.is_idle

    _run(work)


def test_turns_are_given_in_the_order_of_arrival() -> None:
    async def work() -> None:
        turns, order = Turns(at_once=1), list[int]()

        async def numbered(number: int) -> None:
            async with Turn(turns, BUSY):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(numbered(number) for number in range(20)))
        assert order == list(range(20))

    _run(work)


@pytest.mark.parametrize(
    ("ago_s", "took_s", "pauses"),
    [
        (0.1, 0.02, [pytest.approx(0.02)]),
        (0.1, 9.0, [PAUSE_MAX_S]),
        (SHARED_S + 1, 0.02, []),
        (None, 0.02, []),
    ],
    ids=["shared", "long request", "shared no longer", "alone"],
)
def test_the_next_request_of_a_node_waits_as_long_as_the_last_took_if_others_are_active(
    ago_s: float | None, took_s: float, pauses: list[float]
) -> None:
    async def work() -> None:
        now, asked = 100.0, list[tuple[float, Callable[[], None]]]()
        turns = Turns(at_once=1, now=lambda: now, later=lambda *call: asked.append(call))
        if ago_s is not None:
            turns.end(OTHER, await turns.begin(OTHER))
            now += ago_s - took_s if ago_s > took_s else 0.0
        begun = await turns.begin(BUSY)
        waiting = asyncio.create_task(turns.begin(BUSY))
        await _settle()
        now += took_s
        if ago_s is not None and ago_s < took_s:  # the other node asks during the long request
            turns.end(OTHER, await turns.begin(OTHER))
        turns.end(BUSY, begun)
        await _settle()
        assert [seconds for seconds, _ in asked] == pauses
        assert waiting.done() == (not pauses)
        begun = await asyncio.wait_for(turns.begin(OTHER), 1)
        turns.end(OTHER, begun)
        for _, pass_on in asked:
            pass_on()
        turns.end(BUSY, await waiting)
        assert turns.is_idle

    _run(work)


def test_a_request_with_none_behind_it_pauses_nothing() -> None:
    async def work() -> None:
        now, asked = 0.0, list[tuple[float, Callable[[], None]]]()
        turns = Turns(at_once=1, now=lambda: now, later=lambda *call: asked.append(call))
        for _ in range(20):
            for key in (BUSY, OTHER):
                begun = await turns.begin(key)
                now += 0.01
                turns.end(key, begun)
        assert asked == []

    _run(work)


class _Clock:
    """A clock that only sleeps move, in its own tasks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_large_answers_of_a_node_wait_and_those_of_another_do_not() -> None:
    """Ten lists of 1 MB at 1 MB a second: they take as long as their bytes, whoever asks."""
    piece, pieces, rate = 10_000, 100, 1_000_000

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start"})
        count = 1 if OTHER in scope["path"] else pieces
        for _ in range(count):
            await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})

    async def work() -> None:
        clock = _Clock()
        turns = NodeTurns(app, answer_bytes_per_second=Fixed(rate), now=clock, sleep=clock.sleep)
        for number in range(10):
            await _asked(turns, f"/flow/{BUSY}/{number}", "10.0.0.1")
        assert clock.now == pytest.approx(10 * piece * pieces / rate - BURST_SECONDS)
        before = list(clock.slept)
        await _asked(turns, f"/flow/{OTHER}", "10.0.0.1")
        assert clock.slept == before
        assert turns._turns.is_idle

    _run(work)


def test_a_node_that_waits_to_send_leaves_its_turn_to_its_other_requests() -> None:
    async def work() -> None:
        waits, seen = asyncio.Event(), list[str]()

        async def app(scope: Scope, _receive: Receive, send: Send) -> None:
            seen.append(scope["path"])
            size = 0 if scope["path"].endswith("small") else 10_000_000
            await send({"type": "http.response.body", "body": bytes(size)})

        async def sleep(_seconds: float) -> None:
            await waits.wait()

        turns = NodeTurns(app, answer_bytes_per_second=Fixed(1_000), now=lambda: 0.0, sleep=sleep)
        large = [
            asyncio.create_task(_asked(turns, f"/flow/{BUSY}/{n}", "10.0.0.1"))
            for n in range(AT_ONCE)
        ]
        await _settle()
        small = asyncio.create_task(_asked(turns, f"/flow/{BUSY}/small", "10.0.0.1"))
        await _settle()
        assert seen[-1].endswith("small")
        waits.set()
        await asyncio.gather(*large, small)

    _run(work)


def test_the_pace_forgets_who_owes_nothing() -> None:
    clock = _Clock()
    pace = AnswerPace(Fixed(1_000), clock)
    for number in range(5_000):
        pace.delay(f"node {number}", 10)
        clock.now += 0.01
    assert len(pace) <= 1_001
    assert pace.delay("node 1", 250) == 0.0
    assert pace.delay("node 1", 1) > 0.0
