"""Registration in a static network: the context of a member, parsed and checked.

Source: corda-api `member.static.registration.context` schema 1.0, corda-runtime-os
`StaticMemberRegistrationService`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cpi.package.group_policy import GroupPolicy, GroupPolicyKind, StaticMember, parse_group_policy
from host.domain.ascii_case import ascii_lower
from host.domain.errors import InvalidInputError
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.network.membership.errors import RegistrationInvalidError

_NETWORKS_KEPT_MAX = 4
"""A policy has at most one megabyte of text."""
_ENTRIES_MAX = 200
_VALUE_CHARACTERS_MAX = 800
_PROTOCOL_CHARACTERS_MAX = 255
_KEY_SCHEME = "corda.key.scheme"
_SERVICE_NAME = "corda.notary.service.name"
_PROTOCOL_NAME = "corda.notary.service.flow.protocol.name"
_BACKCHAIN = "corda.notary.service.backchain.required"
_ROLE = re.compile(r"corda\.roles\.(0|[1-9][0-9]{0,3})")
_PROTOCOL_VERSION = re.compile(
    r"corda\.notary\.service\.flow\.protocol\.version\.(0|[1-9][0-9]{0,3})"
)
_CUSTOM = re.compile(r"ext\.[a-zA-Z0-9.]{1,123}")
_NOTARY_ROLE = "notary"
_DEFAULT_PROTOCOL_VERSION = 1


class RegistrationStatus(StrEnum):
    """Corda's registration statuses."""

    NEW = "NEW"
    SENT_TO_MGM = "SENT_TO_MGM"
    RECEIVED_BY_MGM = "RECEIVED_BY_MGM"
    STARTED_PROCESSING_BY_MGM = "STARTED_PROCESSING_BY_MGM"
    PENDING_MEMBER_VERIFICATION = "PENDING_MEMBER_VERIFICATION"
    PENDING_MANUAL_APPROVAL = "PENDING_MANUAL_APPROVAL"
    PENDING_AUTO_APPROVAL = "PENDING_AUTO_APPROVAL"
    DECLINED = "DECLINED"
    INVALID = "INVALID"
    FAILED = "FAILED"
    APPROVED = "APPROVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryService:
    """The notary service that a member with the notary role joins."""

    name: MemberX500Name
    protocol: str
    protocol_versions: tuple[int, ...]
    backchain_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRegistration:
    """A valid context. `custom` holds the `ext.` entries."""

    key_scheme: str
    notary: NotaryService | None
    custom: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticNetwork:
    """A static network, as described by its group policy."""

    policy: GroupPolicy
    members: Mapping[MemberX500Name, StaticMember]

    def member(self, name: MemberX500Name) -> StaticMember:
        """The member of this name.

        Raises:
            RegistrationInvalidError: the network does not list it.
        """
        member = self.members.get(name)
        if member is None:
            raise RegistrationInvalidError(
                f"Our membership {name} is not listed in the static member list."
            )
        return member


@lru_cache(maxsize=_NETWORKS_KEPT_MAX)
def static_network(group_policy: str) -> StaticNetwork:
    """Read a group policy. The last few are cached: all members of a network register with it.

    Raises:
        GroupPolicyError: the text is not a group policy.
        RegistrationInvalidError: it belongs to another kind of network.
    """
    policy = parse_group_policy(group_policy, stored=True)
    if policy.kind is not GroupPolicyKind.STATIC:
        raise RegistrationInvalidError(
            f"the group policy is {policy.kind.value}; only static networks are supported"
        )
    listed = dict[MemberX500Name, StaticMember]()
    # Of two entries with the same name, the first counts; entries without a valid name are ignored.
    for member in reversed(policy.static_members):
        with suppress(InvalidX500NameError):
            listed[MemberX500Name.parse(member.name)] = member
    return StaticNetwork(policy=policy, members=listed)


def read_static_context(context: Mapping[str, str]) -> StaticRegistration:
    """Read the context of a registration in a static network; entries beyond it are refused.

    Raises:
        RegistrationInvalidError: names the first wrong entry.
    """
    _check_entries(context)
    scheme = context.get(_KEY_SCHEME)
    if not scheme:
        raise RegistrationInvalidError(f"Key scheme must be specified: {_KEY_SCHEME} is missing")
    roles = {value for key, value in context.items() if _ROLE.fullmatch(key)}
    if not roles <= {_NOTARY_ROLE}:
        raise RegistrationInvalidError(
            f"Unknown role {min(roles - {_NOTARY_ROLE})!r}; the only role is {_NOTARY_ROLE!r}"
        )
    return StaticRegistration(
        key_scheme=scheme,
        notary=_read_notary(context, is_notary=bool(roles)),
        custom=tuple(sorted((k, v) for k, v in context.items() if _CUSTOM.fullmatch(k))),
    )


def _check_entries(context: Mapping[str, str]) -> None:
    if len(context) > _ENTRIES_MAX:
        raise RegistrationInvalidError(f"the context has more than {_ENTRIES_MAX} entries")
    for key, value in context.items():
        known = key in (_KEY_SCHEME, _SERVICE_NAME, _PROTOCOL_NAME, _BACKCHAIN) or any(
            pattern.fullmatch(key) for pattern in (_ROLE, _PROTOCOL_VERSION, _CUSTOM)
        )
        if not known:
            raise RegistrationInvalidError(
                f"property {key[:128]!r} is not defined in the schema of static registration"
            )
        if len(value) > _VALUE_CHARACTERS_MAX:
            raise RegistrationInvalidError(
                f"value of {key!r} is longer than {_VALUE_CHARACTERS_MAX} characters"
            )


def _read_notary(context: Mapping[str, str], *, is_notary: bool) -> NotaryService | None:
    if not is_notary:
        return None
    protocol = context.get(_PROTOCOL_NAME, "")
    if not 1 <= len(protocol) <= _PROTOCOL_CHARACTERS_MAX:
        raise RegistrationInvalidError(
            f"{_PROTOCOL_NAME} must have 1 to {_PROTOCOL_CHARACTERS_MAX} characters"
        )
    backchain = ascii_lower(context.get(_BACKCHAIN, "true"))
    if backchain not in ("true", "false"):
        raise RegistrationInvalidError(f"{_BACKCHAIN} must be 'true' or 'false'")
    return NotaryService(
        name=_service_name(context.get(_SERVICE_NAME, "")),
        protocol=protocol,
        protocol_versions=_versions(context),
        backchain_required=backchain == "true",
    )


def _service_name(text: str) -> MemberX500Name:
    if not text:
        raise RegistrationInvalidError(
            f"Notary must have a non-empty service name: {_SERVICE_NAME} is missing"
        )
    try:
        return MemberX500Name.parse(text)
    except InvalidInputError as exc:
        raise RegistrationInvalidError(f"{_SERVICE_NAME}: {exc.message}") from exc


def _versions(context: Mapping[str, str]) -> tuple[int, ...]:
    texts = [(key, value) for key, value in context.items() if _PROTOCOL_VERSION.fullmatch(key)]
    for key, value in texts:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", value):
            raise RegistrationInvalidError(f"{key} must be a whole number, found {value[:32]!r}")
    versions = sorted({int(value) for _, value in texts})
    return tuple(versions) or (_DEFAULT_PROTOCOL_VERSION,)
