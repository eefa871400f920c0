"""Nodes with real vaults and keys whose programs talk to each other, without an engine.

The notary is one of them: its answer is a signature by its key over what it has not seen spent.
"""

import json
import time
from typing import Any

from host.domain.capability_error import CapabilityError
from host.domain.ids import FlowId
from host.domain.instants import instant_text
from host.keys import SchemePublicKeys
from host.ledger.capability import LedgerCapability
from host.ledger.core.components import from_groups
from host.ledger.core.signed import Signature, read_signed, signable
from host.ledger.core.statuses import Status
from host.ledger.events import LedgerEvent
from host.ledger.parts import CHAIN_LIMITS, REPAIR_TIMES
from host.ledger.protocols.finality import finalize
from host.ledger.protocols.receive_finality import (
    accept_finality,
    receive_finality,
    refuse_finality,
)
from host.ledger.protocols.repair import PROTOCOL, answer_repair, repair
from host.ledger.trust import Distrusted
from host.ledger.vault import outputs, transactions
from host.ports.keys import FLOW_CATEGORIES
from tests.ledger.program_network import Party, join, run
from tests.services.ledger_support import (
    CONTRACT,
    EC,
    IOU,
    NOTARY_NAME,
    Group,
    PositiveAmounts,
    ScriptedFunctions,
    StoredCpks,
)
from tests.services.support import NOW, context, cpi, holding

ALICE, BOB, CAROL = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Carol"))
NOTARY = NOTARY_NAME
NODES = (ALICE, BOB, CAROL, NOTARY)
UNTIL = instant_text(NOW + 3_600_000)


class Notary:
    """What a notary answers of a transaction; the first that spends a state has it.

    Attributes:
        asked: ids, in order.
        accepted: ids of notarised transactions.
        has_window_ended: of transactions that it has not seen.
        refuses: instead of an answer.
    """

    def __init__(self, nodes: "Nodes") -> None:
        self.nodes = nodes
        self.spent: dict[str, str] = {}
        self.asked: list[str] = []
        self.accepted: set[str] = set()
        self.has_window_ended = False
        self.refuses: CapabilityError | None = None

    def notarise(self, name: str, transaction_id: str, check: str) -> Any:
        self.asked.append(transaction_id)
        if self.refuses is not None:
            raise self.refuses
        if check == "READ" and transaction_id not in self.accepted:
            raise self._unseen(transaction_id)
        content = from_groups(self.nodes.stored(name, transaction_id).signed.groups)
        for ref in map(str, content.inputs):
            if self.spent.setdefault(ref, transaction_id) != transaction_id:
                raise CapabilityError(
                    "notary-input-state-conflict",
                    f"Unable to notarize transaction {transaction_id} Input State Conflict",
                )
        self.accepted.add(transaction_id)
        return [self.nodes.signature(NOTARY, transaction_id).to_json()]

    def _unseen(self, transaction_id: str) -> CapabilityError:
        if self.has_window_ended:
            return CapabilityError(
                "notary-time-window-out-of-bounds",
                f"Unable to notarize transaction {transaction_id} Time Window Out Of Bounds",
            )
        return CapabilityError("finality-undecided", "it has not seen the transaction")


class Functions:
    """The functions of one node, for a program."""

    def __init__(self, nodes: "Nodes", name: str, flow: str) -> None:
        self.nodes, self.name, self.flow = nodes, name, FlowId(flow)

    def __getitem__(self, function: str) -> Any:
        def call(request: Any) -> Any:
            if function == "notarise":
                return self.nodes.notary.notarise(self.name, request["id"], request["check"])
            self.nodes.meet(self.name, function)
            return self.nodes.call(self.name, f"protocol.{function}", request, self.flow)

        return call


