"""Programs for golden sub-journals beside finality: chains, transfers, builders, repairs, rebuilds.

Their functions are scripted: what they answer is what a vault would, without transactions.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from host.domain.capability_error import CapabilityError
from host.ledger.core.message_reading import read_reply
from host.ledger.core.messages import (
    BuilderProposed,
    ChainStop,
    RepairAnswer,
    TransferLedgerTransaction,
    TransferTransaction,
    message_json,
)
from host.ledger.protocols import builders, transfer
from host.ledger.protocols.backchain import Offer, resolve, serve
from host.ledger.protocols.release import release_claims
from host.ledger.protocols.repair import answer_repair, repair
from host.ledger.protocols.steps import receive_from
from host.ledger.protocols.vault_rebuild import rebuild_vault
from tests.ledger.program_network import NOW, Party, join, run
from tests.ledger.test_ledger_backchain_program import Vault
from tests.ledger.transactions import identifier

ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
ID = identifier(7)
TRANSACTION = {"id": ID}
BUILDER = {"notary": None, "outputs": []}
GRAPH = {identifier(n): [identifier(n + 1)] if n < 30 else [] for n in range(20, 31)}
ROOT = identifier(20)
_LEDGER = {"transaction": TRANSACTION, "backchain": True, "dependencies": None}


def resolving(request: Any) -> Any:
    """A part of other programs, alone."""
    yield from resolve("s", request["ids"])


def serving(request: Any) -> Any:
    """Answers what a resolver asks for, until it stops."""
    offer = Offer()
    offer.add(request["ids"])
    while True:
        asked: Any = read_reply((yield from receive_from("r")))
        if isinstance(asked, ChainStop):
            return
        yield from serve("r", asked, offer)


def adding(request: Any) -> Any:
    """Takes the builder first, as a flow does."""
    yield from builders.receive_builder({"session": "r"})
    yield from builders.send_builder(request)


PROGRAMS: Mapping[str, Any] = {
    "resolve-1": resolving,
    "serve-1": serving,
    "send-transaction-1": transfer.send_transaction,
    "receive-transaction-1": transfer.receive_transaction,
    "send-ledger-transaction-1": transfer.send_ledger_transaction,
    "receive-ledger-transaction-1": transfer.receive_ledger_transaction,
    "exchange-builder-1": builders.exchange_builder,
    "receive-builder-1": builders.receive_builder,
    "send-builder-1": adding,
    "repair-1": repair,
    "answer-repair-1": answer_repair,
    "release-claims-1": release_claims,
    "rebuild-vault-1": rebuild_vault,
}


def recorded(rows: Callable[[Party], Any]) -> dict[str, Any]:
    """All programs, as `rows` writes what each did."""
    return {name: rows(party) for name, party in _parties()}


def _parties() -> Iterator[tuple[str, Party]]:
    yield from _pair("resolve-1", {"ids": [ROOT]}, "serve-1", {"ids": [ROOT]})
    sending = {"transaction": TRANSACTION, "sessions": ["s"]}
    receiving = {"op": "receive", "session": "r"}
    plain, seen = "transaction-1", "ledger-transaction-1"
    with_chain = {**sending, "backchain": True}
    yield from _pair(f"send-{plain}", with_chain, f"receive-{plain}", receiving)
    refused = CapabilityError("contract-verification-failed", "no")
    yield from _pair(
        f"send-{plain}", with_chain, f"receive-{plain}", receiving, case=".refused", fails=refused
    )
    yield from _pair(f"send-{seen}", sending, f"receive-{seen}", receiving)
    exchange = {"builder": BUILDER, "session": "s"}
    adding = {"received": BUILDER, "builder": BUILDER, "session": "r"}
    yield from _pair("exchange-builder-1", exchange, "send-builder-1", adding)
    offered = Party(BOB, PROGRAMS["receive-builder-1"], {"session": "r"}, _functions(None))
    offered.session("r")
    offered.ends["r"].inbox.append({"cordbox": "builder", "v": 1, "kind": "builder", "builder": {}})
    yield "receive-builder-1", _run(offered)
    yield from _repairs()
    release = {"flow": "f", "key": "release:f"}
    yield "release-claims-1", _alone("release-claims-1", release, None)
    rebuild = {"rebuild": "r", "after": 0, "until": 9}
    yield "rebuild-vault-1", _alone("rebuild-vault-1", rebuild, None)


def _pair(
    first: str, request: Any, second: str, other: Any, *, case: str = "", fails: Any = None
) -> Iterator[tuple[str, Party]]:
    """Two programs at the ends of a session; the vault of the second lacks the chain."""
    lacking = Vault(GRAPH)
    knowing = Vault(GRAPH, verified=GRAPH)
    lacks_first = first in {"resolve-1", "exchange-builder-1"}
    vaults = (lacking, knowing) if lacks_first else (knowing, lacking)
    one = Party(ALICE, PROGRAMS[first], request, _functions(vaults[0]))
    two = Party(BOB, PROGRAMS[second], other, _functions(vaults[1], fails))
    join(one, "s", two, "r")
    run(one, two)
    assert one.is_over
    assert two.is_over
    yield f"{first}{case}", one
    yield f"{second}{case}", two


def _repairs() -> Iterator[tuple[str, Party]]:
    request = {"id": ID, "attempt": 1}
    for case, refusal in (
        ("", None),
        (".undecided", CapabilityError("finality-undecided", "it has not seen it")),
        (".fatal", CapabilityError("notary-time-window-out-of-bounds", "it has ended")),
    ):
        party = Party(ALICE, repair, request, _functions(None, refusal))
        answering = Party(BOB, answer_repair, {"session": "s", "counterparty": ALICE},
                          _functions(None))  # fmt: skip
        party.opens = lambda _, answers=answering: answers  # type: ignore[misc]
        yield f"repair-1{case}", _run(party)
        if not case:
            yield "answer-repair-1", answering


def _alone(name: str, request: Any, vault: Vault | None) -> Party:
    return _run(Party(ALICE, PROGRAMS[name], request, _functions(vault)))


def _run(party: Party) -> Party:
    run(party)
    assert party.is_over
    return party


def _functions(vault: Vault | None, fails: CapabilityError | None = None) -> Mapping[str, Any]:
    """What one node's ledger answers; `fails` is raised where a transaction is judged."""

    def judged(answer: Any) -> Callable[[Any], Any]:
        def judge(_: Any) -> Any:
            if fails is not None:
                raise fails
            return answer

        return judge

    def made(message: Any, summary: Any = None) -> Callable[[Any], Any]:
        return lambda _: {"payload": message_json(message), "summary": summary}

    rebuilt = {"transactions": 2, "changed": 1, "failed": 0}
    steps = iter([{"after": 4, "done": False}, {"after": 9, "done": True}])
    plan = {"status": "U", "done": False, "until": NOW, "incomplete": True, "parties": [BOB]}
    chain = {"backchain": [ROOT]}
    return {
        **(vault.functions() if vault else {}),
        "begin-transfer": lambda _: {"id": ID},
        "make-transfer": made(TransferTransaction(**_LEDGER), chain),
        "make-ledger-transfer": made(TransferLedgerTransaction(**_LEDGER), chain),
        "take-transfer": lambda _: {"id": ID, "resolve": [ROOT]},
        "take-ledger-transfer": lambda _: {"id": ID, "resolve": [ROOT]},
        "finish-transfer": judged(None),
        "judge-ledger-transfer": judged({"id": ID, "outputs": []}),
        "check-builder": lambda _: {"builder": BUILDER},
        "take-builder": lambda _: {"builder": BUILDER},
        "make-proposed": made(BuilderProposed(builder=BUILDER, filtered=None), chain),
        "take-proposed": lambda _: {"builder": BUILDER, "resolve": [ROOT]},
        "repair-plan": lambda _: plan,
        "notarise": judged([]),
        "take-repair": lambda _: None,
        "answer-repair": made(RepairAnswer(signatures=[])),
        "finish": lambda _: {"visible": [0]},
        "refused": lambda _: None,
        "release-claims": lambda _: None,
        "rebuild-outputs": lambda _: {**next(steps), **rebuilt},
        "rebuild-ended": lambda _: None,
    }
