"""Filtered transactions: some components of a transaction, proved to belong to its identifier.

A group is shown with proofs of some of its leaves (`Shown`), or by the hashes of all of them, which
tells how many there are and nothing else (`Counted`). A group that is in neither form stays hidden.
A `Counted` group can understate its number, by naming the hash of an inner node as a leaf's, and
never overstate it; so only numbers are asked for that harm their maker alone when too small.

The metadata is always shown. An empty group counts as one leaf of no bytes; no other leaf is empty.
Source: corda-runtime-os `FilteredTransactionImpl.kt`, `UtxoFilteredTransactionImpl.kt`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from host.ledger.core.components import Group
from host.ledger.core.merkle import (
    component_leaf,
    component_nonces,
    group_leaf,
    id_text,
    nonce_node,
    root_node,
)
from host.ledger.core.proofs import ProofInvalidError, proof_path, proven_root
from host.ledger.core.signed import SignedTransaction
from host.ledger.errors import FilteredInvalidError

GROUPS = len(Group)
_EMPTY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One shown component: its nonce (SHA-256D) and its text, which is empty in an empty group."""

    index: int
    nonce: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A group of `size` leaves, some of which are shown, by rising index.

    Only a group that is shown whole proves its size: among hidden leaves, the hash of an inner node
    may stand for one.
    """

    group: Group
    size: int
    leaves: tuple[Leaf, ...]
    path: tuple[bytes, ...]

    def values(self) -> Mapping[int, str]:
        """The shown components by index; none in an empty group."""
        return {leaf.index: leaf.text for leaf in self.leaves if leaf.text != _EMPTY}

    def count(self) -> int:
        """How many components the group is said to have; proved if it is shown whole."""
        return 0 if self.leaves[0].text == _EMPTY else self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A group of which the hashes of all leaves are shown."""

    group: Group
    hashes: tuple[bytes, ...]

    def count(self) -> int:
        """At most the number of components that the group has."""
        return len(self.hashes)


Part: TypeAlias = Shown | Counted
Selection: TypeAlias = Mapping[Group, Collection[int] | None]
"""Groups to keep: the indexes to show, or None to tell the number only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredTransaction:
    """`parts` in the order of groups, the metadata first; `path` completes the root over groups."""

    id: str
    parts: tuple[Part, ...]
    path: tuple[bytes, ...]

    def part(self, group: Group) -> Part | None:
        return next((part for part in self.parts if part.group is group), None)


def filter_transaction(signed: SignedTransaction, keep: Selection) -> FilteredTransaction:
    """The components of `signed` that `keep` names, with their proofs.

    An index that its group does not have is left out; a group of which no index is left is shown
    as counted, and an empty group always as empty.
    """
    selection = {**keep, Group.METADATA: (0,)}
    parts = tuple(_part(signed, group, selection[group]) for group in Group if group in selection)
    roots = [
        _root_of_leaves(_leaf_hashes(signed.privacy_salt, group, leaves))
        for group, leaves in zip(Group, signed.groups, strict=True)
    ]
    path = proof_path([group_leaf(root) for root in roots], set(selection), root_node)
    return FilteredTransaction(id=signed.id, parts=parts, path=path)


def check_proofs(filtered: FilteredTransaction) -> None:
    """Check that every part belongs to the transaction's identifier.

    Raises:
        FilteredInvalidError: the metadata is not shown, groups or indexes repeat or are out of
            order, or a proof fails; the message names the group.
    """
    groups = [part.group for part in filtered.parts]
    if groups != sorted(set(groups)):
        raise FilteredInvalidError(f"{filtered.id}: groups repeat, or are out of order: {groups}")
    metadata = filtered.part(Group.METADATA)
    if not isinstance(metadata, Shown) or metadata.size != 1 or metadata.count() != 1:
        raise FilteredInvalidError(f"{filtered.id}: expected exactly one metadata component")
    leaves = {part.group.value: group_leaf(_proven(filtered.id, part)) for part in filtered.parts}
    try:
        root = proven_root(GROUPS, leaves, filtered.path, root_node)
    except ProofInvalidError as exc:
        raise FilteredInvalidError(f"{filtered.id}: component groups: {exc}") from exc
    if id_text(root) != filtered.id:
        raise FilteredInvalidError(f"{filtered.id}: the groups are those of {id_text(root)}")


def _part(signed: SignedTransaction, group: Group, indexes: Collection[int] | None) -> Part:
    leaves = signed.groups[group]
    hashes = _leaf_hashes(signed.privacy_salt, group, leaves)
    if not leaves:
        indexes = (0,)
    shown = sorted({index for index in indexes or () if 0 <= index < len(hashes)})
    if not shown:
        return Counted(group=group, hashes=tuple(hashes))
    nonces = component_nonces(signed.privacy_salt, group, len(hashes))
    texts = leaves or (_EMPTY,)
    return Shown(
        group=group,
        size=len(hashes),
        leaves=tuple(Leaf(index=i, nonce=nonces[i], text=texts[i]) for i in shown),
        path=proof_path(hashes, shown, nonce_node),
    )


def _leaf_hashes(privacy_salt: bytes, group: Group, leaves: Sequence[str]) -> list[bytes]:
    texts = leaves or (_EMPTY,)
    nonces = component_nonces(privacy_salt, group, len(texts))
    return [component_leaf(nonce, text.encode()) for nonce, text in zip(nonces, texts, strict=True)]


def _root_of_leaves(hashes: Sequence[bytes]) -> bytes:
    return proven_root(len(hashes), dict(enumerate(hashes)), (), nonce_node)


def _proven(transaction_id: str, part: Part) -> bytes:
    """The root of a group, from what is shown of it."""
    name = f"{transaction_id}: group {part.group.name}"
    try:
        if isinstance(part, Counted):
            return _root_of_leaves(part.hashes)
        indexes = [leaf.index for leaf in part.leaves]
        if indexes != sorted(set(indexes)):
            raise FilteredInvalidError(f"{name}: indexes repeat, or are out of order")
        if any(leaf.text == _EMPTY for leaf in part.leaves) and part.size != 1:
            raise FilteredInvalidError(f"{name}: a component is empty")
        known = {leaf.index: component_leaf(leaf.nonce, leaf.text.encode()) for leaf in part.leaves}
        return proven_root(part.size, known, part.path, nonce_node)
    except ProofInvalidError as exc:
        raise FilteredInvalidError(f"{name}: {exc}") from exc
