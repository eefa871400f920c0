"""Upgrades during which open flows go on: in stages, each stored, so any process can resume them.

Everything that can refuse comes before the first change: `CHECK` while the node runs, `REHEARSE`
again once it is paused. From `MIGRATE` on nothing can be refused any more, and a stage that the
storage interrupts is done again: an upgrade is never half done for longer than that.

    CHECK -> [DRAIN] -> PAUSE -> REHEARSE -> MIGRATE -> MOVE -> SWITCH -> DONE

A refusal puts the node back into the state that it had; its flows have lost nothing but time.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection, Row, insert, select, update

from host.database.claims import ClaimLostError
from host.domain.errors import StorageError, UnavailableError
from host.domain.ids import Checksum, EpochMs, FlowId, ShortHash
from host.domain.json import JsonValue
from host.domain.packages import CpiRecord
from host.domain.vnode import NodeState, OperationalStatus, VirtualNode
from host.nodes.vnode.errors import CpiNotFoundError, UpgradeRefusedError
from host.nodes.vnode.registry import NodeRegistry, state_columns, with_state
from host.nodes.vnode.rehearsal import UpgradeRehearsal
from host.nodes.vnode.tables import CPI_UPGRADE, VIRTUAL_NODE
from host.nodes.vnode.upgrade_report import Diverging, Report, Way, refusal
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.directory import Packages
from host.ports.schemas import NodeSchemas

_log = structlog.get_logger("cordbox.nodes")

DRAIN_MS = 1_800_000
"""How long an upgrade waits for open flows to end."""
SETTLE_MS = 2_000
"""After this time every process has seen that a node is paused."""
KILL_REASON = "The flow diverges from the code that its virtual node was upgraded to."


class Stage(StrEnum):
    CHECK = "CHECK"
    DRAIN = "DRAIN"
    PAUSE = "PAUSE"
    REHEARSE = "REHEARSE"
    MIGRATE = "MIGRATE"
    MOVE = "MOVE"
    SWITCH = "SWITCH"
    DONE = "DONE"


_CHANGED = frozenset({Stage.MOVE, Stage.SWITCH})
"""Stages that only go on: entities have been migrated, and flows may have been moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedUpgrade:
    """An upgrade as stored. Times are the host's; `moved` and `ended` are flows."""

    request_id: str
    node: ShortHash
    target: Checksum
    source: Checksum
    way: Way | None
    diverging: Diverging
    stage: Stage
    was_paused: bool
    at: EpochMs
    moved: tuple[FlowId, ...]
    ended: tuple[FlowId, ...]


