"""Golden sub-journals: programs that ran once, as operations and answers that every build replays.

As a program, `python -m tests.ledger.golden_programs` records them anew into `tests/ledger/golden/`.
That is right for a new revision of a program; the files of earlier revisions stay.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from host.domain.capability_error import CapabilityError
from host.flow.core.program_state import digest_of, error_json, kind_of
from host.ledger.protocols import finality
from host.ledger.protocols.finality import finalize
from host.ports.programs import Call
from tests.ledger.finality_parties import Deal, receiver
from tests.ledger.transactions import identifier

FOLDER = Path(__file__).parent / "golden"
PROGRAMS = {"finalize-1": finalize, "receive-and-accept-1": receiver}


def ask_notary(transaction: str, check: str) -> Any:
    """Stands for the notary's own protocol."""
    return (yield Call("notarise", {"id": transaction, "check": check}))


def recorded() -> dict[str, Any]:
    """The programs of a finality of three, one of which resolves a chain, and of a refused one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finality, "notarise", ask_notary)
        whole = Deal("bob", "carol")
        for each in (whole.alice_knows, *whole.knows.values()):
            each.backchain = [identifier(1), identifier(2)]
        whole.run()
        refused = Deal("bob", "carol", refuse={"carol": "no"})
        refused.run()
    return {
        "finalize-1": rows(whole.alice),
        "finalize-1.refused": rows(refused.alice),
        "receive-and-accept-1": rows(whole.others["carol"]),
        "receive-and-accept-1.refused": rows(refused.others["carol"]),
        "receive-and-accept-1.failed": rows(refused.others["bob"]),
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
