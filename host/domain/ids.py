"""Identifiers: holding identities, hashes and the names of flows and requests."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from host.domain.errors import InvalidInputError
from host.domain.refused import shown
from host.domain.x500 import MemberX500Name

ShortHash = NewType("ShortHash", str)
"""12 upper-case hexadecimal digits: of a holding identity, a key or a CPI checksum."""
FlowId = NewType("FlowId", str)
"""A flow's UUID text."""
ClientRequestId = NewType("ClientRequestId", str)
Checksum = NewType("Checksum", str)
"""`SHA-256:<64 upper-case hexadecimal digits>`."""
CHECKSUM_CHARACTERS = 72
HOST_NAME_CHARACTERS = 64
"""Of a machine, or of a host in its cluster."""
EpochMs = NewType("EpochMs", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

_SHORT_HASH = re.compile(r"[0-9A-Fa-f]{12}")


class InvalidShortHashError(InvalidInputError):
    """The text is not a short hash of 12 hexadecimal digits."""

    code = "short-hash-invalid"


def parse_short_hash(text: str) -> ShortHash:
    """Check and upper-case a short hash.

    Raises:
        InvalidShortHashError: `text` is not 12 hexadecimal digits.
    """
    if not _SHORT_HASH.fullmatch(text):
        raise InvalidShortHashError(f"{shown(text)} is not a short hash of 12 hexadecimal digits")
    return ShortHash(text.upper())


def short_hash_of(checksum: Checksum) -> ShortHash:
    """The first 12 digits of a checksum, by which REST refers to it."""
    return ShortHash(checksum.partition(":")[2][:12])


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingIdentity:
    """Identity of a virtual node: a member name within one application network (group)."""

    x500_name: MemberX500Name
    group_id: str

    @property
    def full_hash(self) -> str:
        """64 upper-case hex digits: SHA-256 over the canonical name followed by the group id."""
        return _full_hash(self)

    @property
    def short_hash(self) -> ShortHash:
        """The first 12 digits of `full_hash`."""
        return ShortHash(self.full_hash[:12])


@lru_cache(maxsize=4096)
def _full_hash(holding: HoldingIdentity) -> str:
    # Cached: every step of a flow needs it.
    text = str(holding.x500_name) + holding.group_id
    return hashlib.sha256(text.encode()).hexdigest().upper()
