"""Checks the database of a cluster as a data directory is checked; its hosts may run.

Nothing is changed but schemas of nodes that an older release has left, which every use migrates.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from sqlalchemy import select

from host.adapters.files.identity import Finding
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.errors import HostError
from host.domain.ids import Checksum, ShortHash
from host.keys.tables import MASTER_KEY, SIGNING_KEY, WRAPPING_KEY
from host.ledger.core.statuses import Status
from host.ledger.notary.register import MadeNotaries
from host.ledger.vault.tables import TRANSACTION
from host.nodes.packages.tables import CPI, CPI_REPLACED
from host.nodes.vnode import MadeVaults
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.database import Schema, SqlDatabase
from host.ports.storage import DatabaseUpkeep, Storage, TablesState
from host.ports.units import FlowStore
from host.ports.vaults import VaultAccess
from host.runtime.wiring.administrative_reading import shared_register
from host.tools.data_check.codes import CheckCode, finding
from host.tools.data_check.databases import differing_accounts, too_new
from host.tools.data_check.ledgers import compare_ledgers
from host.tools.data_check.registers import WrappedKeys, bad_acts, unusable_keys

REGISTERS, FLOWS = "cordbox_cluster", "cordbox_flow"
_OPEN_FLOW = "flow/"
_BYTES_MAX = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedReport:
    """What a check of a database found.

    Attributes:
        tables: the versions of all tables but those of nodes.
        nodes: how many virtual nodes there are.
        findings: the problems; empty for a good database.
    """

    tables: Sequence[TablesState]
    nodes: int
    findings: Sequence[Finding]


def check_shared(
    upkeep: DatabaseUpkeep,
    *,
    cluster_schemas: Sequence[Schema],
    vault_schemas: Sequence[Schema],
    notary_schemas: Sequence[Schema],
) -> SharedReport:
    """Check everything in the database that hosts share.

    Args:
        upkeep: of the database.
        cluster_schemas: the tables that the registers should have.
        vault_schemas: those of each vault.
        notary_schemas: those of each database of spent states.

    Raises:
        StorageError: the database cannot be used, or would lose or disorder data.
    """
    tables = upkeep.check(cluster_schemas)
    findings = [_version(each) for each in tables if not each.is_current]
    if findings:
        return SharedReport(tables=tables, nodes=0, findings=findings)
    with ExitStack() as stack:
        storage = upkeep.storage()
        registers = stack.enter_context(closing(storage.open_database(cluster_schemas)))
        flows = stack.enter_context(closing(upkeep.flows()))
        check = _Check(upkeep, storage, registers, flows)
        check.run(vault_schemas, notary_schemas)
    return SharedReport(tables=tables, nodes=len(check.nodes), findings=check.findings)


class _Check:
    """One check, step by step. What cannot be read is a finding, and the next step follows."""

    def __init__(
        self, upkeep: DatabaseUpkeep, storage: Storage, registers: SqlDatabase, flows: FlowStore
    ) -> None:
        self._upkeep = upkeep
        self._storage = storage
        self._registers = registers
        self._flows = flows
        self.findings: list[Finding] = []
        self.nodes: Sequence[ShortHash] = ()

    def run(self, vault_schemas: Sequence[Schema], notary_schemas: Sequence[Schema]) -> None:
        with self._registers.read() as connection:
            self.nodes = [
                ShortHash(node) for (node,) in connection.execute(select(VIRTUAL_NODE.c.short_hash))
            ]
        self._add(FLOWS, lambda: differing_accounts(self._flows.recount(), FLOWS))
        self._add(REGISTERS, self._packages)
        self._add(REGISTERS, self._keys)
        self._add(REGISTERS, self._log)
        clock = SystemClock()
        vaults = MadeVaults(database=self._registers, clock=clock)
        spent = MadeNotaries(database=self._registers, clock=clock, vaults=vaults)
        opened = self._storage.open_vaults(
            vault_schemas, register=vaults, bytes_max_of=lambda _node: _BYTES_MAX
        )
        with closing(opened):
            good = self._made("vault", opened, vaults.made())
            self._add(REGISTERS, lambda: self._ledgers(opened, good))
        opened = self._storage.open_uniqueness(
            notary_schemas, register=spent, bytes_max_of=lambda _node: _BYTES_MAX
        )
        with closing(opened):
            self._made("uniqueness", opened, spent.made())

    def _made(
        self, kind: str, opened: VaultAccess, nodes: Sequence[ShortHash]
    ) -> Sequence[ShortHash]:
        """The nodes whose database of one kind opens."""
        good = []
        for node in nodes:
            try:
                with opened.read(node):
                    good.append(node)
            except HostError as exc:
                place = _schema(kind, node)
                self.findings.append(
                    finding(exc.code, place, exc.message, expected=place, found="none")
                )
        return good

    def _packages(self) -> Iterator[Finding]:
        wanted = select(CPI.c.file_checksum).union(select(CPI_REPLACED.c.file_checksum))
        with self._registers.read() as connection:
            checksums = sorted(connection.execute(wanted).scalars())
        with closing(self._storage.open_cpi_files()) as files:
            for text in checksums:
                checksum = Checksum(text)
                if not files.has(checksum):
                    yield finding(
                        CheckCode.PACKAGE_MISSING, text, "is missing", expected=text, found="none"
                    )
                    continue
                try:
                    for _piece in files.chunks(checksum):
                        pass  # verified before the first one is given
                except HostError as exc:
                    yield finding(
                        CheckCode.PACKAGE_DAMAGED, text, exc.message, expected=text, found=exc.code
                    )

    def _keys(self) -> Iterator[Finding]:
        with (
            self._upkeep.master_keys(SystemEntropy()) as masters,
            self._registers.read() as connection,
        ):
            m, w, s = MASTER_KEY.c, WRAPPING_KEY.c, SIGNING_KEY.c
            wrapping = select(w.tenant, w.generation, w.master_generation, w.wrapped)
            signing = select(s.tenant, s.key_id, s.wrapping_generation, s.wrapped)
            found = WrappedKeys(
                masters=connection.execute(select(m.generation, m.wrapped)),
                wrapping=connection.execute(wrapping),
                signing=connection.execute(signing),
            )
            yield from unusable_keys(found, masters, REGISTERS)

    def _log(self) -> Iterator[Finding]:
        with shared_register(self._upkeep) as (register, key):
            yield from bad_acts(register, key, REGISTERS)

    def _ledgers(self, vaults: VaultAccess, good: Sequence[ShortHash]) -> Iterator[Finding]:
        if self._flows.scan(_OPEN_FLOW, 1):
            return iter(())
        s = SIGNING_KEY.c
        with self._registers.read() as connection:
            owners: Mapping[str, ShortHash] = {
                key: ShortHash(tenant)
                for key, tenant in connection.execute(select(s.public_key, s.tenant))
            }
        return compare_ledgers(
            _Books(vaults), good, owners, name_of=lambda node: _schema("vault", node)
        )

    def _add(self, place: str, found: Callable[[], Iterable[Finding]]) -> None:
        try:
            self.findings += found()
        except HostError as exc:
            self.findings.append(
                finding(exc.code, place, exc.message, expected="content", found=exc.code)
            )


class _Books:
    """The ledgers in the vaults of a database."""

    def __init__(self, vaults: VaultAccess) -> None:
        self._vaults = vaults

    @contextmanager
    def transactions(
        self, node: ShortHash, statuses: Sequence[Status]
    ) -> Iterator[Iterable[tuple[str, str]]]:
        t = TRANSACTION.c
        wanted = [status.value for status in statuses]
        with self._vaults.read(node) as connection:
            rows = connection.execute(select(t.id, t.component_groups).where(t.status.in_(wanted)))
            yield ((row.id, row.component_groups) for row in rows)


def _schema(kind: str, node: ShortHash) -> str:
    return f"{kind}_{node.lower()}"


def _version(state: TablesState) -> Finding:
    if state.stored is not None and state.stored > state.known:
        return too_new(state.place, state.name, state.known, state.stored)
    found = "none" if state.stored is None else state.stored
    return finding(
        CheckCode.SCHEMA_UNKNOWN,
        state.place,
        f"has {'no schema' if state.stored is None else 'an older schema'} {state.name}"
        " (`cordbox database migrate`)",
        expected=f"{state.name} {state.known}",
        found=found,
    )
