"""Look-ups used by several features: virtual nodes, packages, members, contract verification."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import Checksum, HoldingIdentity, ShortHash
from host.domain.json import JsonObject
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.packages import CpiRecord, CpkOfCpi
from host.domain.paging import LIMIT_DEFAULT
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name


class VirtualNodes(Protocol):
    def get(self, short_hash: ShortHash) -> VirtualNode | None: ...

    def find(self, holding: HoldingIdentity) -> VirtualNode | None: ...

    def all(self) -> Sequence[VirtualNode]: ...

    def cpis_of_group(self, group_id: str) -> Sequence[Checksum]:
        """The distinct CPIs of a group's virtual nodes."""
        ...


class Packages(Protocol):
    def get(self, checksum: Checksum) -> CpiRecord | None: ...

    def find_by_short_hash(self, short_checksum: ShortHash) -> CpiRecord | None: ...

    def all(self) -> Sequence[CpiRecord]: ...

    def founders(self, group_id: str) -> str | None:
        """The signer summary hash of the group's first CPI; None for a group without one."""
        ...


class Cpks(Protocol):
    """CPKs independent of CPIs, as transactions name them."""

    def find_cpk(self, checksum: Checksum) -> CpkOfCpi | None:
        """The CPK with this checksum, also from a replaced CPI; None if it was never stored."""
        ...


UNDECIDED = "undecided"
"""True in a failure that is not a verdict: the run ended by a limit, a trap or missing code."""


class Members(Protocol):
    """A group, as visible to one of its members."""

    def lookup(self, viewer: HoldingIdentity, name: MemberX500Name) -> MemberInfo | None:
        """The member with a name, if `viewer` may see it."""
        ...

    def lookup_key(self, viewer: HoldingIdentity, ledger_key: str) -> MemberInfo | None:
        """The member with a ledger key, if `viewer` may see it.

        Raises:
            InvalidInputError: the text is not a public key.
        """
        ...

    def active(
        self, viewer: HoldingIdentity, *, after: str = "", limit: int = LIMIT_DEFAULT
    ) -> Sequence[MemberInfo]:
        """Active members by name.

        Args:
            viewer: the member that makes the query.
            after: only members whose names sort after this one.
            limit: maximum number of members.
        """
        ...

    def listed(
        self,
        viewer: HoldingIdentity,
        statuses: Collection[MemberStatus],
        *,
        after: str = "",
        limit: int = LIMIT_DEFAULT,
    ) -> Sequence[MemberInfo]:
        """Members of some statuses that `viewer` may see, by name.

        Members see active ones, and themselves; the MGM of a dynamic network sees all.

        Args:
            viewer: the member that makes the query.
            statuses: of the members.
            after: only members whose names sort after this one.
            limit: maximum number of members.
        """
        ...

    def parameters(
        self,
        viewer: HoldingIdentity,
        hash: str | None = None,  # noqa: A002  # the field's word
    ) -> SignedGroupParameters:
        """Parameters of the viewer's group: those with a hash, however old, or the newest.

        Raises:
            GroupParametersUnknownError: there are none, or none with that hash are stored.
        """
        ...

    def parameters_history(
        self, viewer: HoldingIdentity, *, before: int | None = None, limit: int = LIMIT_DEFAULT
    ) -> Sequence[SignedGroupParameters]:
        """All versions, the newest first, at most `limit`; only epochs before one, if given."""
        ...

    def keep_parameters(self, viewer: HoldingIdentity, signed: SignedGroupParameters) -> None:
        """Store a version from elsewhere permanently; does nothing if it is stored already.

        Raises:
            GroupParametersInvalidError: it is malformed, of another group, or not signed by the key
                that is stored for the MGM of the viewer's group.
            InvalidInputError: the key or the signature spec is invalid.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict of contracts on one transaction.

    Attributes:
        failures: `contract`, `states`, `type` and `message` of each, empty when all accept. A
            contract that traps or exceeds a limit is a failure whose type is the sandbox's code,
            and which has `UNDECIDED` set: there is no verdict.
        receipts: file checksum of a CPK, and the canonical JSON receipt of its run, if one began.
    """

    failures: tuple[JsonObject, ...]
    receipts: tuple[tuple[Checksum, str], ...] = ()


class ContractVerifier(Protocol):
    """Runs contracts in the pure contract world, a fresh sandbox each time."""

    def verify(
        self, cpks: Sequence[CpkOfCpi], transaction: JsonObject, *, node: ShortHash | None = None
    ) -> Judged:
        """Verify a ledger transaction by contract CPKs, those that its metadata names.

        Args:
            cpks: whose contracts are run.
            transaction: the ledger transaction in the form that contracts receive.
            node: the virtual node that is charged for the runs; None if there is none.

        Raises:
            UnavailableError: a contract's run was lost for a reason outside the contract.
            StorageError: its code cannot be read.
        """
        ...
