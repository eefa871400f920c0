"""A host's parts for one test: the product's own, in a temporary directory, without threads."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prometheus_client import CollectorRegistry

from cpi.package.group_policy_generation import generate_static_policy
from cpi.package.model import PackageId
from host.adapters.files.data_directory import DataDirectory
from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.ids import Checksum, EpochMs, ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, CpkOfCpi, CpkRecord
from host.nodes.packages.catalogue import PackageCatalogue
from host.ports.directory import ContractVerifier, Judged
from host.ports.units import FlowStore
from host.runtime.plugin_loading import declared_settings, make_plugin_manager
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.parts import Wiring
from host.settings import load_settings
from host.tools.cache import default_cache_dir
from host.tools.testkit.code import SIGNERS, FailureLog, KitCode, KitGuests

GROUP_ID = "00000000-0000-4000-8000-000000000001"
START = EpochMs(1_767_225_600_000)
"""2026-01-01T00:00:00Z, the time of a new network."""

_CHOSEN: Mapping[str, object] = {
    "isolation": "shared",
    "flow_parked_max": 0,
    "quota_wall_ms_max": 600_000,
}
"""Guests run in this process, and each step replays its flow: what is not deterministic fails. Only
what hangs ends by the real clock: a loaded machine must not decide about a test."""
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  # only below a folder that mkdtemp makes there
_P = ParamSpec("_P")
_T = TypeVar("_T")


class CountedEntropy:
    """Other bytes at each call, the same ones in each run of a test."""

    def __init__(self) -> None:
        self._calls = 0

    def random_bytes(self, count: int) -> bytes:
        self._calls += 1
        return hashlib.shake_128(str(self._calls).encode()).digest(count)


class KitParts(Wiring):
    """The parts of a host that runs one CorDapp and stores no package.

    Args:
        base: as of a host.
        code: the CorDapp's.

    Attributes:
        believers: nodes whose host asks no contract.
        failures: how flows failed in their own code.
    """

    def __init__(self, base: ProcessContext, code: KitCode) -> None:
        super().__init__(base)
        self._code = code
        self.believers: set[ShortHash] = set()
        self.failures = FailureLog()

    @classmethod
    def open(
        cls, code: KitCode, *, clock: SimClock, settings: Mapping[str, Any], stack: ExitStack
    ) -> "KitParts":
        """Open the parts; `stack` closes them and removes what they stored.

        Args:
            code: what the nodes run.
            clock: the time of everything.
            settings: of the host, where they are not the defaults.
            stack: of the network.
        """
        folder = Path(tempfile.mkdtemp(prefix="cordapp-testkit-", dir=_folder_in_memory()))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        directory = DataDirectory.hold(folder / "data")
        stack.callback(directory.release)
        options = {**_CHOSEN, "cache_dir": default_cache_dir(), **settings}
        loaded = load_settings(
            options={**options, "data_dir": directory.path},
            file=None,
            environment={},
            declare=declared_settings,
        )
        base = ProcessContext(
            settings=loaded,
            directory=directory,
            clock=clock,
            entropy=CountedEntropy(),
            plugins=make_plugin_manager(loaded.plugins),
            registry=CollectorRegistry(),
            stack=stack,
        )
        return cls(base, code)

    @cached_property
    def store(self) -> FlowStore:
        """Bus, flow states and journals, in memory."""
        return MemoryStore(clock=self.base.clock)

    @cached_property
    def audit_key(self) -> bytes:
        """The key of the audit logs, which end with the test."""
        return self.base.entropy.random_bytes(32)

    @cached_property
    def guests(self) -> KitGuests:
        """The guests of the CorDapp under test, and of notaries."""
        return self._code.guests(self.failures)

    @cached_property
    def catalogue(self) -> "KitCatalogue":
        """The CorDapp under test, as if it had been uploaded, and those of notaries."""
        return KitCatalogue(self, self._code)

    def add(self, code: KitCode, *, with_cpks: Sequence[CpkRecord] = ()) -> CpiRecord:
        """One more CorDapp, as if it had been uploaded; `with_cpks` are of the one under test."""
        self.guests.add(code)
        return self.catalogue.add(replace(code, cpks=(*with_cpks, *code.cpks)))

    @cached_property
    def contracts(self) -> ContractVerifier:
        """The contracts of the CorDapp; a node that believes everything asks none."""
        return _UnlessBelieved(super().contracts, self.believers)

    def _flush(self, flush: Callable[[], object], seconds: float) -> None:
        """Nothing is written behind a test's back: what is not flushed is flushed at the end."""
        del seconds
        self.base.stack.callback(flush)

    @cached_property
    def _background(self) -> Executor:
        return _AtOnce()


