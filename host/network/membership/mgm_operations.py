"""The operations of an MGM's operators: the `MgmOperations` port."""

import json
import re
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, or_, select, tuple_, update

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import EpochMs, ShortHash
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.membership import group_store, mgm_side
from host.network.membership.approval import check_expression
from host.network.membership.mgm_group import refuse_elsewhere
from host.network.membership.network_access import GroupOfMgm, NetworkAccess, group_of_mgm
from host.network.membership.network_registrations import (
    COLUMNS,
    MGM_SIDE,
    NetworkRegistration,
    find_registration,
    registrations_where,
)
from host.network.membership.network_tables import MGM_RULE, MGM_SUBJECT, MGM_TOKEN
from host.network.membership.network_worker import NetworkWorker
from host.network.membership.sequencer import Approve, Change, SetParameters, SetStatus
from host.network.membership.tokens import find_token, token_of
from host.ports.mgm import ApprovalRule, MgmRegistration, PreAuthToken, RuleKind, TokenStatus

_PLATFORM_VERSION = "corda.minimum.platform.version"
_DEFAULT_PLATFORM_VERSION = 50000
_CUSTOM = re.compile(r"ext\.[a-zA-Z0-9.]{1,124}")
_CUSTOM_MAX = 100
_VALUE_CHARACTERS_MAX = 800


class MgmRequiredError(InvalidInputError):
    """The virtual node is no MGM, or has not registered as one."""

    code = "mgm-required"