class Nodes:
    """A group of four nodes.

    Attributes:
        notarised: transactions are built with a notary.
        refusals: errors by (node, function), raised instead of the function's answer.
        events: what the ledger told, of all nodes.
        cpis: of nodes that do not have `cpi`.
        distrusting: cut-offs of distrusted keys by node, as if each was on a host of its own.
    """

    def __init__(
        self,
        vaults: Any,
        keys: Any,
        *,
        backchain: bool = True,
        notary: bool = True,
        contracts: Any = None,
    ):
        self.vaults, self.store = vaults, keys
        self.group, self.contracts, self.public_keys = (
            Group(),
            PositiveAmounts() if contracts is None else contracts,
            SchemePublicKeys(),
        )
        self.cpi, self.stored_cpks = cpi(), StoredCpks()
        self.cpis: dict[str, Any] = {}
        self.keys = {}
        for name in NODES:
            tenant = holding(name).short_hash
            category = next(iter(sorted(FLOW_CATEGORIES)))
            self.keys[name] = keys.create(tenant, category, "ledger", EC).public_key
        self.notarised = notary
        if notary:
            self.group.add_notary(self.keys[NOTARY], backchain_required=backchain)
        self.notary = Notary(self)
        self.events: list[LedgerEvent] = []
        self.refusals: dict[tuple[str, str], CapabilityError] = {}
        self.distrusting: dict[str, Distrusted] = {}
        self._distrusted: Distrusted = {}
        self.count = 0
        self.chain_limits, self.monotonic = CHAIN_LIMITS, time.monotonic
        self.repair_times = REPAIR_TIMES
        self.ledger = LedgerCapability(
            vaults=vaults,
            keys=keys,
            public_keys=self.public_keys,
            members=self.group,
            cpks=self.stored_cpks,
            contracts=self.contracts,
            chain_limits=lambda: self.chain_limits,
            repair_times=lambda: self.repair_times,
            monotonic=self.seconds,
            distrusted=lambda: self._distrusted,
            vault_functions=ScriptedFunctions(),
            events=self.events.append,
        )

    def seconds(self) -> float:
        return self.monotonic()

    def call(self, name: str, function: str, request: Any, flow: str | None = None) -> Any:
        self.count += 1
        self._distrusted = self.distrusting.get(name, {})
        own = self.cpis.get(name, self.cpi)
        call = context(name, self.count, cpi_record=own, flow_id=flow or FlowId("test"))
        return json.loads(json.dumps(self.ledger.call(call, function, request)))

    def meet(self, name: str, function: str) -> None:
        if (refusal := self.refusals.get((name, function))) is not None:
            raise refusal

    def build(
        self, *amounts: int, by: str = ALICE, inputs: Any = (), signatories: Any = (ALICE, BOB)
    ) -> Any:
        """A transaction signed by one node, whose outputs belong to all signatories."""
        keys = [self.keys[each] for each in signatories]
        return self.call(
            by,
            "build",
            {
                "notary": NOTARY if self.notarised else None,
                "timeWindow": {"from": None, "until": UNTIL} if self.notarised else None,
                "inputs": list(inputs),
                "references": [],
                "outputs": [
                    {
                        "type": IOU,
                        "contract": CONTRACT,
                        "value": {"amount": amount},
                        "participants": keys,
                        "encumbrance": None,
                    }
                    for amount in amounts
                ],
                "commands": [{"type": "iou.Issue", "value": {}}],
                "signatories": keys,
            },
        )

    def signature(self, name: str, transaction_id: str, key: str | None = None) -> Signature:
        key = key or self.keys[name]
        draft = Signature(
            by=self.public_keys.key_id(key),
            key=key,
            signature=b"",
            timestamp=instant_text(NOW),
            spec=self.public_keys.default_spec(key),
            properties=(),
        )
        data = signable(transaction_id, draft.metadata())
        tenant = holding(name).short_hash
        return draft.with_bytes(self.store.sign(tenant, key, data, draft.spec, FLOW_CATEGORIES))

    def finality(self, signed: Any, *others: str, by: str = ALICE, **changes: Any) -> "Finality":
        made = Finality(self, signed, others, by=by, **changes)
        run(*made.parties)
        return made

    def final(self, *amounts: int, by: str = ALICE, others: Any = (BOB,), inputs: Any = ()) -> Any:
        """Make a transaction final; gives references to its outputs."""
        signed = self.build(*amounts, by=by, inputs=inputs, signatories=(by, *others))
        made = self.finality(signed, *others, by=by)
        assert not isinstance(made.result, Exception), made.result
        return [f"{signed['id']}:{index}" for index in range(len(amounts))]

    def repair(self, name: str, remembered: Any, *, now: str | None = None) -> Party:
        """Run the repair that a finality has left."""
        self.count += 1
        party = Party(
            name,
            repair,
            dict(remembered.request),
            Functions(self, name, f"repair-{self.count}"),
        )
        party.now = now or instant_text(NOW)

        def answering(wanted: Any) -> Party:
            request = {"session": "s", "counterparty": name, "protocol": PROTOCOL, "version": 1}
            other = wanted.counterparty
            return Party(other, answer_repair, request, Functions(self, other, "answer"))

        party.opens = answering
        run(party)
        return party

    def stored(self, name: str, transaction_id: str) -> Any:
        with self.vaults.read(holding(name).short_hash) as connection:
            return transactions.find_stored(connection, transaction_id)

    def status(self, name: str, transaction_id: str) -> tuple[str, str | None] | None:
        found = self.stored(name, transaction_id)
        return None if found is None else (found.status.value, found.reason and found.reason.value)

    def statuses(self, transaction_id: str, *names: str) -> list[str | None]:
        return [(self.status(name, transaction_id) or (None,))[0] for name in names]

    def unconsumed(self, name: str) -> list[int]:
        with self.vaults.read(holding(name).short_hash) as connection:
            page = outputs.unconsumed(connection, IOU, limit=1000)
        return [each.state.value["amount"] for each in page.states]

    def keep(self, name: str, signed: Any, status: Status, origin: Any, **more: Any) -> None:
        self.vaults.transact(
            holding(name).short_hash,
            lambda c: transactions.keep(
                c, read_signed(signed), status=status, origin=origin, now=NOW, **more
            ),
        )