class KitCatalogue(PackageCatalogue):
    """A catalogue of few CPIs, whose group policy lists everybody who has been asked for."""

    def __init__(self, parts: KitParts, code: KitCode) -> None:
        super().__init__(database=parts.database, files=parts.cpi_files)
        self._names: list[str] = []
        self._cpis: dict[Checksum, CpiRecord] = {}
        self._first = self.add(code).file_checksum

    @property
    def cpi(self) -> CpiRecord:
        """The CorDapp under test."""
        return self._cpis[self._first]

    def add(self, code: KitCode) -> CpiRecord:
        """One more CPI; the same one if it is there already."""
        digest = hashlib.sha256(code.name.encode()).hexdigest().upper()
        checksum = Checksum(f"SHA-256:{digest}")
        if checksum not in self._cpis:
            self._cpis[checksum] = CpiRecord(
                identity=PackageId(
                    name=code.name, version=code.version, signer_summary_hash=SIGNERS
                ),
                file_checksum=checksum,
                group_id=GROUP_ID,
                group_policy=self._policy(),
                cpks=code.cpks,
                stored_at=START,
            )
        return self._cpis[checksum]

    def admit(self, name: str) -> None:
        """List one more member in the group's policy."""
        self._names.append(name)
        policy = self._policy()
        self._cpis = {
            checksum: replace(cpi, group_policy=policy) for checksum, cpi in self._cpis.items()
        }

    def get(self, checksum: Checksum) -> CpiRecord | None:
        """The CorDapp of this checksum."""
        return self._cpis.get(checksum)

    def find_by_short_hash(self, short_checksum: ShortHash) -> CpiRecord | None:
        """The CorDapp whose checksum begins so."""
        for checksum, cpi in self._cpis.items():
            if checksum.partition(":")[2].startswith(short_checksum):
                return cpi
        return None

    def founders(self, group_id: str) -> str | None:
        """Who signed the CorDapps, in a manner of speaking."""
        return SIGNERS if group_id == GROUP_ID else None

    def all(self) -> Sequence[CpiRecord]:
        """The CorDapps."""
        return tuple(self._cpis.values())

    def _policy(self) -> str:
        if not self._names:
            return ""
        return generate_static_policy(
            names=self._names,
            group_id=GROUP_ID,
            endpoint_url="https://localhost:1080",
            endpoint_protocol=1,
        )


class _UnlessBelieved:
    """A `ContractVerifier` that asks nothing on behalf of `believers`."""

    def __init__(self, contracts: ContractVerifier, believers: set[ShortHash]) -> None:
        self._contracts = contracts
        self._believers = believers

    def verify(
        self, cpks: Sequence[CpkOfCpi], transaction: JsonObject, *, node: ShortHash | None = None
    ) -> Judged:
        """See `ContractVerifier.verify`."""
        if node in self._believers:
            return Judged(failures=())
        return self._contracts.verify(cpks, transaction, node=node)


class _AtOnce(Executor):
    """Runs what it is given before `submit` returns."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        """See `Executor.submit`."""
        future = Future[_T]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as failed:  # noqa: BLE001  # told by the future
            future.set_exception(failed)
        return future


def _folder_in_memory() -> Path | None:
    """Where files need no disk, if the system has such a place."""
    return _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK | os.X_OK) else None
