"""Golden sub-journals: programs that ran once, as operations and answers that every build replays.

As a program, `python -m tests.ledger.golden_programs` records them anew into `tests/ledger/golden/`.
That is right for a new revision of a program; the files of earlier revisions stay.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from host.domain.capability_error import CapabilityError
from host.flow.core.program_state import digest_of, error_json, kind_of
from host.ledger.protocols import finality, repair
from host.ledger.protocols.finality import finalize
from host.ledger.protocols.notary_client import notarise
from host.ledger.protocols.serve_notarisation import serve_notarisation
from host.ports.programs import Call
from tests.ledger import golden_protocols
from tests.ledger.finality_parties import Deal, receiver
from tests.ledger.test_ledger_notary_programs import (
    ACCEPTED,
    ID,
    NODES,
    PLAN,
    Client,
    Notary,
    lost,
    refusal,
)
from tests.ledger.transactions import identifier

FOLDER = Path(__file__).parent / "golden"
PROGRAMS = {
    "finalize-1": finalize,
    "notarise-1": lambda request: notarise(request["id"], request["check"]),
    "receive-and-accept-1": receiver,
    "serve-notarisation-1": serve_notarisation,
    **golden_protocols.PROGRAMS,
}


def ask_notary(transaction: str, check: str) -> Any:
    """Stands for the notary's own protocol."""
    return (yield Call("notarise", {"id": transaction, "check": check}))


def recorded() -> dict[str, Any]:
    """A finality of three, one of which resolves a chain, a refused one, and all other programs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finality, "notarise", ask_notary)
        patched.setattr(repair, "notarise", ask_notary)
        others = golden_protocols.recorded(rows)
        whole = Deal("bob", "carol")
        for each in (whole.alice_knows, *whole.knows.values()):
            each.backchain = [identifier(1), identifier(2)]
        whole.run()
        refused = Deal("bob", "carol", refuse={"carol": "no"})
        refused.run()
    return {
        **others,
        **notarised(),
        "finalize-1": rows(whole.alice),
        "finalize-1.refused": rows(refused.alice),
        "receive-and-accept-1": rows(whole.others["carol"]),
        "receive-and-accept-1.refused": rows(refused.others["carol"]),
        "receive-and-accept-1.failed": rows(refused.others["bob"]),
    }


class Alone:
    """A program whose operations one object answers."""

    def __init__(self, name: str, peer: Any, request: Any) -> None:
        self.request = request
        self.answers: list[tuple[bool, Any]] = []
        self._answer = peer.answer
        peer.answer = self._recorded
        with contextlib.suppress(CapabilityError):
            peer.run(PROGRAMS[name](request))
        self.operations = peer.operations

    def _recorded(self, operation: Any) -> Any:
        try:
            answer = self._answer(operation)
        except CapabilityError as refused:
            self.answers.append((True, refused))
            raise
        self.answers.append((False, answer))
        return answer


def notarised() -> dict[str, Any]:
    """A notary that is asked twice, one that refuses, and what a notary's own node does."""
    request = {"id": ID, "check": "WRITE"}
    asked_twice = Notary(lost(), ACCEPTED, plan=PLAN | {"nodes": NODES}, drawn=1)
    refusing = Notary(refusal("InputStateConflict"))
    served = {"id": ID, "answer": ACCEPTED, "kind": None}
    serving = {"op": "serve-notarisation", "session": "s"}
    return {
        "notarise-1": rows(Alone("notarise-1", asked_twice, request)),
        "notarise-1.refused": rows(Alone("notarise-1", refusing, request)),
        "serve-notarisation-1": rows(Alone("serve-notarisation-1", Client(served=served), serving)),
    }


def rows(party: Any) -> Any:
    answers = [
        [is_error, error_json(answer) if is_error else answer] for is_error, answer in party.answers
    ]
    operations = [[kind_of(each), digest_of(each)] for each in party.operations]
    return {"request": party.request, "operations": operations, "answers": answers}


def replayed(name: str, golden: Any) -> list[list[str]]:
    """Kind and digest of each operation that today's program performs with the stored answers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finality, "notarise", ask_notary)
        patched.setattr(repair, "notarise", ask_notary)
        running = PROGRAMS[name.partition(".")[0]](golden["request"])
        found = [next(running)]
        for is_error, answer in golden["answers"]:
            try:
                if is_error:
                    found.append(running.throw(CapabilityError(answer["code"], answer["message"])))
                else:
                    found.append(running.send(answer))
            except (StopIteration, CapabilityError):
                break
    return [[kind_of(each), digest_of(each)] for each in found]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for program, content in recorded().items():
        text = json.dumps(content, indent=1, sort_keys=True)
        (FOLDER / f"{program}.json").write_text(text + "\n", encoding="utf-8")
