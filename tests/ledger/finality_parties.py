"""Finality between programs: what each party's functions note, without transactions."""

from typing import Any

from host.domain.capability_error import CapabilityError
from host.ledger.core.message_reading import read_proposal, read_transactions
from host.ledger.core.messages import FinalityProposal, message_json
from host.ledger.protocols.finality import finalize
from host.ledger.protocols.receive_finality import (
    accept_finality,
    receive_finality,
    refuse_finality,
)
from tests.ledger.program_network import NOW, Party, join, run
from tests.ledger.transactions import identifier

ID = identifier(7)
ALICE = "O=Alice, L=London, C=GB"


def signature(key: str) -> Any:
    return {"by": key, "key": key, "signature": "", "metadata": {}}


NOTARY = signature("notary")


class Functions:
    """What one node's ledger knows of the transaction, and the functions that change it.

    Attributes:
        status: of the transaction, as a vault would have it.
        refuses: errors by the name of the function that raises them.
    """

    def __init__(self, key: str, *, signatories: Any = (), notary: bool = True) -> None:
        self.key = key
        self.signatories = set(signatories)
        self.notary = notary
        self.keys: set[str] = set()
        self.status: str | None = None
        self.reason: str | None = None
        self.refuses: dict[str, CapabilityError] = {}
        self.notarised: Any = [NOTARY]
        self.backchain: list[str] = []
        self.verified: list[str] = []

    def __getitem__(self, name: str) -> Any:
        if name in self.refuses:
            return self._refuse(name)
        return getattr(self, "do_" + name.replace("-", "_"))

    def _refuse(self, name: str) -> Any:
        def refuse(_: Any) -> Any:
            raise self.refuses[name]

        return refuse

    def do_begin_finality(self, request: Any) -> Any:
        self.status, self.keys = "U", {self.key}
        return {
            "id": ID,
            "notary": self.notary,
            "backchain": True,
            "dependencies": [],
            "until": NOW if self.notary else None,
        }

    def do_make_proposal(self, request: Any) -> Any:
        message = FinalityProposal(
            transaction={"id": ID},
            more=request["more"],
            dependencies=None,
            backchain=bool(self.backchain),
        )
        return {"payload": message_json(message), "summary": {"backchain": self.backchain}}

    def do_take_proposal(self, request: Any) -> Any:
        proposal = read_proposal(request["payload"])
        self.status, self.keys = "U", {"alice"}
        resolve = self.backchain if proposal.backchain else []
        return {
            "id": ID,
            "more": proposal.more,
            "version": 1,
            "resolve": resolve,
            "repair_ms": 60_000 if self.notary else None,
        }

    def do_examine(self, request: Any) -> Any:
        return {"id": request["id"], "outputs": []}

    def do_sign(self, request: Any) -> Any:
        self.keys.add(self.key)
        return {"signatures": [signature(self.key)], "verifications": [], "notary": self.notary}

    def do_add_signatures(self, request: Any) -> Any:
        for reply in request["replies"]:
            self.keys |= {each["key"] for each in reply["signatures"]}
        if missing := self.signatories - self.keys:
            raise CapabilityError("signature-missing", f"missing {sorted(missing)}")

    def do_refused(self, request: Any) -> Any:
        self.status, self.reason = "I", request.get("reason", "refused")

    def do_refuse(self, request: Any) -> Any:
        if request["invalid"]:
            self.status, self.reason = "I", "refused"

    def do_finish(self, request: Any) -> Any:
        if self.notary and NOTARY not in request["signatures"]:
            raise CapabilityError("notary-signature-invalid", "no signature of the notary")
        self.status = "V"
        return {"visible": [0]}

    def do_notarise(self, request: Any) -> Any:
        return self.notarised

    def do_plan(self, request: Any) -> Any:
        return {"ask": [i for i in request["ids"] if i not in self.verified], "unverified": {}}

    def do_chain_limits(self, request: Any) -> Any:
        return {"batch": 10, "transactions": 100, "bytes": 1000, "millis": 1000}

    def do_take_chain(self, request: Any) -> Any:
        message = read_transactions(request["payload"])
        if message.__struct_config__.tag == "failed":
            raise CapabilityError("finality-failed", "given up")
        return {"taken": {i: [] for i in request["ids"]}, "parameters": [], "bytes": 1}

    def do_verify_chain(self, request: Any) -> Any:
        self.verified += request["ids"]
        return {"count": len(request["ids"])}

    def do_serve_chain(self, request: Any) -> Any:
        payload = {
            "cordbox": "chain",
            "v": 1,
            "kind": "transactions",
            "transactions": [{"id": each} for each in request["ids"]],
        }
        summary = {"sent": request["ids"], "dependencies": [], "parameters": []}
        return {"payload": payload, "summary": summary}


def receiver(request: Any) -> Any:
    """A flow of a receiver: receive, ask its own code, then accept or refuse."""
    found = yield from receive_finality({"session": "r"})
    if request.get("refuse"):
        answer = {"message": request["refuse"], "invalid": True}
        yield from refuse_finality({"session": "r", "proposal": found["proposal"], **answer})
        raise CapabilityError("own", request["refuse"])
    return (yield from accept_finality({"session": "r", "proposal": found["proposal"]}))


class Deal:
    """Alice's finality with counterparties `names`; sessions are named as they are."""

    def __init__(self, *names: str, refuse: Any = None, **changes: Any) -> None:
        self.names = names
        keys = {"alice", *names}
        self.alice_knows = Functions("alice", signatories=keys, **changes)
        self.knows = {name: Functions(name, signatories=keys, **changes) for name in names}
        request = {"transaction": {"id": ID}, "sessions": list(names)}
        self.alice = Party(ALICE, finalize, request, self.alice_knows)
        self.others = {
            name: Party(f"O={name}", receiver, {"refuse": (refuse or {}).get(name)}, knows)
            for name, knows in self.knows.items()
        }
        for name, other in self.others.items():
            join(self.alice, name, other, "r")

    def run(self) -> Any:
        run(self.alice, *self.others.values())
        return self.alice.result

    def statuses(self) -> list[str | None]:
        return [self.alice_knows.status, *(each.status for each in self.knows.values())]

    def scripted(self, name: str, *payloads: Any) -> Any:
        """Run with a counterparty that sends these payloads, whatever it receives."""
        end = self.alice.ends[name]
        end.other = None
        end.inbox.extend(payloads)
        run(self.alice, *(each for key, each in self.others.items() if key != name))
        return self.alice.result
