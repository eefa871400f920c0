"""The rules of uniqueness: which transactions of a batch a notary accepts. Pure.

Checks are made in Corda's order, and the first that fails decides:
malformed request | a transaction seen before has its first result for ever | unknown input |
unknown reference | spent input | spent reference | time window.
Source: corda-runtime-os `BatchedUniquenessCheckerImpl.kt` and its integration tests.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from host.ledger.core.model import StateRef
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import (
    Books,
    Check,
    Entry,
    Rejection,
    Result,
    UniquenessRequest,
)

NAMED_MAX = 20
"""States that a rejection names: it is stored, and sent to the client."""


def decide(
    requests: Sequence[UniquenessRequest], books: Books, now: str
) -> tuple[list[Result], list[Entry]]:
    """Decide requests in their order, each knowing the results of those before.

    The same requests in the same order give the same results in any division into batches, if
    `now` does not change.

    Args:
        requests: at most one batch.
        books: what is stored of every transaction and state that the requests name.
        now: the instant of the batch.

    Returns:
        A result for each request, and what is to be stored, in one transaction of the database.
    """
    ledger = _Ledger(books)
    results: list[Result] = []
    entries: list[Entry] = []
    for request in requests:
        malformed = _malformed(request)
        known = ledger.results.get(request.id)
        if malformed is not None:
            result = Result(id=request.id, rejection=malformed)
        elif known is not None:
            result = known
        elif request.check is Check.READ:
            result = Result(id=request.id, rejection=_unseen(request, now))
        else:
            result = Result(id=request.id, rejection=ledger.rejection(request, now))
            ledger.store(request, result)
            entries.append(Entry(request=request, result=result))
        results.append(result)
    return results, entries


class _Ledger:
    """The books, and what the batch has added to them."""

    def __init__(self, books: Books) -> None:
        self.results = dict(books.results)
        self._outputs = dict(books.outputs)
        self._spent = dict(books.spent)

    def store(self, request: UniquenessRequest, result: Result) -> None:
        self.results[request.id] = result
        if result.is_accepted:
            self._outputs[request.id] = request.output_count
            self._spent |= dict.fromkeys(request.inputs, request.id)

    def rejection(self, request: UniquenessRequest, now: str) -> Rejection | None:
        return (
            self._unknown(request.inputs, ErrorKind.INPUT_STATE_UNKNOWN)
            or self._unknown(request.references, ErrorKind.REFERENCE_STATE_UNKNOWN)
            or self._conflict(request.inputs, ErrorKind.INPUT_STATE_CONFLICT)
            or self._conflict(request.references, ErrorKind.REFERENCE_STATE_CONFLICT)
            or _outside_window(request, now)
        )

    def _unknown(self, refs: Sequence[StateRef], kind: ErrorKind) -> Rejection | None:
        unknown = [
            str(ref) for ref in refs if ref.index >= self._outputs.get(ref.transaction_id, 0)
        ]
        if not unknown:
            return None
        what = "input" if kind is ErrorKind.INPUT_STATE_UNKNOWN else "reference"
        return Rejection(
            kind=kind,
            message=f"{kind.words}: this notary does not know {what} states {_named(unknown)}",
            details={"unknownStates": unknown[:NAMED_MAX]},
        )

    def _conflict(self, refs: Sequence[StateRef], kind: ErrorKind) -> Rejection | None:
        spent = {str(ref): self._spent[ref] for ref in refs if ref in self._spent}
        if not spent:
            return None
        named = _named([f"{ref} by {by}" for ref, by in spent.items()])
        return Rejection(
            kind=kind,
            message=f"{kind.words}: states have been consumed: {named}",
            details={
                "conflictingStates": [
                    {"stateRef": ref, "consumingTransaction": by}
                    for ref, by in islice(spent.items(), NAMED_MAX)
                ]
            },
        )


def _named(states: Sequence[str]) -> str:
    more = len(states) - NAMED_MAX
    return ", ".join(states[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _malformed(request: UniquenessRequest) -> Rejection | None:
    reason = None
    if request.upper is None:
        reason = "the time window has no upper bound"
    elif request.output_count < 0:
        reason = f"the number of output states is {request.output_count}"
    elif len(set(request.inputs)) < len(request.inputs):
        reason = "an input state is named twice"
    elif len(set(request.references)) < len(request.references):
        reason = "a reference state is named twice"
    elif not set(request.inputs).isdisjoint(request.references):
        reason = "a state is both input and reference"
    if reason is None:
        return None
    kind = ErrorKind.MALFORMED_REQUEST
    return Rejection(kind=kind, message=f"{kind.words}: {reason}")


def _unseen(request: UniquenessRequest, now: str) -> Rejection:
    """The answer to `READ` of a transaction that was never seen."""
    window = _outside_window(request, now)
    if window is None:
        kind = ErrorKind.NOT_PREVIOUSLY_SEEN_TRANSACTION
        return Rejection(kind=kind, message=f"{kind.words}: this notary has not seen it")
    if request.lower is not None and now < request.lower:
        kind = ErrorKind.TIME_WINDOW_BEFORE_LOWER_BOUND
        return Rejection(
            kind=kind, message=_window_message(kind, request, now), details=window.details
        )
    return window


def _outside_window(request: UniquenessRequest, now: str) -> Rejection | None:
    """Refuse an instant outside the window: the lower bound is inside, the upper is not."""
    lower, upper = request.lower, request.upper
    if (lower is None or lower <= now) and upper is not None and now < upper:
        return None
    kind = ErrorKind.TIME_WINDOW_OUT_OF_BOUNDS
    details: Mapping[str, str | None] = {
        "evaluationTimestamp": now,
        "timeWindowLowerBound": lower,
        "timeWindowUpperBound": upper,
    }
    return Rejection(kind=kind, message=_window_message(kind, request, now), details=details)


def _window_message(kind: ErrorKind, request: UniquenessRequest, now: str) -> str:
    start = "any time" if request.lower is None else request.lower
    return f"{kind.words}: it is {now}, the window is from {start} until before {request.upper}"
