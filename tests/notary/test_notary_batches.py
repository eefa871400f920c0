"""Requests that wait at the same time share a commit and a signature, by the services of a host."""

import threading
from concurrent.futures import ThreadPoolExecutor

from host.domain.ids import FlowId
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.signed import check_signature, read_signature
from host.ledger.notary.requests import FOR_NOTARY
from host.ports.capability import CallContext
from host.ports.keys import KeyCategory
from tests.notary.conftest import ALICE
from tests.notary.requests import refs

COUNT = 8
PATIENCE_SECONDS = 30


class Gated:
    """Wraps a function whose first calls wait, each for an event of its own."""

    def __init__(self, function, *gates, concerns=lambda *args: True):
        self.function, self.gates, self.concerns = function, gates, concerns
        self.entered = threading.Event()
        self.calls = 0

    def __call__(self, *args):
        if self.concerns(*args):
            number, self.calls = self.calls, self.calls + 1
            self.entered.set()
            if number < len(self.gates):
                assert self.gates[number].wait(PATIENCE_SECONDS)
        return self.function(*args)


def of_notaries(tenant, key, data, spec, categories=()):
    return KeyCategory.NOTARY in categories


def wait_for(queue, length):
    while len(queue) < length:  # each thread joins the queue before it sleeps
        pass


def test_requests_share_a_commit_and_a_signature(network, notary, notaries, monkeypatch):
    parts, holding = network.parts, notary.holding
    notarise = parts.ledger._handlers["protocol.notarise"]
    server, key = notarise.__self__, notaries.named().key
    node, public_keys = holding.short_hash, parts.public_keys
    issue = notaries.transaction(outputs=COUNT)
    spends = [notaries.transaction(inputs=refs(issue, n // 2), outputs=n + 1) for n in range(COUNT)]
    assert len({each.id for each in spends}) == COUNT

    def ask(signed):
        filtered = filtered_json(filter_transaction(signed, FOR_NOTARY))
        request = {"client": ALICE, "payload": {"check": "WRITE", "filtered": filtered}}
        call = CallContext(
            holding=holding,
            cpi=parts.catalogue.cpi,
            flow_id=FlowId(signed.id[:20]),
            request_id=signed.id[-20:],
            now=parts.base.clock.now_ms(),
        )
        return notarise(call, request)["answer"]

    assert ask(notaries.transaction())["error"] is None  # opens the notary's database
    committed, signed_first = threading.Event(), threading.Event()
    signings = Gated(parts.keys.sign, signed_first, concerns=of_notaries)
    # The second commit waits until the first transaction is being signed, alone.
    commits = Gated(parts.notary_databases.transact, committed, signings.entered)
    monkeypatch.setattr(parts.notary_databases, "transact", commits)
    monkeypatch.setattr(parts.keys, "sign", signings)
    with ThreadPoolExecutor(COUNT + 1) as pool:
        first = pool.submit(ask, issue)
        assert commits.entered.wait(PATIENCE_SECONDS)
        others = [pool.submit(ask, each) for each in spends]
        wait_for(server._uniqueness._batches(node)._queue, COUNT)
        committed.set()
        assert signings.entered.wait(PATIENCE_SECONDS)
        (batches,) = server._signer._batches.values()
        wait_for(batches._queue, COUNT // 2)
        signed_first.set()
        whole = first.result()
        answers = [each.result() for each in others]
    assert commits.calls == 2
    assert signings.calls == 2
    accepted = [
        (signed, read_signature(*answer["signatures"]))
        for signed, answer in zip((issue, *spends), (whole, *answers), strict=True)
        if answer["error"] is None
    ]
    assert len(accepted) == 1 + COUNT // 2
    for signed, signature in accepted:
        assert signature.key == key
        check_signature(signed.id, signature, public_keys)
    assert next(each.proof for _, each in accepted) is None
    proofs = [each.proof for _, each in accepted[1:]]
    assert [proof.size for proof in proofs] == [COUNT // 2] * (COUNT // 2)
    assert sorted(proof.index for proof in proofs) == list(range(COUNT // 2))
    assert len({each.signature for _, each in accepted[1:]}) == 1
    refusals = [answer["error"]["kind"] for answer in answers if answer["error"] is not None]
    assert refusals == ["InputStateConflict"] * (COUNT // 2)
