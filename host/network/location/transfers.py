"""Exports and imports as rows: progress, outcome, and which process works on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from host.database.claims import RELEASED, Claimant, Claims
from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import EpochMs, ShortHash
from host.domain.vnode import AsyncStatus
from host.network.location.tables import TRANSFER
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

EXPORT, IMPORT = "export", "import"
WAITING = "waiting"
"""Stage of an import whose file has not come yet."""
WAITING_MAX = 64
_FORGOTTEN_MS = 86_400_000
"""After this time without a part an import that waits for its file has ended."""
_UNFINISHED = (AsyncStatus.ACCEPTED.value, AsyncStatus.IN_PROGRESS.value)
_IS_WAITING = TRANSFER.c.status.in_(_UNFINISHED) & (TRANSFER.c.stage == WAITING)


class ImportsWaitingError(ConflictError):
    """As many imports as possible wait for their files."""

    code = "node-imports-waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An export or import. `short_hash` is empty until an import's file was read."""

    request_id: str
    kind: str
    short_hash: str
    status: AsyncStatus
    stage: str
    bytes_done: int
    bytes_total: int
    error: str | None
    updated_at: EpochMs
    recipient: str | None
    identity: str | None

    @property
    def is_over(self) -> bool:
        return self.status.value not in _UNFINISHED


class Transfers:
    """Thread-safe.

    Args:
        database: the cluster's.
        claimant: this process, among those that work on transfers.
        clock: the time of changes.
    """

    def __init__(self, database: SqlDatabase, *, claimant: Claimant, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.claims = Claims(
            database,
            TRANSFER,
            is_unfinished=TRANSFER.c.status.in_(_UNFINISHED) & (TRANSFER.c.stage != WAITING),
            claimant=claimant,
            clock=clock,
        )

    def add_export(
        self,
        connection: Connection,
        request_id: str,
        short_hash: ShortHash,
        *,
        recipient: str | None,
        identity: str | None,
    ) -> None:
        """Store a new export, in the caller's transaction."""
        self._add(
            connection,
            request_id,
            EXPORT,
            stage="pausing",
            short_hash=short_hash,
            recipient=recipient,
            identity=identity,
        )

    def add_import(self, connection: Connection, request_id: str) -> None:
        """Store a new import, whose file says later of which node; in the caller's transaction.

        Raises:
            ImportsWaitingError: there are too many that wait.
        """
        count = select(func.count()).select_from(TRANSFER).where(_IS_WAITING)
        if connection.execute(count).scalar_one() >= WAITING_MAX:
            raise ImportsWaitingError(
                f"{WAITING_MAX} imports wait for their files: send one, or wait a day"
            )
        self._add(connection, request_id, IMPORT, stage=WAITING)

    def _add(
        self,
        connection: Connection,
        request_id: str,
        kind: str,
        *,
        stage: str,
        short_hash: str = "",
        recipient: str | None = None,
        identity: str | None = None,
    ) -> None:
        now = self._clock.now_ms()
        connection.execute(
            insert(TRANSFER),
            {
                "request_id": request_id,
                "kind": kind,
                "short_hash": short_hash,
                "status": AsyncStatus.ACCEPTED.value,
                "stage": stage,
                "recipient": recipient,
                "identity": identity,
                "bytes_done": 0,
                "bytes_total": 0,
                "started_at": now,
                "updated_at": now,
                **(self.claims.values() if stage != WAITING else {}),
            },
        )

    def get(self, request_id: str) -> Transfer:
        """One of them.

        Raises:
            NotFoundError: there is none.
        """
        query = select(TRANSFER).where(TRANSFER.c.request_id == request_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"Transfer {request_id} not found.", kind="transfer", named=request_id
            )
        return Transfer(
            request_id=row.request_id,
            kind=row.kind,
            short_hash=row.short_hash,
            status=AsyncStatus(row.status),
            stage=row.stage,
            bytes_done=row.bytes_done,
            bytes_total=row.bytes_total,
            error=row.error,
            updated_at=EpochMs(row.updated_at),
            recipient=row.recipient,
            identity=row.identity,
        )

    def set(self, request_id: str, **values: object) -> None:
        """Change columns of one that this process works on."""
        self.change(request_id, lambda _connection: None, **values)

    def change(self, request_id: str, also: Callable[[Connection], None], **values: object) -> None:
        """Change columns, and do `also` in the same transaction."""
        is_over = values.get("status") not in (None, *_UNFINISHED)
        released = RELEASED if is_over else {}

        def work(connection: Connection) -> None:
            connection.execute(
                update(TRANSFER)
                .where(TRANSFER.c.request_id == request_id)
                .values(updated_at=self._clock.now_ms(), **values, **released)
            )
            also(connection)

        self._database.transact(work)

    def fail(self, request_id: str, reason: str) -> None:
        """End one without success."""
        failed = AsyncStatus.FAILED.value
        self.set(request_id, status=failed, error=reason[:1024], identity=None)

    def end_forgotten(self) -> Sequence[str]:
        """End imports whose files have not come for a day; returns their ids."""
        before = self._clock.now_ms() - _FORGOTTEN_MS
        query = select(TRANSFER.c.request_id).where(_IS_WAITING, TRANSFER.c.updated_at < before)
        with self._database.read() as connection:
            found = list(connection.execute(query).scalars())
        for request_id in found:
            self.fail(request_id, "its file has not come for a day")
        return found

    def of_node(self, short_hash: ShortHash) -> Sequence[str]:
        """The ids of a node's transfers, the latest first."""
        query = (
            select(TRANSFER.c.request_id)
            .where(TRANSFER.c.short_hash == short_hash)
            .order_by(TRANSFER.c.started_at.desc())
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())
