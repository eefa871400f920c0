"""Checks that the host's own certificate and private key exist and belong together."""

from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError
from host.adapters.files.identity import Finding
from host.tools.data_check.codes import CheckCode, finding

_CERTIFICATE, _KEY = "tls/certificate.pem", "tls/private-key.pem"


def tls_pair(folder: Path) -> Iterator[Finding]:
    """Why the pair cannot be used: the next start would create a new one, which no client trusts.

    A directory without both files was never started, or uses a pair in another place.
    """
    names = (_CERTIFICATE, _KEY)
    missing = [name for name in names if not (folder / name).exists()]
    if len(missing) == len(names):
        return
    if missing:
        yield _unusable(missing[0], "is missing, what belongs to it is there")
        return
    try:
        data = (folder / _CERTIFICATE).read_bytes()
        certificate = load_pem_certificates(data, source=_CERTIFICATE)[0]
    except (CpiError, OSError):
        yield _unusable(_CERTIFICATE, "holds no certificate")
        return
    try:
        key = load_pem_private_key((folder / _KEY).read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        yield _unusable(_KEY, "holds no private key without a passphrase")
        return
    if not certificate.has_key(key.public_key()):
        yield _unusable(_KEY, f"does not belong to {_CERTIFICATE}")


def _unusable(name: str, message: str) -> Finding:
    expected = "a certificate and its private key"
    return finding(CheckCode.TLS_PAIR_UNUSABLE, name, message, expected=expected, found=message)
