"""Group parameters as bytes: the form that guests see, that is hashed, and that an MGM signs.

The bytes are the canonical JSON (RFC 8785) of the shape of docs/reference/host-api.md, membership.
A transaction refers to the parameters in force at its time by their hash.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from msgspec import Struct

from host.domain.errors import InvalidInputError
from host.domain.ids import EpochMs
from host.domain.instants import instant_ms, instant_text
from host.domain.json import JsonObject, canonical_json, digest_of
from host.domain.membership import GroupParameters, NotaryInfo
from host.domain.x500 import InvalidX500NameError, MemberX500Name

BYTES_MAX = 256 * 1024
_PREFIX = b" " * 64 + b"cordbox/v1/group-parameters\0"


class GroupParametersInvalidError(InvalidInputError):
    """Group parameters that are malformed, of another group, or not signed by the group's MGM."""

    code = "group-parameters-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedGroupParameters:
    """Group parameters with the signature of the group's MGM.

    Attributes:
        content: their canonical JSON.
        signature: of `signed_bytes(content)`.
        signer_key: the MGM's public key, canonical PEM.
        spec: signature spec, such as `SHA256withECDSA`.
        at: when they were signed or, for parameters of another cluster, stored.
    """

    content: bytes
    signature: bytes
    signer_key: str
    spec: str
    at: EpochMs

    @property
    def hash(self) -> str:
        """`SHA-256:HEX` of the content; transactions name it in their metadata."""
        return f"SHA-256:{hashlib.sha256(self.content).hexdigest().upper()}"

    @property
    def parameters(self) -> GroupParameters:
        """The content.

        Raises:
            GroupParametersInvalidError: it is malformed.
        """
        return read_group_parameters(self.content)


def group_parameters_json(parameters: GroupParameters) -> JsonObject:
    """The shape of docs/reference/host-api.md, membership."""
    return {
        "groupId": parameters.group_id,
        "epoch": parameters.epoch,
        "modifiedTime": instant_text(parameters.modified_at),
        "minimumPlatformVersion": parameters.minimum_platform_version,
        "notaries": [
            {
                "name": str(notary.name),
                "protocol": notary.protocol,
                "protocolVersions": list(notary.protocol_versions),
                "key": notary.public_key,
                "backchainRequired": notary.backchain_required,
            }
            for notary in parameters.notaries
        ],
        "custom": dict(parameters.custom),
    }


def group_parameters_hash(parameters: GroupParameters) -> str:
    """The hash of parameters, as in `SignedGroupParameters`."""
    return f"SHA-256:{digest_of(group_parameters_json(parameters)).upper()}"


def signed_bytes(content: bytes) -> bytes:
    """The bytes that the signature of group parameters covers."""
    return _PREFIX + content


def realm_of(group_id: str, mgm_key: str) -> str:
    """Permanent name of a group: 64 hex digits. Group ids can be chosen freely, keys cannot."""
    return hashlib.sha256(group_id.encode() + mgm_key.encode()).hexdigest()


@lru_cache(maxsize=64)
def read_group_parameters(content: bytes) -> GroupParameters:
    """Read the canonical JSON of group parameters.

    Raises:
        GroupParametersInvalidError: it is malformed, or not canonical.
    """
    if len(content) > BYTES_MAX:
        raise GroupParametersInvalidError(
            f"group parameters have {len(content)} bytes, at most {BYTES_MAX}"
        )
    try:
        found = _read(msgspec.json.decode(content, type=_Content))
        is_canonical = canonical_json(group_parameters_json(found)) == content
    except (ValueError, InvalidX500NameError, OverflowError, RecursionError) as exc:
        raise GroupParametersInvalidError(f"group parameters are malformed: {exc}") from exc
    if not is_canonical:
        raise GroupParametersInvalidError("group parameters are not in canonical form")
    return found


class _Notary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: str
    protocol: str
    protocol_versions: tuple[int, ...]
    key: str
    backchain_required: bool


class _Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    group_id: str
    epoch: int
    modified_time: str
    minimum_platform_version: int
    notaries: tuple[_Notary, ...]
    custom: dict[str, str]


def _read(content: _Content) -> GroupParameters:
    if content.epoch < 1:
        raise ValueError(f"epoch {content.epoch} is none")
    return GroupParameters(
        group_id=content.group_id,
        epoch=content.epoch,
        modified_at=instant_ms(content.modified_time),
        minimum_platform_version=content.minimum_platform_version,
        notaries=tuple(
            NotaryInfo(
                name=MemberX500Name.parse(each.name),
                protocol=each.protocol,
                protocol_versions=each.protocol_versions,
                public_key=each.key,
                backchain_required=each.backchain_required,
            )
            for each in content.notaries
        ),
        custom=tuple(sorted(content.custom.items())),
    )
