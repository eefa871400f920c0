"""Functions of contract packages that say what a node keeps of their states in its vault."""

from collections.abc import Sequence
from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord


class VaultFunctions(Protocol):
    """Runs them in sandboxes, with no capability. Thread-safe."""

    def record(
        self, cpi: CpiRecord, request: JsonObject, *, node: ShortHash
    ) -> Sequence[JsonObject]:
        """What to keep of a transaction's outputs (docs/reference/host-api.md, `cordbox:vault`).

        Args:
            cpi: its workflow CPKs hold the code.
            request: `transaction` (`id` and `outputs`), `outputs` (indexes) and `myKeys`.
            node: the virtual node that is charged for the runs.

        Raises:
            CapabilityError: `vault-function-failed`, the code failed, or cannot be run.
            UnavailableError, StorageError: a run was lost for a reason outside the code.
        """
        ...
