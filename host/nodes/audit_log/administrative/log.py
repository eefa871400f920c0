"""The administrative log as the host writes it: concurrent acts share a commit.

An act may begin once its intent is durable. Its outcome is written afterwards; if that fails, it is
retried with the next write. An act without an outcome may or may not have been performed.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

import structlog

from host.domain.errors import HostError
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import (
    Act,
    ActQuery,
    ActView,
    Content,
    Outcome,
    Refusal,
)
from host.nodes.audit_log.administrative.errors import ActNotRecordedError
from host.nodes.audit_log.administrative.floods import Count, Floods
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.ports.clock import Clock

_AT_ONCE_MAX = 200
_OUTCOMES_KEPT_MAX = 10_000
_COUNTS_SECONDS = 1.0
"""How often counts are stored and failed writes are retried."""
_WAIT_SECONDS = 30.0
_GATHER_SECONDS = 0.05
"""How long outcomes, for which nobody waits, wait for an intent to share its commit."""

_log = structlog.get_logger("cordbox.administrative")


class AdministrativeLog:
    """Takes acts from many threads and event loops; one thread writes them. Must be closed.

    Args:
        register: stores them.
        clock: the time of entries.
    """

    def __init__(self, register: AdministrativeRegister, clock: Clock) -> None:
        self._register = register
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Content, Future[int]]] = deque()
        self._floods = Floods()
        self._are_counts_new = False
        self._counts_at = time.monotonic()
        self._is_busy = self._is_stopping = False
        self._settling = 0
        self._thread = threading.Thread(target=self._write, name="administrative-log", daemon=True)

    def start(self) -> None:
        """Start writing; counts that a dead process left are added first.

        Raises:
            StorageError: the registers cannot be read.
        """
        left = self._register.counts()
        with self._changed:
            self._waiting.extend((self._repeats(count), Future()) for count in left)
            self._are_counts_new = bool(left)
        self._thread.start()

    def close(self) -> None:
        """Write what is pending, and stop."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    async def begin(self, act: Act) -> int:
        """Write the intent of an act durably.

        Returns:
            Its number, for `end`.

        Raises:
            ActNotRecordedError: it was not written, so the act must not be performed.
        """
        written = self._put(acts.intent(act, at=self._clock.now_ms()))
        try:
            return await asyncio.wrap_future(written)
        except HostError as error:
            raise ActNotRecordedError(
                f"the administrative log cannot be written: {error.public_message}"
            ) from error

    def end(self, act: Act, number: int, ended: Outcome) -> None:
        """Record the outcome of an act, and log it in the host's log; never raises.

        The call does not wait: the outcome is stored with the next commit, before the intent of any
        act that begins later, within `_GATHER_SECONDS`.
        """
        _log.info(
            "administrative-act",
            user=act.user,
            address=act.address,
            rest_request=act.request_id,
            method=act.method,
            path=act.path,
            status=ended.status,
            code=ended.code,
        )
        written = self._put(acts.outcome(number, ended, at=self._clock.now_ms()))

        def log_failure(future: Future[int]) -> None:
            error = future.exception()
            if isinstance(error, HostError):
                _log.warning("administrative-outcome-late", number=number, code=error.code)

        written.add_done_callback(log_failure)

    def refused(self, refusal: Refusal) -> None:
        """Record that an act was refused before it began; it is written asynchronously."""
        now = self._clock.now_ms()
        act = refusal.act
        with self._changed:
            key = self._floods.add(refusal.key, now)
            if key is None:
                self._are_counts_new = True
                self._changed.notify_all()
                return
        _log.info(
            "administrative-refusal",
            user=act.user,
            address=act.address,
            rest_request=act.request_id,
            method=act.method,
            path=act.path,
            status=refusal.status,
            code=refusal.code,
        )
        written = self._put(acts.refusal(refusal, at=now))

        def note_written(future: Future[int]) -> None:
            with self._changed:
                failed = future.exception() is not None
                self._floods.recorded(key, None if failed else future.result())
                self._are_counts_new = True
                self._changed.notify_all()

        written.add_done_callback(note_written)

    def page(self, query: ActQuery, *, before: int | None, limit: int) -> Sequence[ActView]:
        """Acts, the newest first, including all that ended before this call.

        Raises:
            StorageError: the registers cannot be read.
        """
        self.settle()
        return self._register.page(query, before=before, limit=limit)

    def settle(self) -> None:
        """Wait until everything submitted before is written or has failed."""
        with self._changed:
            self._settling += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_busy, _WAIT_SECONDS)
            self._settling -= 1

    def _put(self, content: Content) -> Future[int]:
        written: Future[int] = Future()
        with self._changed:
            if self._is_stopping:
                written.set_exception(ActNotRecordedError("the host stops"))
            else:
                self._waiting.append((content, written))
                self._changed.notify_all()
        return written

    def _write(self) -> None:
        """The writer's thread."""
        late: list[Content] = []
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                if not self._waiting and not self._is_stopping:
                    is_idle = not late and not self._floods.counts()
                    self._changed.wait(None if is_idle else _COUNTS_SECONDS)
                self._gather()
                taken = [
                    self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE_MAX))
                ]
                is_last = self._is_stopping and not self._waiting
                reports, counts = self._take_counts(is_last=is_last)
                self._is_busy = bool(taken)
            if taken or late or reports or counts is not None:
                late = self._commit([*late, *reports], taken, counts)
            if is_last and not self._has_counts():
                return

    def _gather(self) -> None:
        """Let outcomes wait for an intent to share its commit. The caller holds the condition."""
        if self._waiting:
            self._changed.wait_for(
                lambda: (
                    self._is_stopping
                    or self._settling > 0
                    or any(content["kind"] != acts.OUTCOME for content, _ in self._waiting)
                ),
                _GATHER_SECONDS,
            )

    def _has_counts(self) -> bool:
        """Whether refusals were counted behind an entry that the last commit brought."""
        with self._changed:
            return bool(self._floods.counts())

    def _take_counts(self, *, is_last: bool) -> tuple[Sequence[Content], Sequence[Count] | None]:
        """Contents that report counts whose minute is over; or counts to be kept beside the log.

        None if nothing was counted since the last call. The caller holds the condition.
        """
        counts = self._floods.counts()
        if is_last or self._floods.is_due(self._clock.now_ms()):
            self._floods.clear()
            self._are_counts_new = False
            return [self._repeats(count) for count in counts], [] if counts else None
        if not self._are_counts_new or time.monotonic() < self._counts_at:
            return [], None
        self._are_counts_new = False
        self._counts_at = time.monotonic() + _COUNTS_SECONDS
        return [], counts

    def _commit(
        self,
        late: Sequence[Content],
        taken: Sequence[tuple[Content, Future[int]]],
        counts: Sequence[Count] | None,
    ) -> list[Content]:
        """Write; returns what must be retried."""
        contents = [*late, *(content for content, _ in taken)]
        try:
            numbers = self._register.append(contents, counts)
        except Exception as error:  # noqa: BLE001  # waiting callers must get the error
            failure = error if isinstance(error, HostError) else ActNotRecordedError(repr(error))
            _log.error("administrative-log-unwritten", code=failure.code, reason=failure.message)
            for _, future in taken:
                _resolve(future, failure)
            again = [c for c in contents if c["kind"] in {acts.OUTCOME, acts.REPEATS}]
            return again[-_OUTCOMES_KEPT_MAX:]
        for (_, future), number in zip(taken, numbers[len(late) :], strict=True):
            _resolve(future, number)
        return []

    def _repeats(self, count: Count) -> Content:
        return acts.repeats(
            count.of,
            count=count.count,
            first_at=count.first_at,
            last_at=count.last_at,
            is_any=count.is_any,
            at=self._clock.now_ms(),
        )


def _resolve(future: Future[int], result: int | HostError) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, HostError):
        future.set_exception(result)
    else:
        future.set_result(result)
