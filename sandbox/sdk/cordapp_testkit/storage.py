"""The `persistence` interface of a simulated node: the host's own, over a vault in memory."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from host.db.requests import REQUESTS
from host.domain.ids import Checksum, EpochMs, FlowId, HoldingIdentity, ShortHash
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    EntityDeclaration,
    PackageIdentity,
)
from host.domain.x500 import MemberX500Name
from host.identity.table import CREATE
from host.persistence import SCHEMA, EntityCapability
from host.ports.capability import CallContext

T = TypeVar("T")

_GROUP_ID = "00000000-0000-4000-8000-000000000000"
_IDENTITY = PackageIdentity(name="test", version="1", signer_summary_hash="")


class EntityStore:
    """Entities of one node. Values go in and out as JSON."""

    def __init__(self, name: str, entities: Sequence[EntityDeclaration]) -> None:
        self._vault = _MemoryVault()
        self._capability = EntityCapability(self._vault)
        self._holding = HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=_GROUP_ID)
        self._cpi = _cpi_of(entities)
        self._calls = 0

    def write(self, request: dict[str, Any], flow_id: str) -> Any:
        return self._capability.call(self._context(flow_id), "write", request)

    def read(self, request: dict[str, Any]) -> Any:
        return self._capability.call(self._context("reader"), "read", request)

    def all(self, kind: str) -> list[Any]:
        """Values of a type, ordered by key."""
        select = "SELECT value FROM entity WHERE type = ? ORDER BY key"
        with self._vault.read(self._holding.short_hash) as connection:
            values = connection.exec_driver_sql(select, (kind,)).scalars()
            return [json.loads(value) for value in values]

    def _context(self, flow_id: str) -> CallContext:
        self._calls += 1
        return CallContext(
            holding=self._holding,
            cpi=self._cpi,
            flow_id=FlowId(flow_id),
            request_id=f"{flow_id}-{self._calls}",
            now=EpochMs(0),
        )


class _MemoryVault:
    """One node's vault, gone with the process."""

    def __init__(self) -> None:
        self._engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        self._lock = threading.Lock()
        for schema in (REQUESTS, SCHEMA):
            schema.metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            connection.exec_driver_sql(CREATE)

    @contextmanager
    def read(self, _short_hash: ShortHash, /) -> Iterator[Connection]:
        with self._lock, self._engine.begin() as connection:
            yield connection

    def transact(self, _short_hash: ShortHash, work: Callable[[Connection], T], /) -> T:
        with self._lock, self._engine.begin() as connection:
            return work(connection)

    def is_made(self, _short_hash: ShortHash, /) -> bool:
        return True

    def used_bytes(self, _short_hash: ShortHash, /) -> int:
        return 0  # no test asks how large a vault in memory is


def _cpi_of(entities: Sequence[EntityDeclaration]) -> CpiRecord:
    """Nothing but entities: no other part of a CPI matters to them."""
    cpk = CpkRecord(
        identity=_IDENTITY,
        file_checksum=Checksum(""),
        world=CodeWorld.WORKFLOW,
        component_digest="",
        flows=(),
        contract_types=(),
        state_types=(),
        entities=tuple(entities),
        capabilities=(),
        libraries=(),
        limits={},
    )
    return CpiRecord(
        identity=_IDENTITY,
        file_checksum=Checksum(f"SHA-256:{hashlib.sha256().hexdigest().upper()}"),
        group_id=_GROUP_ID,
        group_policy="{}",
        cpks=(cpk,),
        stored_at=EpochMs(0),
    )


def page(rows: Sequence[Any], request: dict[str, Any]) -> dict[str, Any]:
    """The part of `rows` that a paged query asks for."""
    start, limit = request["offset"], request["limit"]
    return {"results": rows[start : start + limit], "more": len(rows) > start + limit}
