"""Which certificate a key signs with, and the issuers above it.

Several certificates of a file may have a key's public key: the renewed one beside the old one, or
one that was also imported as trusted. The one that the key's own entry is bound to signs, as in
Java's key stores. Only where nothing binds one, or the user names others, dates decide.

Source: Java `PKCS12KeyStore.findMatchedCertificate`, `jarsigner -certchain`.
"""

from collections.abc import Sequence
from datetime import datetime

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificate_signatures import is_signed_by
from cpi.crypto.key_material import NamedCertificate


def certificate_of(
    fitting: Sequence[NamedCertificate],
    given: Sequence[Certificate],
    *,
    alias: str | None,
    entry_id: bytes | None,
    at: datetime,
) -> NamedCertificate | None:
    """The certificate that a key signs with; None if there is none.

    Args:
        fitting: the certificates of the key's file with its public key, in file order.
        given: certificates with its public key that the user named beside the file. The newest of
            them replaces the file's, unless that one is newer.
        alias: the key's name.
        entry_id: the id that binds the key to its certificate.
        at: the present: valid certificates go before others.
    """
    own = _bound(fitting, alias, entry_id)
    if own is None:
        untrusted = [entry for entry in fitting if not entry.trusted]
        own = max(untrusted or fitting, key=lambda e: _age(e.certificate, at), default=None)
    newest = max(given, key=lambda c: _age(c, at), default=None)
    if newest is None or (own is not None and _age(own.certificate, at) > _age(newest, at)):
        return own
    return NamedCertificate(certificate=newest)


def _bound(
    fitting: Sequence[NamedCertificate], alias: str | None, entry_id: bytes | None
) -> NamedCertificate | None:
    """As Java looks for it: by id and name, else the last one by id, else the last one by name."""
    own = [entry for entry in fitting if not entry.trusted]
    by_name = [e for e in own if alias and e.alias and e.alias.lower() == alias.lower()]
    by_id = [entry for entry in own if entry_id is not None and entry.entry_id == entry_id]
    both = [entry for entry in by_id if entry in by_name]
    return next(iter([*both[:1], *by_id[::-1], *by_name[::-1]]), None)


def build_chain(
    leaf: Certificate, others: Sequence[Certificate], *, at: datetime
) -> tuple[Certificate, ...]:
    """The leaf and its issuers, as far as `others` contains them.

    Of several certificates with the issuer's name, one whose key signed the certificate below is
    taken, the newest valid one first. If none did, the first is taken, so that the refusal of the
    chain names it.
    """
    path, left = [leaf], [c for c in others if c != leaf]
    while not path[-1].is_self_issued:
        named = [c for c in left if c.subject == path[-1].issuer]
        signed = [c for c in named if is_signed_by(path[-1], c)]
        above = max(signed, key=lambda c: _age(c, at), default=named[0] if named else None)
        if above is None:
            break
        path.append(above)
        left = [c for c in left if c != above]
    return tuple(path)


def _age(certificate: Certificate, at: datetime) -> tuple[bool, datetime, datetime]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin <= at <= end, begin, end