def receiver(request: Any) -> Any:
    """A flow of a receiver, whose own code accepts or refuses what it sees."""
    found = yield from receive_finality({"session": "r"})
    request["seen"].append(found["transaction"])
    if request["refuse"]:
        refusal = {"message": request["refuse"], "invalid": True, "code": "not-wanted"}
        yield from refuse_finality({"session": "r", "proposal": found["proposal"], **refusal})
        raise CapabilityError("not-wanted", request["refuse"])
    return (yield from accept_finality({"session": "r", "proposal": found["proposal"]}))


class Finality:
    """One finality: the initiator, and a receiver at each of `others`."""

    def __init__(
        self,
        nodes: Nodes,
        signed: Any,
        others: Any,
        *,
        by: str,
        refuse: Any = None,
        flow: Any = receiver,
    ) -> None:
        nodes.count += 1
        flow_id = f"flow-{nodes.count}"
        self.id = signed["id"]
        self.seen: list[Any] = []
        request = {"transaction": signed, "sessions": list(others)}
        self.initiator = Party(by, finalize, request, Functions(nodes, by, flow_id))
        self.receivers = {
            name: Party(
                name,
                flow,
                {"refuse": (refuse or {}).get(name), "seen": self.seen},
                Functions(nodes, name, f"{flow_id}-{name[2:5]}"),
            )
            for name in others
        }
        for party in self.parties:
            party.now = instant_text(NOW)
        for name, party in self.receivers.items():
            join(self.initiator, name, party, "r")

    @property
    def parties(self) -> list[Party]:
        return [self.initiator, *self.receivers.values()]

    @property
    def result(self) -> Any:
        return self.initiator.result


class Changed(list):
    """An inbox that changes what comes into it."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def append(self, payload):
        super().append(self.change(payload))

    def popleft(self):
        return self.pop(0)
