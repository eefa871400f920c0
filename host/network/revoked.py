"""What asks whether certificates were revoked (`host.network.gateway.revocation`). Pure."""

from collections.abc import Callable, Sequence

Revoked = Callable[[Sequence[bytes], Sequence[bytes]], str | None]
"""Why a chain (DER, leaf first) that leads to one of the roots does not count; None: it does."""


def never_revoked(chain: Sequence[bytes], roots: Sequence[bytes]) -> str | None:
    """`Revoked` that asks nobody."""
    del chain, roots
    return None
