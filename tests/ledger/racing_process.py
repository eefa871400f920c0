"""A process that spends states of one notary as fast as it can: `FILE NAME FIRST LAST SEED`.

It says each answer once it has it, as `NUMBER accepted|refused`, and goes through its states in an
order of its own. Another process may do the same with the same file, and each may be killed.
"""

import random
import sys
from pathlib import Path

from host.adapters.os.system import SystemClock
from host.adapters.sqlite.database import Database
from host.ledger.core.model import StateRef
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.service import UniquenessService
from host.ledger.notary.tables import SCHEMA
from tests.ledger.transactions import identifier

NODE = "0123456789AB"
_ISSUED = 10**9
UPPER = "2999-01-01T00:00:00.000000Z"


class OneFile:
    """The database of one notary."""

    def __init__(self, path):
        self.database = Database.open(path, [SCHEMA])

    def transact(self, _node, work):
        return self.database.transact(work)


def service_of(path):
    return UniquenessService(databases=OneFile(path), clock=SystemClock())


def issue(outputs):
    return _request(_ISSUED, (), outputs)


def spending(name, number):
    """The transaction by which a process spends a state; each has its own (`a` or `b`)."""
    mine = _ISSUED + 1 + 2 * number + "ab".index(name)
    return _request(mine, (StateRef(identifier(_ISSUED), number),), 1)


def _request(number, inputs, outputs):
    return UniquenessRequest(
        check=Check.WRITE,
        id=identifier(number),
        inputs=inputs,
        references=(),
        output_count=outputs,
        lower=None,
        upper=UPPER,
        originator="O=Alice, L=London, C=GB",
    )


def main(file, name, first, last, seed):
    service = service_of(Path(file))
    numbers = list(range(int(first), int(last)))
    chance = random.Random(seed)
    # Near each other, so that both processes often want the same state at once.
    numbers.sort(key=lambda number: number + chance.random() * 8)
    for number in numbers:
        accepted = service.check(NODE, spending(name, number)).is_accepted
        sys.stdout.write(f"{number} {'accepted' if accepted else 'refused'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
