"""What operators of an MGM do. Every method refuses a node that is no registered MGM.

Common to all: NotFoundError for an unknown node or an unknown object, `MgmRequiredError` (an
InvalidInputError) for a node that is no MGM or has not registered, StorageError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import EpochMs, ShortHash
from host.domain.x500 import MemberX500Name


class RuleKind(StrEnum):
    """The registrations that an approval rule concerns: without, or with, a pre-auth token."""

    STANDARD = "STANDARD"
    PREAUTH = "PREAUTH"


class TokenStatus(StrEnum):
    """Corda's statuses of pre-auth tokens; AUTO_INVALIDATED is never set."""

    AVAILABLE = "AVAILABLE"
    REVOKED = "REVOKED"
    CONSUMED = "CONSUMED"
    AUTO_INVALIDATED = "AUTO_INVALIDATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """Registrations that change an entry whose name `regex` occurs in are approved by hand."""

    rule_id: str
    kind: RuleKind
    regex: str
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAuthToken:
    """Allows its owner one registration under the rules for tokens; `ttl_at` None: no expiry."""

    token_id: str
    owner: MemberX500Name
    status: TokenStatus
    ttl_at: EpochMs | None = None
    creation_remark: str | None = None
    removal_remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MgmRegistration:
    """A registration as the MGM has it; `reason` is the log's, `user_reason` is told the member."""

    registration_id: str
    name: MemberX500Name
    status: str
    reason: str | None
    user_reason: str | None
    serial: int | None
    member_context: Mapping[str, str]
    registration_context: Mapping[str, str]
    sent_at: EpochMs
    updated_at: EpochMs


class MgmOperations(Protocol):
    """Thread-safe. Methods that change the list wait until the new version is committed."""

    def info(self, short_hash: ShortHash) -> str:
        """The text of `GroupPolicy.json` for members of the group."""
        ...

    def registrations(
        self,
        short_hash: ShortHash,
        *,
        name: MemberX500Name | None = None,
        view_historic: bool = False,
        after: tuple[EpochMs, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[MgmRegistration]:
        """Open registrations, the oldest first; with `view_historic` those that ended too.

        Args:
            short_hash: of the MGM.
            name: only those of one member.
            view_historic: whether those that ended are listed.
            after: time and id of the registration that the first one follows.
            limit: how many are listed at most.
        """
        ...

    def approve(self, short_hash: ShortHash, registration_id: str) -> None:
        """Approve a registration.

        Raises:
            InvalidInputError: it is not PENDING_MANUAL_APPROVAL.
        """
        ...

    def decline(self, short_hash: ShortHash, registration_id: str, reason: str) -> None:
        """Decline a registration; the member is told the reason.

        Raises:
            InvalidInputError: it is not PENDING_MANUAL_APPROVAL.
        """
        ...

    def force_decline(self, short_hash: ShortHash, registration_id: str) -> None:
        """Decline a registration that is stuck.

        Raises:
            InvalidInputError: it has ended.
        """
        ...

    def suspend(
        self, short_hash: ShortHash, name: MemberX500Name, serial: int | None, reason: str | None
    ) -> None:
        """Suspend a member: nobody but the MGM exchanges messages with it.

        Args:
            short_hash: of the MGM.
            name: of the member.
            serial: of the member's information, as the operator saw it; None is refused.
            reason: for the log.

        Raises:
            InvalidInputError: no serial, or the MGM itself.
            ConflictError: another serial, or it is suspended.
        """
        ...

    def activate(
        self, short_hash: ShortHash, name: MemberX500Name, serial: int | None, reason: str | None
    ) -> None:
        """End a suspension; arguments and errors as of `suspend`."""
        ...

    def update_group_parameters(
        self, short_hash: ShortHash, entries: Mapping[str, str]
    ) -> SignedGroupParameters:
        """Replace the custom group parameters and the minimum platform version.

        Args:
            short_hash: of the MGM.
            entries: `ext.*`, and `corda.minimum.platform.version`, 50000 to 99999.

        Raises:
            InvalidInputError: an entry.
        """
        ...

    def approval_rules(self, short_hash: ShortHash, kind: RuleKind) -> Sequence[ApprovalRule]: ...

    def add_approval_rule(
        self, short_hash: ShortHash, kind: RuleKind, regex: str, label: str | None
    ) -> ApprovalRule:
        """Add a rule.

        Raises:
            InvalidInputError: a blank or invalid expression, or one with look-around or back
                references.
            ConflictError: there is a rule with this expression.
        """
        ...

    def delete_approval_rule(self, short_hash: ShortHash, kind: RuleKind, rule_id: str) -> None: ...

    def pre_auth_tokens(
        self,
        short_hash: ShortHash,
        *,
        owner: MemberX500Name | None = None,
        token_id: str | None = None,
        view_inactive: bool = False,
    ) -> Sequence[PreAuthToken]:
        """Tokens that can be used; with `view_inactive` all."""
        ...

    def generate_pre_auth_token(
        self,
        short_hash: ShortHash,
        owner: MemberX500Name,
        *,
        ttl_ms: int | None = None,
        remarks: str | None = None,
    ) -> PreAuthToken:
        """Make a token that is valid for `ttl_ms` milliseconds, or for ever.

        Raises:
            InvalidInputError: the lifetime.
        """
        ...

    def revoke_pre_auth_token(
        self, short_hash: ShortHash, token_id: str, remarks: str | None
    ) -> PreAuthToken:
        """Revoke a token.

        Raises:
            ConflictError: it is not AVAILABLE.
        """
        ...

    def allowed_client_certificate_subjects(self, short_hash: ShortHash) -> Sequence[str]:
        """The subjects of client certificates with which registrations may be sent.

        Raises:
            InvalidInputError: the group has one-way TLS.
        """
        ...

    def allow_client_certificate_subject(self, short_hash: ShortHash, subject: str) -> None:
        """Allow members whose TLS certificate has this subject; repeated calls change nothing.

        Raises:
            InvalidInputError: it is no X.500 name, or the group has one-way TLS.
        """
        ...

    def disallow_client_certificate_subject(self, short_hash: ShortHash, subject: str) -> None:
        """Undo `allow_client_certificate_subject`; errors as there."""
        ...
