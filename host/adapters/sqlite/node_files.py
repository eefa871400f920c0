"""The kinds of database that a virtual node has: how its file is named, counted and refused."""

from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity import table
from host.adapters.sqlite.errors import (
    UniquenessEmptyError,
    UniquenessForeignError,
    UniquenessMissingError,
    UniquenessOlderError,
    UniquenessRestoredError,
    VaultEmptyError,
    VaultForeignError,
    VaultMissingError,
    VaultOlderError,
)
from host.domain.accounts import Account
from host.domain.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """One kind.

    Attributes:
        kind: as the file's identity tells it.
        name: of the file in the node's folder.
        called: what messages call it.
        account: the node's account of its bytes.
        counted: the table of which each new row raises the file's generation.
        counted_when: SQL condition on the row; empty: every row counts.
        missing, empty, foreign, older: why a file is refused.
        restored: why one is refused that came from a backup and has not been confirmed; None: such
            a file is used.
    """

    kind: str
    name: str
    called: str
    account: Account
    counted: str
    counted_when: str = ""
    missing: type[StorageError]
    empty: type[StorageError]
    foreign: type[StorageError]
    older: type[StorageError]
    restored: type[StorageError] | None = None

    def mark_of_restore(self, folder: Path) -> Path:
        """The file in a node's folder that says that the database came from a backup."""
        return (folder / self.name).with_suffix(".restored")

    def unconfirmed(self, folder: Path) -> StorageError | None:
        """Why the database of the node whose folder this is may not be used after a restore."""
        if self.restored is None or not self.mark_of_restore(folder).exists():
            return None
        return self.restored(
            f"the {self.called} of virtual node {folder.name} came from a backup: nobody has said"
            " that it is current (cordbox notary resume)",
            path=str(folder / self.name),
        )


VAULT = NodeFile(
    kind=table.VAULT,
    name="vault.sqlite",
    called="vault",
    account=Account.VAULT,
    counted="request_answer",
    # A row without an answer marks the end of a flow.
    counted_when="NEW.answer <> ''",
    missing=VaultMissingError,
    empty=VaultEmptyError,
    foreign=VaultForeignError,
    older=VaultOlderError,
)
UNIQUENESS = NodeFile(
    kind=table.UNIQUENESS,
    name="uniqueness.sqlite",
    called="uniqueness database",
    account=Account.UNIQUENESS,
    counted="notarised",
    missing=UniquenessMissingError,
    empty=UniquenessEmptyError,
    foreign=UniquenessForeignError,
    older=UniquenessOlderError,
    restored=UniquenessRestoredError,
)
NODE_FILES = (VAULT, UNIQUENESS)
