"""Signing a package again: its identity before and after, and the changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cpi.crypto.certificate import AnyCertificate
from cpi.crypto.keys import SigningKey
from cpi.crypto.trust import validate_path
from cpi.errors import Code, Issue, PackageRefusedError
from cpi.jar.signing import Stamp, resign
from cpi.package.model import PackageId, VerifiedPackage
from cpi.package.verify import read_package


def resigned(
    data: bytes,
    keys: Sequence[SigningKey],
    *,
    trusted: Sequence[AnyCertificate],
    keep_signatures: bool,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
    at: datetime | None = None,
) -> tuple[bytes, VerifiedPackage]:
    """The package with new signatures, and its verification result.

    Args:
        data: a CPK, CPB or CPI, signed or not.
        keys: each signs.
        trusted: what the keys' certificate paths must lead to, their own ends included.
        keep_signatures: whether existing signatures are kept.
        signature_name: base name of the signature files, for one key only.
        stamp: timestamps each new signature.
        at: the moment at which the certificates must be valid; None is now.

    Raises:
        TrustError: a key's certificate is not valid now, or leads nowhere.
        CpiError: the package, an existing signature or a key cannot be used.
    """
    moment = at or datetime.now(UTC)
    for key in keys:
        validate_path(key.certificate_chain, trusted, at=moment, whose="signing key's")
    before = _identity(data, moment)
    changed = resign(
        data, keys, keep_signatures=keep_signatures, signature_name=signature_name, stamp=stamp
    )
    result = read_package(changed, at=moment)
    if before is None or result.id is None or before == result.id:
        return changed, result
    warning = Issue(
        code=Code.IDENTITY_CHANGED,
        message=f"the signer summary hash changes from {before.signer_summary_hash} to "
        f"{result.id.signer_summary_hash}: for a cluster this is another package, which cannot "
        "replace the one before",
    )
    return changed, replace(result, warnings=(*result.warnings, warning))


def _identity(data: bytes, at: datetime) -> PackageId | None:
    """The package's identity; None if it has no valid signatures yet."""
    try:
        return read_package(data, at=at).id
    except PackageRefusedError:
        return None
