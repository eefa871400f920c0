"""Look-ups that features share: virtual nodes, packages, members, contract verification."""

from collections.abc import Sequence
from typing import Protocol

from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import Checksum, HoldingIdentity, ShortHash
from host.domain.json import JsonObject
from host.domain.membership import MemberInfo
from host.domain.packages import CpiRecord, CpkOfCpi
from host.domain.paging import LIMIT_DEFAULT
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name


class VirtualNodes(Protocol):
    def get(self, short_hash: ShortHash) -> VirtualNode | None: ...

    def find(self, holding: HoldingIdentity) -> VirtualNode | None: ...

    def all(self) -> Sequence[VirtualNode]: ...

    def cpis_of_group(self, group_id: str) -> Sequence[Checksum]:
        """The CPIs, each once, that virtual nodes of a group are made of."""
        ...


class Packages(Protocol):
    def get(self, checksum: Checksum) -> CpiRecord | None: ...

    def find_by_short_hash(self, short_checksum: ShortHash) -> CpiRecord | None: ...

    def all(self) -> Sequence[CpiRecord]: ...

    def founders(self, group_id: str) -> str | None:
        """The signer summary hash of the group's first CPI, None of a group without one."""
        ...


class Cpks(Protocol):
    """CPKs by themselves, as transactions name them."""

    def find_cpk(self, checksum: Checksum) -> CpkOfCpi | None:
        """The CPK of this checksum, also of a CPI that was replaced; None of one never stored."""
        ...


UNDECIDED = "undecided"
"""True in a failure that is no verdict: a run was ended by a limit, a trap or for want of code."""


class Members(Protocol):
    """A group as one of its members sees it."""

    def lookup(self, viewer: HoldingIdentity, name: MemberX500Name) -> MemberInfo | None:
        """The member of a name, as far as `viewer` may see it."""
        ...

    def lookup_key(self, viewer: HoldingIdentity, ledger_key: str) -> MemberInfo | None:
        """The member that has a ledger key, as far as `viewer` may see it.

        Raises:
            InvalidInputError: the text is no public key.
        """
        ...

    def active(
        self, viewer: HoldingIdentity, *, after: str = "", limit: int | None = None
    ) -> Sequence[MemberInfo]:
        """Active members by name.

        Args:
            viewer: who asks.
            after: only those whose names stand behind this one.
            limit: at most so many; None for all.
        """
        ...

    def parameters(
        self,
        viewer: HoldingIdentity,
        hash: str | None = None,  # noqa: A002  # the field's word
    ) -> SignedGroupParameters:
        """Parameters of the viewer's group: those of a hash, however old; without, the newest.

        Raises:
            GroupParametersUnknownError: there are none, or none of that hash here.
        """
        ...

    def parameters_history(
        self, viewer: HoldingIdentity, *, before: int | None = None, limit: int = LIMIT_DEFAULT
    ) -> Sequence[SignedGroupParameters]:
        """All versions, the newest first, at most `limit`; only epochs before one, if given."""
        ...

    def keep_parameters(self, viewer: HoldingIdentity, signed: SignedGroupParameters) -> None:
        """Keep a version that came from elsewhere, for ever; one that is here stays.

        Raises:
            GroupParametersInvalidError: it is malformed, of another group, or not signed by the
                key of the MGM that the viewer's group has here.
            InvalidInputError: the key or the signature spec is none.
        """
        ...


class ContractVerifier(Protocol):
    """Runs contracts in the pure contract world, a fresh sandbox each time."""

    def verify(
        self, cpi: CpiRecord, transaction: JsonObject, *, node: ShortHash | None = None
    ) -> Sequence[JsonObject]:
        """Verify a ledger transaction by the contract CPKs of `cpi`.

        Args:
            cpi: the package whose contracts judge.
            transaction: the ledger transaction as contracts get it.
            node: the virtual node that it is done for, whose quota counts; None where there is
                none.

        Returns:
            Failures (`contract`, `states`, `type`, `message`), empty when all accept.
            A contract that traps or exceeds a limit is a failure whose type is the sandbox's code,
            and which has `UNDECIDED`: there is no verdict.
        """
        ...
