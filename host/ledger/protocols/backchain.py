"""The transactions that a transaction depends on: asked for, served, and verified parents first.

The resolver keeps ids in its locals and bytes in the vault. The server serves what it has offered,
and what that depends on, however far away: a resolver may have some of it already.
Source: corda-runtime-os `TransactionBackchainReceiverFlowV1.kt`,
`TransactionBackchainSenderFlowV1.kt`. Difference: Corda's sender serves any transaction of its
vault.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import msgspec
from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_ms
from host.ledger.core.answers import (
    ChainLimits,
    ChainPlan,
    Dependencies,
    ServedChain,
    TakenChain,
    VerifiedChain,
)
from host.ledger.core.graph import CycleError, dependencies_first
from host.ledger.core.messages import ChainGet, ChainGetParameters, ChainStop
from host.ledger.protocols.steps import (
    Steps,
    ask,
    fail,
    receive_from,
    send,
    send_made,
)
from host.ports.programs import Call, Now

_A = TypeVar("_A", bound=Struct)

ANSWER_MS = 60_000
"""A server that has not answered by then has failed."""
PLANNED_MAX = 100
"""Ids that are looked up in one call."""
VERIFIED_MAX = 20
"""Transactions that are verified in one call."""


EXPLORED_MAX = 10_000
"""Transactions that a server looks through for one that its resolver asks for."""


@dataclass(slots=True)
class Offer:
    """What a counterparty may ask for.

    Attributes:
        ids: of transactions, in order of discovery.
        unexplored: those of them of which the dependencies are not among `ids` yet.
        parameters: hashes of group parameters.
    """

    ids: set[str] = field(default_factory=set)
    unexplored: dict[str, None] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)

    def add(self, ids: Iterable[str]) -> None:
        """Offer more transactions."""
        for each in ids:
            if each not in self.ids:
                self.ids.add(each)
                self.unexplored[each] = None

    def explored(self, ids: Iterable[str]) -> None:
        """The dependencies of `ids` are offered."""
        for each in ids:
            self.unexplored.pop(each, None)


def serve(session: str, asked: ChainGet | ChainGetParameters, offer: Offer) -> Steps[None]:
    """Answer one question of a resolver.

    Raises:
        CapabilityError: `backchain-unexpected`, it asks for what was not offered to it; the session
            has failed. As the session.
    """
    if isinstance(asked, ChainGetParameters):
        if asked.hash not in offer.parameters:
            yield from _refuse(session, asked.hash)
        made = Call("serve-parameters", {"hash": asked.hash})
    else:
        yield from _explore(session, asked.ids, offer)
        made = Call("serve-chain", {"ids": list(asked.ids), "ahead": asked.ahead})
    sent = yield from send_made(session, made, ServedChain)
    offer.add(sent.dependencies)
    offer.explored(sent.sent)
    offer.parameters.update(sent.parameters)


def resolve(session: str, ids: Sequence[str]) -> Steps[None]:
    """Get the transactions of `ids` and all that they depend on, and verify them.

    Raises:
        CapabilityError: `backchain-incomplete`, `backchain-too-large`, `backchain-invalid`,
            `backchain-unexpected`, or as the session. What was verified by then stays verified.
    """
    resolver = _Resolver(session)
    yield from resolver.collect(ids)
    yield from resolver.stop()
    yield from resolver.verify()


class _Resolver:
    """The state of one resolution.

    Attributes:
        graph: unverified transactions with the ids that they depend on, in order of discovery.
        waiting: ids to be asked for, in order of discovery; none is in `graph`.
        known: all ids that were looked up.
        bytes: of what was received.
    """

    def __init__(self, session: str) -> None:
        self.session = session
        self.graph: dict[str, list[str]] = {}
        self.waiting: dict[str, None] = {}
        self.known: set[str] = set()
        self.received = 0
        self.bytes = 0

    def collect(self, ids: Sequence[str]) -> Steps[None]:
        """Fill the graph."""
        yield from self._look_up(ids)
        if not self.waiting:
            return
        limits = yield from ask("chain-limits", {}, ChainLimits)
        started = yield from _now_ms()
        while self.waiting:
            yield from self._get(limits)
            self._check_size(limits)
            if (yield from _now_ms()) - started > limits.millis:
                raise _too_large(f"took more than {limits.millis // 1000} s")

    def stop(self) -> Steps[None]:
        """Tell the server that nothing more is asked for."""
        yield from send(self.session, ChainStop())

    def verify(self) -> Steps[None]:
        """Verify the graph, parents first."""
        try:
            order = dependencies_first(self.graph)
        except CycleError as exc:
            raise CapabilityError("backchain-invalid", str(exc)) from exc
        while order:
            request = {"ids": order[:VERIFIED_MAX]}
            verified = yield from ask("verify-chain", request, VerifiedChain)
            order = order[verified.count :]

    def _look_up(self, ids: Iterable[str]) -> Steps[None]:
        """Sort ids into those to ask for and those that the vault has unverified, to the end."""
        new = self._unknown(ids)
        while new:
            batch, new = new[:PLANNED_MAX], new[PLANNED_MAX:]
            plan = yield from ask("plan", {"ids": batch}, ChainPlan)
            self.waiting.update(dict.fromkeys(plan.ask))
            self.graph.update(plan.unverified)
            for dependencies in plan.unverified.values():
                new += self._unknown(dependencies)

    def _get(self, limits: ChainLimits) -> Steps[None]:
        batch = list(self.waiting)[: limits.batch]
        ahead = limits.batch - len(batch)
        yield from send(self.session, ChainGet(ids=batch, ahead=ahead))
        into = Call("take-chain", {"ids": batch, "ahead": ahead})
        taken = yield from self._answer(into, TakenChain)
        for transaction_id in taken.taken:
            self.waiting.pop(transaction_id, None)
        self.known.update(taken.taken)
        self.graph.update(taken.taken)
        self.received += len(taken.taken)
        self.bytes += taken.bytes
        for parameters in taken.parameters:
            yield from send(self.session, ChainGetParameters(hash=parameters))
            into = Call("take-parameters", {"hash": parameters})
            yield from receive_from(self.session, within_ms=ANSWER_MS, into=into)
        yield from self._look_up(each for found in taken.taken.values() for each in found)

    def _answer(self, into: Call, kind: type[_A]) -> Steps[_A]:
        answer = yield from receive_from(self.session, within_ms=ANSWER_MS, into=into)
        return msgspec.convert(answer, kind)

    def _check_size(self, limits: ChainLimits) -> None:
        count = self.received + len(self.waiting)
        if count > limits.transactions:
            raise _too_large(f"has more than {limits.transactions} transactions")
        if self.bytes > limits.bytes:
            raise _too_large(f"has more than {limits.bytes} bytes")

    def _unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that were not looked up yet, each once."""
        new = [each for each in dict.fromkeys(ids) if each not in self.known]
        self.known.update(new)
        return new


def _explore(session: str, asked: Sequence[str], offer: Offer) -> Steps[None]:
    """Look for ids among all that the offered transactions depend on."""
    while foreign := next((each for each in asked if each not in offer.ids), None):
        batch = list(islice(offer.unexplored, PLANNED_MAX))
        if not batch or len(offer.ids) > EXPLORED_MAX:
            yield from _refuse(session, foreign)
        found = yield from ask("dependencies", {"ids": batch}, Dependencies)
        offer.add(found.ids)
        offer.explored(batch)


def _refuse(session: str, asked: str) -> Steps[None]:
    refused = CapabilityError(
        "backchain-unexpected", f"{asked} was not offered to the counterparty"
    )
    yield from fail(session, refused)
    raise refused


def _now_ms() -> Steps[int]:
    now = yield Now()
    return instant_ms(str(now))


def _too_large(reason: str) -> CapabilityError:
    return CapabilityError("backchain-too-large", f"the backchain {reason}")
