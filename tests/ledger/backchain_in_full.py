"""Backchains of hostile peers with real numbers: 10,001 transactions, and 300 MiB of bytes.

Run by `make prove-ledger` alone: not collected by its name.
"""

import resource
from typing import Any

from host.ledger.core.message_reading import read_transactions as read_message
from host.ledger.core.messages import PAYLOAD_BYTES_MAX, ChainTransactions, message_json
from host.ledger.parts import CHAIN_LIMITS
from tests.ledger.test_ledger_backchain_limits import RealLimits, refused, resolve_from
from tests.ledger.test_ledger_backchain_program import Vault, chain
from tests.ledger.transactions import identifier

MIB = 1024 * 1024


def test_a_chain_of_one_too_many_is_refused_and_one_less_is_resolved():
    most = CHAIN_LIMITS.transactions
    for length in (most, most + 1):
        graph = chain(length)
        mine = RealLimits(graph)
        one = resolve_from(mine, Vault(graph), identifier(length - 1))
        if length > most:
            refused(one, mine)
        else:
            assert (one.result, len(mine.order)) == ("resolved", most)


class Heavy(Vault):
    """Serves transactions of nearly 8 MiB, of real bytes."""

    def serve(self, request: Any) -> Any:
        (asked,) = request["ids"]
        text = "x" * (PAYLOAD_BYTES_MAX - 1024)
        message = ChainTransactions(transactions=[{"id": asked, "text": text}])
        summary = {"sent": [asked], "dependencies": self.graph[asked], "parameters": []}
        return {"payload": message_json(message), "summary": summary}


class Counting(RealLimits):
    """Reads messages as a host does, and counts their bytes."""

    def take(self, request: Any) -> Any:
        found = read_message(request["payload"]).transactions
        size = sum(len(str(each["text"])) for each in found)
        return {**super().take(request), "bytes": size}


def test_three_hundred_mebibytes_are_not_kept_in_memory():
    graph = chain(40)
    mine = Counting(graph)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(resolve_from(mine, Heavy(graph), identifier(39)), mine)
    assert mine.messages == CHAIN_LIMITS.bytes // PAYLOAD_BYTES_MAX + 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 128 * MIB
