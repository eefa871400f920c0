"""Imported certificate chains. Those of usage `code-signer` decide whose CPIs are accepted."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, delete, insert, select

from cpi.crypto.certificate import Certificate
from host.domain.errors import NotFoundError
from host.nodes.packages.certificates import CertificateUsage, check_alias, parse_chain, parse_usage
from host.nodes.packages.tables import CERTIFICATE
from host.ports.clock import Clock
from host.ports.database import SqlDatabase


class CertificateStore:
    """Chains by usage and alias. An import under the same usage and alias replaces the chain."""

    def __init__(self, *, database: SqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def import_certificate(self, usage: str, alias: str, pem: bytes) -> None:
        """Store a chain, leaf first; the caller joins several PEM files.

        Raises:
            CertificateRefusedError: usage, alias or chain is not valid.
        """
        known, name = parse_usage(usage), check_alias(alias)
        text = "".join(c.public_bytes(Encoding.PEM).decode() for c in parse_chain(pem))
        same = (CERTIFICATE.c.usage == known.value) & (CERTIFICATE.c.alias == name)
        row = {"usage": known.value, "alias": name, "pem": text}

        def replace(connection: Connection) -> None:
            connection.execute(delete(CERTIFICATE).where(same))
            connection.execute(insert(CERTIFICATE), {**row, "imported_at": self._clock.now_ms()})

        self._database.transact(replace)

    def aliases(self, usage: str) -> Sequence[str]:
        """Aliases of a usage in alphabetical order."""
        query = (
            select(CERTIFICATE.c.alias)
            .where(CERTIFICATE.c.usage == parse_usage(usage).value)
            .order_by(CERTIFICATE.c.alias)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def chain(self, usage: str, alias: str) -> str:
        """The PEM text of a chain.

        Raises:
            NotFoundError: no chain of this usage and alias.
        """
        query = select(CERTIFICATE.c.pem).where(
            CERTIFICATE.c.usage == parse_usage(usage).value, CERTIFICATE.c.alias == alias
        )
        with self._database.read() as connection:
            text = connection.execute(query).scalar()
        if text is None:
            raise NotFoundError(
                f"No certificate of usage {usage} has the alias {alias!r}",
                kind="certificate",
                named=alias,
            )
        return str(text)

    def trusted(self) -> Sequence[Certificate]:
        """All certificates whose signatures on packages are accepted."""
        query = (
            select(CERTIFICATE.c.pem)
            .where(CERTIFICATE.c.usage == CertificateUsage.CODE_SIGNER.value)
            .order_by(CERTIFICATE.c.alias)
        )
        with self._database.read() as connection:
            texts = list(connection.execute(query).scalars())
        return [certificate for text in texts for certificate in parse_chain(text.encode())]
