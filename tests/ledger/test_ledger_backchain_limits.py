"""Backchains of hostile peers, by the limits that a host really has.

Programs run without vaults: what a peer sends has the sizes and times that the test says. `make
prove-ledger` also sends 10,001 transactions one by one, and 300 MiB of real bytes
(`backchain_in_full.py`).
"""

from typing import Any

import msgspec

from host.domain.instants import instant_ms, instant_text
from host.ledger.core.messages import PAYLOAD_BYTES_MAX
from host.ledger.parts import CHAIN_LIMITS
from host.ledger.protocols.backchain import ANSWER_MS
from tests.ledger.program_network import NOW, Party, join, run
from tests.ledger.test_ledger_backchain_program import Vault, chain, resolver, server
from tests.ledger.transactions import identifier

LONG = 1_000
"""Transactions of a chain that takes more than a hundred messages: a message has ten of them."""


class RealLimits(Vault):
    """What a resolver does with its vault, by the default limits.

    Attributes:
        sizes: what each message of transactions is found to have, bytes.
    """

    def __init__(self, graph: Any) -> None:
        super().__init__(graph)
        self.limits = msgspec.to_builtins(CHAIN_LIMITS)
        self.messages = 0
        self.size: int | None = None

    def take(self, request: Any) -> Any:
        self.messages += 1
        taken = super().take(request)
        return taken if self.size is None else {**taken, "bytes": self.size}


class Forgotten(list[Any]):
    """What a party has sent and called is not looked at afterwards."""

    def append(self, sent: Any) -> None:
        pass


def resolve_from(mine: Vault, theirs: Vault, newest: str) -> Party:
    one = Party("O=Alice", resolver, {"ids": [newest]}, mine.functions())
    other = Party("O=Bob", server, {"offer": [newest]}, theirs.functions())
    other.sent, one.calls = Forgotten(), Forgotten()
    join(one, "r", other, "s")
    run(one, other)
    return one


def refused(one: Party, mine: Vault) -> None:
    assert one.result.code == "backchain-too-large"
    assert mine.order == []


def wide(width: int) -> dict[str, list[str]]:
    """One transaction that depends on all others."""
    others = [identifier(number) for number in range(width)]
    return {identifier(width): others, **{each: [] for each in others}}


def test_a_transaction_with_ten_thousand_others_below_is_refused_by_its_first_message():
    graph = wide(CHAIN_LIMITS.transactions)
    mine = RealLimits(graph)
    refused(resolve_from(mine, Vault(graph), identifier(CHAIN_LIMITS.transactions)), mine)
    assert mine.messages == 1


def test_messages_as_large_as_they_may_be_end_at_the_limit_of_bytes():
    graph = chain(LONG)
    mine = RealLimits(graph)
    mine.size = PAYLOAD_BYTES_MAX
    refused(resolve_from(mine, Vault(graph), identifier(LONG - 1)), mine)
    assert mine.messages == CHAIN_LIMITS.bytes // PAYLOAD_BYTES_MAX + 1


def test_a_peer_that_answers_each_time_just_in_time_is_given_up():
    graph = chain(LONG)
    mine = RealLimits(graph)
    one = Party("O=Alice", resolver, {"ids": [identifier(LONG - 1)]}, mine.functions())
    take = mine.take
    begun = instant_ms(NOW)

    def late(request: Any) -> Any:
        one.now = instant_text(instant_ms(one.now) + ANSWER_MS - 1)
        return take(request)

    one.functions["take-chain"] = late
    other = Party("O=Bob", server, {"offer": [identifier(LONG - 1)]}, Vault(graph).functions())
    join(one, "r", other, "s")
    run(one, other)
    refused(one, mine)
    spent = instant_ms(one.now) - begun
    assert CHAIN_LIMITS.millis < spent <= CHAIN_LIMITS.millis + ANSWER_MS
