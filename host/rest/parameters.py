"""Types of path and query parameters: each accepts several spellings and returns the canonical one.

Permissions are checked on the canonical values (`host.rest.canonical`); the OpenAPI document has
their patterns. Source of the patterns: Corda 5.2, RBAC path templates.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import params
from pydantic import BeforeValidator, Field

from host.access import Effect, canonical_login_name
from host.domain.ascii_case import ascii_lower, ascii_upper
from host.domain.errors import NotFoundError, RequestInvalidError
from host.domain.ids import InvalidShortHashError, ShortHash, parse_short_hash
from host.domain.refused import shown
from host.domain.x500 import MemberX500Name
from host.ledger.core.model import parse_transaction_id
from host.ports.keys import MASTER_TENANT, KeyCategory

P2P_TENANT = "p2p"
"""The tenant of the cluster's own keys."""

_HASH = "[0-9A-Fa-f]{12}"
_UUID_PATTERN = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_UUID = re.compile(_UUID_PATTERN)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d")


def _tenant(text: str) -> str:
    return text if text == P2P_TENANT else parse_short_hash(text)


def _rotated_tenant(text: str) -> str:
    return text if text == MASTER_TENANT else _tenant(text)


def _lenient_hash(text: str) -> str:
    try:
        return parse_short_hash(text)
    except InvalidShortHashError:
        return text


def _optional_node(text: str | None) -> ShortHash | None:
    return None if text is None else parse_short_hash(text)


def _usage(text: str) -> str:
    return ascii_lower(text.strip())


def _category(name: str) -> KeyCategory:
    try:
        return KeyCategory(ascii_upper(name))
    except ValueError as exc:
        raise NotFoundError(
            f"HSM category {shown(name)} is unknown; known are {', '.join(KeyCategory)}",
            kind="HSM category",
            named=name,
        ) from exc


def _member_name(text: str) -> str:
    return str(MemberX500Name.parse(text))


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise RequestInvalidError(f"{shown(text)} is no UUID")
    return ascii_lower(text)


def _of_text(read: Callable[[str], str]) -> BeforeValidator:
    """Reads texts; another JSON value is left to the check of types, which refuses it."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _instant_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _INSTANT.match(value)):
        return value
    raise RequestInvalidError(f"{shown(str(value))} is no instant such as 2026-06-24T10:15:30Z")


def _path(pattern: str) -> params.Path:
    return params.Path(json_schema_extra={"pattern": f"^{pattern}$"})


NodeHash = Annotated[ShortHash, BeforeValidator(parse_short_hash), _path(_HASH)]
"""Short hash of a virtual node."""
KeyId = Annotated[ShortHash, BeforeValidator(parse_short_hash), _path(_HASH)]
GroupId = Annotated[str, _path(_UUID_PATTERN)]
"""Identifier of a group as its policy spells it."""
CpiHash = Annotated[str, BeforeValidator(_lenient_hash), _path(_HASH)]
"""Short checksum of a CPI; invalid text is refused later, after the check of the node's state."""
CpiShortHash = Annotated[ShortHash, BeforeValidator(parse_short_hash), _path(_HASH)]
"""Short checksum of a CPI."""
Tenant = Annotated[str, BeforeValidator(_tenant), _path(f"({_HASH}|{P2P_TENANT})")]
"""A virtual node's short hash, or `p2p`."""
RotatedTenant = Annotated[
    str, BeforeValidator(_rotated_tenant), _path(f"({_HASH}|{P2P_TENANT}|{MASTER_TENANT})")
]
Category = Annotated[KeyCategory, BeforeValidator(_category), params.Path()]
LoginName = Annotated[str, BeforeValidator(canonical_login_name), _path("[-._@a-zA-Z0-9]{3,255}")]
NodeStateText = Annotated[str, BeforeValidator(ascii_upper), _path("[A-Za-z]+")]
"""State of a virtual node in any letter case, as Corda takes it."""
RequestId = Annotated[str, _path(r"(?!\.{1,2}$)[-._A-Za-z0-9]{1,242}")]
"""Client request id of a flow, or session id of a responder."""
LetterId = Annotated[str, _path("d?[0-9]{1,18}-[0-9]{1,9}-[0-9]{1,18}")]
"""Identifier of a dead letter; with a `d` in front, of a discarded one."""
TransactionId = Annotated[
    str, BeforeValidator(parse_transaction_id), _path("[Ss][Hh][Aa]-256[Dd]:[0-9A-Fa-f]{64}")
]
"""Identifier of a transaction, in any letter case."""
Alias = Annotated[str, _path(r"(?!\.{1,2}$)[-._a-zA-Z0-9]{1,255}")]
Scheme = Annotated[str, _path(r"CORDA\.[-.A-Z0-9]{3,30}")]
Usage = Annotated[str, BeforeValidator(_usage), _path("(code-signer|p2p-tls|p2p-session|rest-tls)")]
"""Usage of a certificate, in any letter case and with spaces around it, as Corda takes it."""
MemberName = _of_text(_member_name)
"""Of a text: it is an X.500 name as members have; canonical order and spaces."""
CertificateSubject = Annotated[str, MemberName, params.Path()]
Uuid = Annotated[str, BeforeValidator(_uuid), _path(_UUID_PATTERN)]
"""Identifier of a registration, pre-auth token, role or permission, in any letter case."""
PropertyKey = Annotated[str, _path("[-._a-zA-Z0-9]{1,255}")]
PermissionTypeQuery = Annotated[Effect, BeforeValidator(ascii_upper), params.Query()]
"""`ALLOW` or `DENY`, in any letter case."""
NodeHashQuery = Annotated[
    ShortHash | None,
    BeforeValidator(_optional_node),
    params.Query(json_schema_extra={"pattern": f"^{_HASH}$"}),
]
CpiShortHashQuery = NodeHashQuery
"""Short checksum of a CPI, which has the form of a node's short hash."""
IsUuid = _of_text(_uuid)
UpperCase = _of_text(ascii_upper)
"""Part of a name that is compared without letter case."""
Instant = Annotated[datetime, BeforeValidator(_instant_text)]
"""An instant as ISO 8601 has it; a number is none, since it might be of seconds or milliseconds."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A number of things, as Corda's clients send it."""
Number = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
"""A whole number of 32 bits, as Corda's clients send it."""
