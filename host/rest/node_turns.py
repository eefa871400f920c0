"""Limits the requests of one virtual node that are processed at the same time, in one event loop.

All requests share one interpreter, which gives each of its threads an equal part. Without a limit,
a node whose clients send a hundred requests at once has a hundred parts, and the request of another
node one. With it, a node has at most `AT_ONCE`, however many of its requests wait. If requests of
other nodes come now and then, the next of them begins only after a pause as long as the request
before, so that a node has half of the interpreter at most, and the other half is free when another
node's request comes.

A request that waits for something outside the interpreter (its body, its reader, a commit, the
check of a password) does not count meanwhile. Requests that name no node count for the client's
address. Nothing is refused here: the number of connections is limited elsewhere.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.adapters.http.admission import address_group
from host.domain.pace import Pace
from host.ports.live import Live
from host.rest.answer_pace import AnswerPace
from host.rest.requester import requester_of

AT_ONCE = 1
"""More would not end earlier: a request does not count while it waits for the disk."""
PAUSE_MAX_S = 0.25
_NODE = re.compile(r"/([0-9A-Fa-f]{12})(?=/|$)")
_STATE = "node-turn"

T = TypeVar("T")


def call_later(seconds: float, function: Callable[[], None]) -> None:
    """Call a function of the running event loop's thread after so many seconds."""
    asyncio.get_running_loop().call_later(seconds, function)


class Turns:
    """Counts the running tasks of each key. Used by one event loop.

    Args:
        at_once: maximum number of running tasks per key.
        now: seconds.
        later: calls a function after so many seconds.
    """

    def __init__(
        self,
        *,
        at_once: int,
        now: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] = call_later,
    ) -> None:
        self._at_once = at_once
        self._now = now
        self._later = later
        self._pace: Pace[str] = Pace(factor=1, rest_max_s=PAUSE_MAX_S)
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def begin(self, key: str) -> float:
        """Wait until the key has a free turn, in the order of calls; release it by `end`.

        Returns:
            When the turn began.
        """
        if self._running.get(key, 0) < self._at_once:
            self._running[key] = self._running.get(key, 0) + 1
            return self._now()
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on(key)
            raise
        return self._now()

    def end(self, key: str, begun: float) -> None:
        """Release a turn that began at `begun`: the next waiting task of the key gets it.

        While other keys are active, it gets it after a pause.
        """
        pause_s = self._pace.rest_s(key, begun, self._now())
        if pause_s and self._waiting.get(key):
            self._later(pause_s, lambda: self._pass_on(key))
        else:
            self._pass_on(key)

    def _pass_on(self, key: str) -> None:
        waiting = self._waiting.get(key, deque())
        while waiting:
            following = waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._waiting.pop(key, None)
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]

    @property
    def is_idle(self) -> bool:
        """Whether no task runs and none waits."""
        return not self._running and not self._waiting


class Turn:
    """The turn of one task: held in its `async with` block, except in `outside`."""

    def __init__(self, turns: Turns, key: str) -> None:
        self._turns = turns
        self._key = key
        self._is_held = False
        self._begun = 0.0

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    async def outside(self, work: Awaitable[T]) -> T:
        """The result of `work`; the turn is released if `work` waits, and taken again after it."""
        try:
            return await _Watched(work, self._release)
        finally:
            # Whoever was cancelled must end at once, without waiting for another turn.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                await self._take()

    async def _take(self) -> None:
        if not self._is_held:
            self._hold(await self._turns.begin(self._key))

    def _hold(self, begun: float) -> None:
        if self._is_held:  # Another task of the same request has taken it meanwhile.
            self._turns.end(self._key, self._begun)
        self._begun = begun
        self._is_held = True

    def _release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._turns.end(self._key, self._begun)


class _Watched(Generic[T]):
    """An awaitable that calls `on_wait` when the one that it wraps waits for the first time."""

    def __init__(self, work: Awaitable[T], on_wait: Callable[[], None]) -> None:
        self._work = work
        self._on_wait = on_wait

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        try:
            waits_for = next(steps)
            self._on_wait()
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001  # handed on, as `yield from` does
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(sent)
        except StopIteration as done:
            result: T = done.value
            return result


class NodeTurns:
    """ASGI middleware that gives every request its turn, and every answer its pace.

    Args:
        app: what answers.
        answer_bytes_per_second: of one node's answers, on average.
        now, sleep: of the event loop; seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        answer_bytes_per_second: Live[int],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._turns = Turns(at_once=AT_ONCE)
        self._pace = AnswerPace(answer_bytes_per_second, now)
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        key = _key_of(scope)
        turn = Turn(self._turns, key)
        scope.setdefault("state", {})[_STATE] = turn

        async def received() -> Message:
            return await turn.outside(receive())

        async def sent(message: Message) -> None:
            delay = self._pace.delay(key, len(message.get("body", b"")))
            if delay:
                await turn.outside(self._sleep(delay))
            await turn.outside(send(message))

        async with turn:
            await self._app(scope, received, sent)


async def outside_turn(scope: Scope, work: Awaitable[T]) -> T:
    """The result of `work`; other requests of the node may be processed while it waits."""
    turn: Turn | None = scope.get("state", {}).get(_STATE)
    return await (work if turn is None else turn.outside(work))


def _key_of(scope: Scope) -> str:
    named = _NODE.search(scope["path"])
    return address_group(requester_of(scope).address) if named is None else named[1].upper()