class Waits(Exception):  # noqa: N818  # no error: the upgrade goes on later
    """Nothing can be done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeParts:
    """What upgrades work with.

    Attributes:
        rehearsal: finds out what they would do.
        schemas: migrates entities.
        flow_time: by which pauses are measured.
        switched: called in the transaction that gives a node another CPI.
        granted: the capabilities that a node of a CPI gets.
        sleep: waits for a number of seconds.
    """

    rehearsal: UpgradeRehearsal
    schemas: NodeSchemas
    flow_time: Clock
    switched: Callable[[Connection, ShortHash], None]
    granted: Callable[[CpiRecord], tuple[str, ...]]
    sleep: Callable[[float], None] = time.sleep


class StagedUpgrades:
    """Runs staged upgrades. Thread-safe; one thread works on one upgrade."""

    def __init__(
        self,
        *,
        database: SqlDatabase,
        nodes: NodeRegistry,
        packages: Packages,
        clock: Clock,
        parts: UpgradeParts,
        held: Callable[[Connection, str], None],
        ended: Callable[[Connection, str], None],
    ) -> None:
        """Set up upgrades.

        Args:
            database: the cluster's.
            nodes: the registry.
            packages: the stored CPIs.
            clock: the host's time.
            parts: what they work with.
            held: refuses a transaction of a process that no longer works on a request.
            ended: notes in a transaction that the operation of a request has succeeded.
        """
        self._database = database
        self._nodes = nodes
        self._packages = packages
        self._clock = clock
        self._parts = parts
        self._held = held
        self._ended = ended

    def run(self, request_id: str) -> None:
        """Go on with an upgrade until it has ended.

        Raises:
            Waits: it has to go on later.
            UpgradeRefusedError, HostError: it is refused, or failed; nothing has changed.
        """
        upgrade = self.find(request_id)
        try:
            while upgrade.stage is not Stage.DONE:
                upgrade = self._step(upgrade)
        except (Waits, ClaimLostError):
            raise
        except Exception as failed:
            stored = self.find(request_id)
            if _goes_on(stored.stage, failed):
                _log.exception("node-upgrade-waits", request_id=request_id, stage=stored.stage)
                raise Waits from failed
            self._put_back(stored)
            raise

    def find(self, request_id: str) -> StagedUpgrade:
        """The upgrade of a request."""
        query = select(CPI_UPGRADE).where(CPI_UPGRADE.c.request_id == request_id)
        with self._database.read() as connection:
            return _upgrade(connection.execute(query).one())

    def _step(self, upgrade: StagedUpgrade) -> StagedUpgrade:
        node = self._nodes.get(upgrade.node)
        if node is None:
            raise UpgradeRefusedError(f"Virtual node {upgrade.node} has gone.")
        steps: Mapping[Stage, Callable[[StagedUpgrade, VirtualNode], StagedUpgrade]] = {
            Stage.CHECK: self._check,
            Stage.DRAIN: self._drain,
            Stage.PAUSE: self._pause,
            Stage.REHEARSE: self._rehearse,
            Stage.MIGRATE: self._migrate,
            Stage.MOVE: self._move,
            Stage.SWITCH: self._switch,
        }
        return steps[upgrade.stage](upgrade, node)

    def _check(self, upgrade: StagedUpgrade, node: VirtualNode) -> StagedUpgrade:
        old, new = self._cpi(upgrade.source), self._cpi(upgrade.target)
        report = self._parts.rehearsal.report(node, old, new)
        if upgrade.way is None:
            return self._store(upgrade, Stage.DONE, report=report, ends=True)
        if upgrade.way is Way.DRAIN:
            node = replace(node, flow_start_status=OperationalStatus.INACTIVE)
            report_for = replace(report, flows=())
        else:
            report_for = report
        self._refuse(upgrade, report_for)
        following = Stage.DRAIN if upgrade.way is Way.DRAIN else Stage.PAUSE
        return self._store(upgrade, following, report=report, node=node)

    def _refuse(self, upgrade: StagedUpgrade, report: Report) -> None:
        assert upgrade.way is not None  # noqa: S101  # a rehearsal alone refuses nothing
        reason = refusal(report, upgrade.way, upgrade.diverging)
        if reason is not None:
            raise UpgradeRefusedError(f"Upgrade of virtual node {upgrade.node}: {reason}")

    def _drain(self, upgrade: StagedUpgrade, _: VirtualNode) -> StagedUpgrade:
        count = self._parts.rehearsal.flows.open_count(upgrade.node)
        if not count:
            return self._store(upgrade, Stage.PAUSE)
        if self._clock.now_ms() - upgrade.at > DRAIN_MS:
            raise UpgradeRefusedError(
                f"Upgrade of virtual node {upgrade.node}: {count} flows are open still"
            )
        raise Waits

    def _pause(self, upgrade: StagedUpgrade, node: VirtualNode) -> StagedUpgrade:
        paused = with_state(node, NodeState.PAUSED, self._parts.flow_time.now_ms())
        upgrade = replace(upgrade, was_paused=node.is_paused)
        return self._store(upgrade, Stage.REHEARSE, node=paused)

    def _rehearse(self, upgrade: StagedUpgrade, node: VirtualNode) -> StagedUpgrade:
        """Find out again what becomes of the flows, now that they stand still."""
        left = upgrade.at + SETTLE_MS - self._clock.now_ms()
        if left > 0:
            self._parts.sleep(left / 1000)
        report = self._parts.rehearsal.of_flows(
            node, self._cpi(upgrade.source), self._cpi(upgrade.target)
        )
        self._refuse(upgrade, report)
        migrates = upgrade.way is Way.MIGRATE
        kills = migrates and upgrade.diverging is Diverging.KILL
        chosen = replace(
            upgrade,
            moved=report.same() if migrates else (),
            ended=report.others() if kills else (),
        )
        return self._store(chosen, Stage.MIGRATE)

    def _migrate(self, upgrade: StagedUpgrade, _: VirtualNode) -> StagedUpgrade:
        self._parts.schemas.apply(upgrade.node, self._cpi(upgrade.target))
        return self._store(upgrade, Stage.MOVE)

    def _move(self, upgrade: StagedUpgrade, _: VirtualNode) -> StagedUpgrade:
        flows = self._parts.rehearsal.flows
        flows.move(upgrade.node, upgrade.moved, self._cpi(upgrade.target))
        flows.end(upgrade.node, upgrade.ended, KILL_REASON)
        return self._store(upgrade, Stage.SWITCH)

    def _switch(self, upgrade: StagedUpgrade, node: VirtualNode) -> StagedUpgrade:
        cpi = self._cpi(upgrade.target)
        # What old flows may call: each flow gets no more than its own CPK declares.
        granted = {*self._parts.granted(cpi), *node.granted_capabilities}
        changed = replace(
            node,
            cpi_checksum=cpi.file_checksum,
            granted_capabilities=tuple(sorted(granted)),
        )
        return self._store(
            upgrade, Stage.DONE, node=self._resumed(upgrade, changed), ends=True, switched=True
        )

    def _put_back(self, upgrade: StagedUpgrade) -> None:
        """Give the node the state that it had before."""
        node = self._nodes.get(upgrade.node)
        if node is not None and upgrade.stage not in (Stage.CHECK, Stage.DONE):
            self._store(upgrade, Stage.DONE, node=self._resumed(upgrade, node))

    def _resumed(self, upgrade: StagedUpgrade, node: VirtualNode) -> VirtualNode:
        state = NodeState.PAUSED if upgrade.was_paused else NodeState.ACTIVE
        return with_state(node, state, self._parts.flow_time.now_ms())

    def _cpi(self, checksum: Checksum) -> CpiRecord:
        cpi = self._packages.get(checksum)
        if cpi is None:
            raise CpiNotFoundError(f"CPI {checksum} is no longer stored")
        return cpi

    def _store(
        self,
        upgrade: StagedUpgrade,
        stage: Stage,
        *,
        node: VirtualNode | None = None,
        report: Report | None = None,
        ends: bool = False,
        switched: bool = False,
    ) -> StagedUpgrade:
        """Store the next stage, with the node's row that goes with it, in one transaction."""
        now = self._clock.now_ms()
        values: dict[str, Any] = {
            "stage": stage.value,
            "stage_at": now,
            "was_paused": upgrade.was_paused,
            "moved": json.dumps(upgrade.moved),
            "ended": json.dumps(upgrade.ended),
        }
        if report is not None:
            values["report"] = json.dumps(report.to_json(), ensure_ascii=False)

        def store(connection: Connection) -> None:
            self._held(connection, upgrade.request_id)
            mine = CPI_UPGRADE.c.request_id == upgrade.request_id
            connection.execute(update(CPI_UPGRADE).where(mine).values(values))
            if node is not None:
                _write(connection, node)
            if switched:
                self._parts.switched(connection, upgrade.node)
            if ends:
                self._ended(connection, upgrade.request_id)

        self._database.transact(store)
        return replace(upgrade, stage=stage, at=now)


