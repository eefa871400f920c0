"""Uniqueness checks per second, alone and with the notary's batch signatures."""

import statistics
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks import workshop
from benchmarks.flow_steps import commits_per_second
from benchmarks.ledger_crowd import Rate, rate
from benchmarks.measure import BenchmarkError, Measurement, latencies
from host.adapters.os.system import SystemClock
from host.adapters.sqlite.database import Database
from host.domain.ids import ShortHash
from host.keys import SchemePublicKeys
from host.ledger.core.model import StateRef
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.service import UniquenessService
from host.ledger.notary.signer import NotaryKey, NotarySigner
from host.ledger.notary.tables import SCHEMA

_CALLERS = 32
_SECONDS = 3.0
_ROUNDS = 3
_NODE = ShortHash("0123456789AB")
_UPPER = "2999-01-01T00:00:00.000000Z"


def uniqueness() -> list[Measurement]:
    """One input and one output: each caller spends what its request before has made."""
    floors, bare, signed = list[float](), list[Rate](), list[Rate]()
    for _ in range(_ROUNDS):
        # In turn, so that a drifting disk touches all.
        floors.append(commits_per_second())
        bare.append(_checks(signing=False))
        signed.append(_checks(signing=True))
    floor = statistics.median(floors)
    alone, with_signatures = (
        statistics.median(each.per_second for each in side) for side in (bare, signed)
    )
    cpu, cpu_signed = (statistics.median(each.cpu for each in side) for side in (bare, signed))
    taken = [seconds for each in bare for seconds in each.seconds]
    goal = min(16 * floor, 5_000)
    return [
        Measurement(
            name=f"uniqueness checks, {_CALLERS} callers",
            value=alone,
            unit="checks/s",
            against=f"bare commits, synchronous=FULL ({floor:,.0f}/s)",
            ratio=alone / floor,
            note=f"goal: {goal:,.0f}/s (16 x commits, at most 5,000); {latencies(taken)};"
            f" {1e6 * cpu:.0f} us of processor time each: {1 / cpu:,.0f}/s of one core that has"
            " nothing else to do",
        ),
        Measurement(
            name="uniqueness checks and batch signatures",
            value=with_signatures,
            unit="checks/s",
            against=f"without signatures ({alone:,.0f}/s)",
            ratio=with_signatures / alone,
            note=f"takes {alone / with_signatures:.2f} x the time; goal: at most 1.2 x;"
            f" {1e6 * cpu_signed:.0f} us of processor time each, without {1e6 * cpu:.0f} us:"
            f" {cpu_signed / cpu:.2f} x",
        ),
    ]


class _OneKey:
    """A key store of one key on the curve P-256; it signs as those of hosts do."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = (
            self._key.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, tenant: str, key: str, data: bytes, spec: str, categories: object) -> bytes:
        del tenant, key, spec, categories
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


class _Databases:
    """One notary's database."""

    def __init__(self, path: Path) -> None:
        self.database = Database.open(path, [SCHEMA])

    def transact(self, node: ShortHash, work: object) -> object:
        del node
        return self.database.transact(work)  # type: ignore[arg-type]  # as the port has it


def _checks(*, signing: bool) -> Rate:
    clock, keys = SystemClock(), _OneKey()
    signer = NotarySigner(keys=keys, public_keys=SchemePublicKeys())  # type: ignore[arg-type]  # it signs
    key = NotaryKey(node=_NODE, key=keys.pem, properties=())
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        databases = _Databases(Path(folder) / "uniqueness.sqlite")
        service = UniquenessService(databases=databases, clock=clock)  # type: ignore[arg-type]  # it transacts

        def check(caller: int, number: int) -> None:
            result = service.check(_NODE, _request(caller, number))
            if not result.is_accepted:
                raise BenchmarkError(f"refused: {result.rejection}")
            if signing:
                signer.sign(key, result.id, now=clock.now_ms())

        try:
            return rate(_CALLERS, check, seconds=_SECONDS)
        finally:
            databases.database.close()


def _request(caller: int, number: int) -> UniquenessRequest:
    spent = (StateRef(_id(caller, number - 1), 0),) if number else ()
    return UniquenessRequest(
        check=Check.WRITE,
        id=_id(caller, number),
        inputs=spent,
        references=(),
        output_count=1,
        lower=None,
        upper=_UPPER,
        originator="O=Alice, L=London, C=GB",
    )


def _id(caller: int, number: int) -> str:
    return f"SHA-256D:{caller:032X}{number:032X}"
