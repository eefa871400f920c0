"""All capabilities that are not the engine's own, over real vaults and keys: here, or in a process.

`python -m tests.support.served_capabilities FOLDER` serves them as worker processes do, until its
standard input ends.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.packages import CpiRecord, EntityDeclaration
from host.entities import SCHEMA as ENTITY_SCHEMA
from host.entities import EntityCapability
from host.keys import SCHEMA as KEY_SCHEMA
from host.keys import SchemePublicKeys, SoftKeyStore
from host.keys.capabilities import CryptoCapability, SigningCapability
from host.ledger.capability import LedgerCapability
from host.ledger.vault.tables import SCHEMA as LEDGER_SCHEMA
from host.network.membership import MembershipCapability
from host.ports.capability import Capability
from host.ports.keys import KeyCategory, KeyStore
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import (
    ENTITIES,
    KEYS,
    LEDGER,
    MEMBERS,
    RemoteCapability,
    ServedCapability,
)
from host.vault.idempotency import REQUESTS
from tests.flow.network import ALICE, BOB, INITIATOR, OneCpi, alone, holding, make_cpi
from tests.services.ledger_support import (
    Group,
    PositiveAmounts,
    ScriptedFunctions,
    StoredCpks,
)
from tests.services.support import MemoryMasterKeys, contract_cpk

_KEY = b"k" * 32
_SOCKET = "worker-0"


def with_entities(cpi: CpiRecord) -> CpiRecord:
    """`cpi` with an entity, a query and a contract."""
    query = {"name": "like", "where": {"like": [{"field": "text"}, {"parameter": "p"}]}}
    note = EntityDeclaration(
        name="Note",
        key=("id",),
        schema={"type": "object", "properties": {"amount": {"type": "number", "multipleOf": 0.01}}},
        queries=(query,),
    )
    return replace(cpi, cpks=(replace(cpi.cpks[0], entities=(note,)), contract_cpk()))


@contextmanager
def _services(folder: Path) -> Iterator[tuple[Vaults, SoftKeyStore]]:
    vaults = Vaults(folder / "vnodes", [REQUESTS, ENTITY_SCHEMA, LEDGER_SCHEMA])
    for name in (ALICE, BOB):
        vaults.create(holding(name).short_hash)
    with Database.open(folder / "keys.sqlite", [KEY_SCHEMA]) as database:
        network = alone(lambda _: "")
        keys = SoftKeyStore(
            database, masters=MemoryMasterKeys(), clock=network.clock, entropy=network.entropy
        )
        keys.create(holding(ALICE).short_hash, KeyCategory.LEDGER, "k", "CORDA.ECDSA.SECP256R1")
        yield vaults, keys
    vaults.close()


def _ledger(vaults: Vaults, keys: KeyStore) -> LedgerCapability:
    return LedgerCapability(
        vaults=vaults,
        keys=keys,
        public_keys=SchemePublicKeys(),
        members=Group(),
        cpks=StoredCpks(),
        contracts=PositiveAmounts(),
        vault_functions=ScriptedFunctions(),
    )


@contextmanager
def capabilities_here(folder: Path) -> Iterator[Sequence[Capability]]:
    """All of them in this process."""
    with _services(folder) as (vaults, keys):
        yield [
            EntityCapability(vaults),
            SigningCapability(keys),
            CryptoCapability(),
            MembershipCapability(Group()),
            _ledger(vaults, keys),
        ]


@contextmanager
def capabilities_in_a_worker(folder: Path) -> Iterator[Sequence[Capability]]:
    """All that worker processes have are asked for in one."""
    words = [sys.executable, "-m", "tests.support.served_capabilities", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        client = RpcClient(folder, "worker-*", _KEY)
        yield [
            RemoteCapability("persistence", client.proxy(ENTITIES)),
            SigningCapability(client.proxy(KEYS)),
            CryptoCapability(),
            MembershipCapability(client.proxy(MEMBERS)),
            RemoteCapability("ledger", client.proxy(LEDGER)),
        ]
        client.close()
        child.communicate()
        assert child.returncode == 0


def _serve(folder: Path) -> None:
    packages = OneCpi(with_entities(make_cpi((INITIATOR,))))
    with _services(folder) as (vaults, keys):
        served = [
            Service(ENTITIES, ServedCapability(EntityCapability(vaults), packages)),
            Service(LEDGER, ServedCapability(_ledger(vaults, keys), packages)),
            Service(KEYS, keys),
            Service(MEMBERS, Group()),
        ]
        server = RpcServer(folder / f"{_SOCKET}.sock", _KEY, served)
        server.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.stop(10)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
