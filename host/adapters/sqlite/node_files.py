"""The kinds of database that a virtual node has: how its file is named, counted and refused."""

from dataclasses import dataclass

from host.adapters.files.identity import table
from host.adapters.sqlite.errors import (
    UniquenessEmptyError,
    UniquenessForeignError,
    UniquenessMissingError,
    UniquenessOlderError,
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
)
NODE_FILES = (VAULT, UNIQUENESS)
