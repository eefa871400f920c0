"""Imported certificate chains. Those of usage `code-signer` decide whose CPIs are accepted."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from cpi.crypto.certificate import Certificate
from host.domain.errors import NotFoundError
from host.domain.ids import HoldingIdentity
from host.nodes.packages.certificates import (
    CertificateUsage,
    check_alias,
    check_owner,
    parse_chain,
    parse_usage,
)
from host.nodes.packages.tables import CERTIFICATE
from host.ports.certificates import CLUSTER_TENANT
from host.ports.clock import Clock
from host.ports.database import SqlDatabase


class CertificateStore:
    """Chains by tenant, usage and alias (the `CertificateChains` port).

    An import under the same tenant, usage and alias replaces the chain.
    """

    def __init__(self, *, database: SqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def import_certificate(
        self, usage: str, alias: str, pem: bytes, *, owner: HoldingIdentity | None = None
    ) -> None:
        """Store a chain, leaf first; the caller joins several PEM files.

        Args:
            usage: as in the path of the request.
            alias: a chain of this alias is replaced.
            pem: the certificates.
            owner: the virtual node whose chain it is; None: the cluster.

        Raises:
            CertificateRefusedError: usage, alias or chain is not valid, or the usage not one of the
                owner's.
        """
        known, name, chain = parse_usage(usage), check_alias(alias), parse_chain(pem)
        check_owner(known, chain[0], owner)
        tenant = CLUSTER_TENANT if owner is None else owner.short_hash
        text = "".join(c.public_bytes(Encoding.PEM).decode() for c in chain)
        row = {"tenant": tenant, "usage": known.value, "alias": name, "pem": text}

        def replace(connection: Connection) -> None:
            same = _is_of(tenant, known) & (CERTIFICATE.c.alias == name)
            connection.execute(delete(CERTIFICATE).where(same))
            connection.execute(insert(CERTIFICATE), {**row, "imported_at": self._clock.now_ms()})

        self._database.transact(replace)

    def aliases(self, usage: str, *, tenant: str = CLUSTER_TENANT) -> Sequence[str]:
        """Aliases of a tenant's chains of a usage in alphabetical order."""
        query = (
            select(CERTIFICATE.c.alias)
            .where(_is_of(tenant, parse_usage(usage)))
            .order_by(CERTIFICATE.c.alias)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def chain(self, usage: str, alias: str, *, tenant: str = CLUSTER_TENANT) -> str:
        """The PEM text of a chain.

        Raises:
            NotFoundError: the tenant has no chain of this usage and alias.
        """
        query = select(CERTIFICATE.c.pem).where(
            _is_of(tenant, parse_usage(usage)), CERTIFICATE.c.alias == alias
        )
        with self._database.read() as connection:
            text = connection.execute(query).scalar()
        if text is None:
            whose = "" if tenant == CLUSTER_TENANT else f" of virtual node {tenant}"
            raise NotFoundError(
                f"No certificate of usage {usage}{whose} has the alias {alias!r}",
                kind="certificate",
                named=alias,
            )
        return str(text)

    def trusted(self) -> Sequence[Certificate]:
        """All certificates whose signatures on packages are accepted."""
        query = (
            select(CERTIFICATE.c.pem)
            .where(_is_of(CLUSTER_TENANT, CertificateUsage.CODE_SIGNER))
            .order_by(CERTIFICATE.c.alias)
        )
        with self._database.read() as connection:
            texts = list(connection.execute(query).scalars())
        return [certificate for text in texts for certificate in parse_chain(text.encode())]


def _is_of(tenant: str, usage: CertificateUsage) -> ColumnElement[bool]:
    return (CERTIFICATE.c.tenant == tenant) & (CERTIFICATE.c.usage == usage.value)