class OperationsOfMgm:
    """The `MgmOperations` port. Thread-safe."""

    def __init__(self, access: NetworkAccess, worker: NetworkWorker) -> None:
        self._access = access
        self._worker = worker

    def info(self, short_hash: ShortHash) -> str:
        group = self._group(short_hash)
        if not group.is_mutual:
            return group.policy
        subject = self._access.tls_subject(short_hash)
        if subject is None:
            raise InvalidInputError(
                f"MGM {short_hash} is not set up for its network: its TLS certificate is unknown."
            )
        policy = json.loads(group.policy)
        policy["p2pParameters"]["mtlsMgmClientCertificateSubject"] = subject
        return json.dumps(policy, indent=2)

    def registrations(
        self,
        short_hash: ShortHash,
        *,
        name: MemberX500Name | None = None,
        view_historic: bool = False,
        after: tuple[EpochMs, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[MgmRegistration]:
        self._group(short_hash)
        conditions = [COLUMNS.short_hash == short_hash, COLUMNS.side == MGM_SIDE]
        if name is not None:
            conditions.append(COLUMNS.name == str(name))
        if not view_historic:
            conditions.append(COLUMNS.status.in_([status.value for status in mgm_side.OPEN]))
        if after is not None:
            conditions.append(tuple_(COLUMNS.sent_at, COLUMNS.registration_id) > after)
        with self._access.database.read() as connection:
            found = registrations_where(connection, *conditions, limit=limit)
        return [_shown(each) for each in found]

    def approve(self, short_hash: ShortHash, registration_id: str) -> None:
        self._change(short_hash, Approve(registration_id=registration_id))

    def decline(self, short_hash: ShortHash, registration_id: str, reason: str) -> None:
        self._decline(short_hash, registration_id, reason, is_forced=False)

    def force_decline(self, short_hash: ShortHash, registration_id: str) -> None:
        reason = "Force declined by MGM."
        self._decline(short_hash, registration_id, reason, is_forced=True)

    def suspend(
        self, short_hash: ShortHash, name: MemberX500Name, serial: int | None, reason: str | None
    ) -> None:
        del reason  # The port has it for the log of operations, which REST writes.
        self._set_status(short_hash, name, serial, MemberStatus.SUSPENDED)

    def activate(
        self, short_hash: ShortHash, name: MemberX500Name, serial: int | None, reason: str | None
    ) -> None:
        del reason
        self._set_status(short_hash, name, serial, MemberStatus.ACTIVE)

    def update_group_parameters(
        self, short_hash: ShortHash, entries: Mapping[str, str]
    ) -> SignedGroupParameters:
        version = entries.get(_PLATFORM_VERSION, str(_DEFAULT_PLATFORM_VERSION))
        if not re.fullmatch(r"[5-9][0-9]{4}", version):
            raise InvalidInputError(f"{_PLATFORM_VERSION} must be 50000 to 99999")
        custom = {key: value for key, value in entries.items() if key != _PLATFORM_VERSION}
        for key, value in custom.items():
            if not _CUSTOM.fullmatch(key) or len(value) > _VALUE_CHARACTERS_MAX:
                raise InvalidInputError(
                    "Only custom fields (with ext prefix, at most 128 characters, values of at most"
                    f" {_VALUE_CHARACTERS_MAX}) and {_PLATFORM_VERSION} may be changed; found"
                    f" {key[:128]!r}."
                )
        if len(custom) > _CUSTOM_MAX:
            raise InvalidInputError(f"{len(custom)} custom fields, at most {_CUSTOM_MAX}")
        change = SetParameters(
            minimum_platform_version=int(version), custom=tuple(sorted(custom.items()))
        )
        group = self._group(short_hash)
        self._change(short_hash, change)
        with self._access.database.read() as connection:
            newest = group_store.newest_version(connection, group.signer.realm)
            found = group_store.parameters_at(connection, group.signer.realm, newest)
        if found is None:
            raise NotFoundError(
                f"The group of MGM {short_hash} has no parameters.",
                kind="group parameters",
                named=short_hash,
            )
        return found

    def approval_rules(self, short_hash: ShortHash, kind: RuleKind) -> Sequence[ApprovalRule]:
        self._group(short_hash)
        query = (
            select(MGM_RULE)
            .where(MGM_RULE.c.short_hash == short_hash, MGM_RULE.c.kind == kind.value)
            .order_by(MGM_RULE.c.rule_id)
        )
        with self._access.database.read() as connection:
            return [
                ApprovalRule(rule_id=r.rule_id, kind=kind, regex=r.regex, label=r.label)
                for r in connection.execute(query)
            ]

    def add_approval_rule(
        self, short_hash: ShortHash, kind: RuleKind, regex: str, label: str | None
    ) -> ApprovalRule:
        self._group(short_hash)
        check_expression(regex)
        rule = ApprovalRule(rule_id=self._access.new_id(), kind=kind, regex=regex, label=label)
        same = (
            MGM_RULE.c.short_hash == short_hash,
            MGM_RULE.c.kind == kind.value,
            MGM_RULE.c.regex == regex,
        )

        def add(connection: Connection) -> None:
            if connection.execute(select(MGM_RULE.c.rule_id).where(*same)).first() is not None:
                raise ConflictError(f"There is a rule with the expression {regex[:80]!r} already.")
            row = {"short_hash": short_hash, "rule_id": rule.rule_id, "kind": kind.value}
            connection.execute(insert(MGM_RULE), {**row, "regex": regex, "label": label})

        self._access.database.transact(add)
        return rule

    def delete_approval_rule(self, short_hash: ShortHash, kind: RuleKind, rule_id: str) -> None:
        self._group(short_hash)
        mine = (
            MGM_RULE.c.short_hash == short_hash,
            MGM_RULE.c.kind == kind.value,
            MGM_RULE.c.rule_id == rule_id,
        )
        deleted = self._access.database.transact(
            lambda c: c.execute(delete(MGM_RULE).where(*mine)).rowcount
        )
        if not deleted:
            raise NotFoundError(
                f"Approval rule {rule_id[:64]!r} not found.", kind="approval rule", named=rule_id
            )

    def pre_auth_tokens(
        self,
        short_hash: ShortHash,
        *,
        owner: MemberX500Name | None = None,
        token_id: str | None = None,
        view_inactive: bool = False,
    ) -> Sequence[PreAuthToken]:
        self._group(short_hash)
        query = select(MGM_TOKEN).where(MGM_TOKEN.c.short_hash == short_hash)
        if owner is not None:
            query = query.where(MGM_TOKEN.c.owner == str(owner))
        if token_id is not None:
            query = query.where(MGM_TOKEN.c.token_id == token_id)
        if not view_inactive:
            now, ttl_at = self._access.clock.now_ms(), MGM_TOKEN.c.ttl_at
            query = query.where(
                MGM_TOKEN.c.status == TokenStatus.AVAILABLE.value,
                or_(ttl_at.is_(None), ttl_at > now),
            )
        with self._access.database.read() as connection:
            rows = connection.execute(query.order_by(MGM_TOKEN.c.token_id))
            return [token_of(row) for row in rows]

    def generate_pre_auth_token(
        self,
        short_hash: ShortHash,
        owner: MemberX500Name,
        *,
        ttl_ms: int | None = None,
        remarks: str | None = None,
    ) -> PreAuthToken:
        self._group(short_hash)
        if ttl_ms is not None and ttl_ms <= 0:
            raise InvalidInputError("The lifetime of a token must be positive.")
        now = self._access.clock.now_ms()
        token = PreAuthToken(
            token_id=self._access.new_id(),
            owner=owner,
            status=TokenStatus.AVAILABLE,
            ttl_at=None if ttl_ms is None else EpochMs(now + ttl_ms),
            creation_remark=remarks,
        )
        row = {
            "short_hash": short_hash,
            "token_id": token.token_id,
            "owner": str(owner),
            "status": token.status.value,
            "ttl_at": token.ttl_at,
            "creation_remark": remarks,
        }
        self._access.database.transact(lambda c: c.execute(insert(MGM_TOKEN), row))
        return token

    def revoke_pre_auth_token(
        self, short_hash: ShortHash, token_id: str, remarks: str | None
    ) -> PreAuthToken:
        self._group(short_hash)

        def revoke(connection: Connection) -> PreAuthToken:
            token = find_token(connection, short_hash, token_id)
            if token is None:
                raise NotFoundError(
                    f"Pre-auth token {token_id[:64]!r} not found.",
                    kind="pre-auth token",
                    named=token_id,
                )
            if token.status is not TokenStatus.AVAILABLE:
                raise ConflictError(f"Pre-auth token {token_id} is {token.status}.")
            mine = (MGM_TOKEN.c.short_hash == short_hash, MGM_TOKEN.c.token_id == token_id)
            values = {"status": TokenStatus.REVOKED.value, "removal_remark": remarks}
            connection.execute(update(MGM_TOKEN).where(*mine).values(**values))
            return find_token(connection, short_hash, token_id) or token

        return self._access.database.transact(revoke)

    def allowed_client_certificate_subjects(self, short_hash: ShortHash) -> Sequence[str]:
        self._mutual(short_hash)
        query = (
            select(MGM_SUBJECT.c.subject)
            .where(MGM_SUBJECT.c.short_hash == short_hash)
            .order_by(MGM_SUBJECT.c.subject)
        )
        with self._access.database.read() as connection:
            return [row.subject for row in connection.execute(query)]

    def allow_client_certificate_subject(self, short_hash: ShortHash, subject: str) -> None:
        self._mutual(short_hash)
        row = {"short_hash": short_hash, "subject": _subject(subject)}

        def allow(connection: Connection) -> None:
            mine = (MGM_SUBJECT.c.short_hash == short_hash, MGM_SUBJECT.c.subject == row["subject"])
            connection.execute(delete(MGM_SUBJECT).where(*mine))
            connection.execute(insert(MGM_SUBJECT), row)

        self._access.database.transact(allow)

    def disallow_client_certificate_subject(self, short_hash: ShortHash, subject: str) -> None:
        self._mutual(short_hash)
        mine = (MGM_SUBJECT.c.short_hash == short_hash, MGM_SUBJECT.c.subject == _subject(subject))
        self._access.database.transact(lambda c: c.execute(delete(MGM_SUBJECT).where(*mine)))

    def _group(self, short_hash: ShortHash) -> GroupOfMgm:
        self._access.node(short_hash)
        refuse_elsewhere(self._access, short_hash)
        with self._access.database.read() as connection:
            group = group_of_mgm(connection, short_hash)
        if group is None:
            raise MgmRequiredError(f"Virtual node {short_hash} is no registered MGM.")
        return group

    def _mutual(self, short_hash: ShortHash) -> None:
        if not self._group(short_hash).is_mutual:
            raise InvalidInputError("The group has one-way TLS: there are no client certificates.")

    def _change(self, short_hash: ShortHash, change: Change) -> None:
        self._group(short_hash)
        self._worker.sequencer.run(short_hash, change)
        self._worker.mgm.advance_all(short_hash)

    def _set_status(
        self, short_hash: ShortHash, name: MemberX500Name, serial: int | None, status: MemberStatus
    ) -> None:
        if serial is None:
            raise InvalidInputError("The serial number of the member's information is missing.")
        self._change(short_hash, SetStatus(name=str(name), serial=serial, status=status))

    def _decline(
        self, short_hash: ShortHash, registration_id: str, reason: str, *, is_forced: bool
    ) -> None:
        self._group(short_hash)
        with self._access.database.read() as connection:
            found = find_registration(connection, short_hash, registration_id, MGM_SIDE)
        if found is None:
            raise NotFoundError(
                f"Registration {registration_id[:64]!r} not found.",
                kind="registration request",
                named=registration_id,
            )
        if not self._worker.mgm.decline(short_hash, registration_id, reason, is_forced=is_forced):
            raise InvalidInputError(f"Registration {registration_id} is {found.status}.")


def _subject(text: str) -> str:
    return str(MemberX500Name.parse(text))


def _shown(found: NetworkRegistration) -> MgmRegistration:
    return MgmRegistration(
        registration_id=found.registration_id,
        name=MemberX500Name.parse(found.name),
        status=found.status.value,
        reason=found.reason,
        user_reason=found.user_reason,
        serial=found.serial,
        member_context=found.member,
        registration_context=found.registration,
        sent_at=found.sent_at,
        updated_at=found.updated_at,
    )
