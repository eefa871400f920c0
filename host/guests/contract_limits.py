"""Limits of contracts' runs, by the platform version under which a transaction was made.

A verdict must be the same on every host, so a contract's limits do not depend on operator settings:
the table is part of the platform version, as are the structural rules of transactions. A released
row never changes; a new platform version adds another one. Limits of fuel, memory, tables and
payloads end a run at the same point everywhere. The wall-clock limit does not, and is only a safety
net for work that uses little fuel: a run that reaches it has no verdict, as with every limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from host.domain.json import JsonObject
from host.domain.platform import PLATFORM_VERSION
from sandbox.limits import MIB, Limits

CONTRACT_LIMITS: Mapping[int, Limits] = MappingProxyType(
    {
        50_200: Limits(
            fuel_max=2_000_000_000,
            memory_bytes_max=128 * MIB,
            table_elements_max=100_000,
            wall_ms_max=10_000,
            payload_bytes_max=4 * MIB,
        ),
    }
)
"""First platform version of a row -> limits. Older transactions use the first row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLimits:
    """A row of the table: `platform_version` is the first version to which it applies."""

    platform_version: int
    limits: Limits


def contract_limits(transaction: JsonObject) -> ContractLimits:
    """Limits of the platform version in the transaction's metadata, by default of this platform."""
    metadata = transaction.get("metadata")
    named = metadata.get("platformVersion") if isinstance(metadata, Mapping) else None
    version = named if type(named) is int else PLATFORM_VERSION
    rows = [row for row in CONTRACT_LIMITS if row <= version]
    row = max(rows, default=min(CONTRACT_LIMITS))
    return ContractLimits(platform_version=row, limits=CONTRACT_LIMITS[row])
