"""What each feature keeps of a virtual node, as items that leave with it to another cluster."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from host.domain.errors import InvalidInputError
from host.domain.ids import HoldingIdentity

ITEM_BYTES_MAX = 128 * 1024 * 1024
"""Of one item: more than the longest value of a flow store."""


class NodeItemInvalidError(InvalidInputError):
    """An item of a node's file is malformed, or belongs to another node."""

    code = "node-file-item-invalid"


class NodeContents(Protocol):
    """One feature's rows of a node. The node stands still meanwhile. Thread-safe.

    Attributes:
        name: of its section in a node's file; lower-case letters and hyphens.
        version: of the form of its items; earlier ones stay readable.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        """Its items, one at a time, each of at most `ITEM_BYTES_MAX` bytes.

        Raises:
            HostError: something cannot be read, or cannot leave.
        """
        ...

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        """Store the items of `dump`, of that version; nothing of the node is here.

        What an interrupted load left was erased before.

        Raises:
            NodeItemInvalidError: an item is malformed, or not the node's; some may be stored.
            HostError: they cannot be stored.
        """
        ...

    def erase(self, holding: HoldingIdentity) -> None:
        """Delete everything of the node; may be repeated.

        Raises:
            StorageError: it cannot be deleted.
        """
        ...