def report_of(database: SqlDatabase, request_id: str) -> str | None:
    """The report of an upgrade as JSON text; None before it was rehearsed."""
    query = select(CPI_UPGRADE.c.report).where(CPI_UPGRADE.c.request_id == request_id)
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def stage_of(database: SqlDatabase, request_id: str) -> str | None:
    """The stage that an upgrade has reached."""
    query = select(CPI_UPGRADE.c.stage).where(CPI_UPGRADE.c.request_id == request_id)
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def _goes_on(stage: Stage, failed: Exception) -> bool:
    """Whether a stage that failed is done again, instead of putting the node back.

    A migration that refuses has changed nothing; of one whose commit failed that is not known.
    """
    if stage is Stage.MIGRATE:
        return isinstance(failed, StorageError | UnavailableError)
    return stage in _CHANGED


def accept(
    connection: Connection,
    *,
    request_id: str,
    node: VirtualNode,
    cpi: CpiRecord,
    way: Way | None,
    diverging: Diverging,
    now: EpochMs,
) -> None:
    """Store an upgrade beside its operation; `way` None: it is rehearsed only."""
    values: dict[str, JsonValue] = {
        "request_id": request_id,
        "short_hash": node.holding.short_hash,
        "source": node.cpi_checksum,
        "target": cpi.file_checksum,
        "way": None if way is None else way.value,
        "diverging": diverging.value,
        "stage": Stage.CHECK.value,
        "stage_at": now,
        "was_paused": node.is_paused,
        "moved": "[]",
        "ended": "[]",
    }
    connection.execute(insert(CPI_UPGRADE), values)


def _write(connection: Connection, node: VirtualNode) -> None:
    change = update(VIRTUAL_NODE).where(VIRTUAL_NODE.c.short_hash == node.holding.short_hash)
    connection.execute(
        change.values(
            cpi_checksum=node.cpi_checksum,
            granted_capabilities=json.dumps(node.granted_capabilities),
            **state_columns(node),
        )
    )


def _upgrade(row: Row[Any]) -> StagedUpgrade:
    return StagedUpgrade(
        request_id=row.request_id,
        node=ShortHash(row.short_hash),
        source=Checksum(row.source),
        target=Checksum(row.target),
        way=None if row.way is None else Way(row.way),
        diverging=Diverging(row.diverging),
        stage=Stage(row.stage),
        was_paused=bool(row.was_paused),
        at=EpochMs(row.stage_at),
        moved=tuple(FlowId(each) for each in json.loads(row.moved)),
        ended=tuple(FlowId(each) for each in json.loads(row.ended)),
    )
