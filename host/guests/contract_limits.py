"""Limits of contracts' runs, by the platform version by whose rules a transaction was made.

A verdict must be the same on every host, so nothing that an operator sets is among what bounds a
contract: the table is a part of the platform version, as the structural rules of transactions are.
A row stays for ever once released; another one is added with a new platform version. Fuel, memory,
tables and payloads end a run at the same place everywhere. Its wall clock does not, and is only a
net for what fuel counts little: whoever is caught in it has no verdict, as always at a limit.
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
"""Platform version from which a row holds -> limits. What was made before the first row has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLimits:
    """A row of the table: `platform_version` is that from which it holds."""

    platform_version: int
    limits: Limits


def contract_limits(transaction: JsonObject) -> ContractLimits:
    """The limits of the platform version that the transaction's metadata names, or of this one."""
    metadata = transaction.get("metadata")
    named = metadata.get("platformVersion") if isinstance(metadata, Mapping) else None
    version = named if type(named) is int else PLATFORM_VERSION
    rows = [row for row in CONTRACT_LIMITS if row <= version]
    row = max(rows, default=min(CONTRACT_LIMITS))
    return ContractLimits(platform_version=row, limits=CONTRACT_LIMITS[row])
