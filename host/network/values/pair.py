"""The name of an ordered pair of identities: the key of everything between them. Pure.

Short hashes have 48 bits, and strangers choose names, so pairs are named by the full hashes.
"""

import hashlib
from functools import lru_cache

from host.domain.ids import HoldingIdentity


@lru_cache(maxsize=4096)
def pair_of(source: HoldingIdentity, target: HoldingIdentity) -> str:
    """The pair in which `source` sends to `target`: 32 lower-case hexadecimal digits.

    They are the first 16 bytes of the SHA-256 of both full hashes, each as 32 bytes.
    """
    both = bytes.fromhex(source.full_hash) + bytes.fromhex(target.full_hash)
    return hashlib.sha256(both).hexdigest()[:32]
