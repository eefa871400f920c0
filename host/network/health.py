"""The health of nodes in networks between clusters, from what is stored."""

from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy import select

from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs, ShortHash
from host.network.hosted import SESSION_USAGE, TLS_USAGE
from host.network.membership.network_tables import MEMBER_VIEW
from host.ports.certificates import CertificateChains
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.hosted import HostedIdentities, HostedIdentity
from host.ports.network_health import WARNED_MS, ExpiringCertificate, NetworkHealth

_READ_AGAIN_MS = 60_000


class NetworkHealthOf:
    """The `NetworkHealthReports` port; `database` is the cluster's."""

    def __init__(
        self,
        *,
        database: SqlDatabase,
        hosted: HostedIdentities,
        certificates: CertificateChains,
        clock: Clock,
    ) -> None:
        self._database = database
        self._hosted = hosted
        self._certificates = certificates
        self._clock = clock
        self._first: tuple[int, EpochMs | None] | None = None

    def health(self, short_hash: ShortHash) -> NetworkHealth:
        setup = self._hosted.hosted(short_hash)
        query = select(MEMBER_VIEW).where(MEMBER_VIEW.c.short_hash == short_hash)
        with self._database.read() as connection:
            view = connection.execute(query).one_or_none()
        return NetworkHealth(
            is_set_up=setup is not None,
            expiring=() if setup is None else tuple(self._expiring(setup)),
            list_version=None if view is None else view.version,
            synced_at=None if view is None else EpochMs(view.synced_at),
            fork_at=None if view is None or view.fork_at is None else EpochMs(view.fork_at),
        )

    def first_expiry(self) -> EpochMs | None:
        """See `NetworkHealthReports.first_expiry`."""
        now = self._clock.now_ms()
        if self._first is None or not 0 <= now - self._first[0] < _READ_AGAIN_MS:
            found = {
                (usage, alias, tenant): None
                for setup in self._hosted.all()
                for usage, alias, tenant in _chains(setup)
            }
            ends = [end.not_after for each in found for end in self._of_chain(*each)]
            self._first = (now, min(ends, default=None))
        return self._first[1]

    def _expiring(self, setup: HostedIdentity) -> Iterator[ExpiringCertificate]:
        warned_from = self._clock.now_ms() + WARNED_MS
        for each in _chains(setup):
            yield from (end for end in self._of_chain(*each) if end.not_after < warned_from)

    def _of_chain(self, usage: str, alias: str, tenant: str) -> Iterator[ExpiringCertificate]:
        with suppress(NotFoundError, CpiError):  # whoever uses the chain reports it
            pem = self._certificates.chain(usage, alias, tenant=tenant)
            for each in load_pem_certificates(pem.encode(), source=f"certificate {alias!r}"):
                not_after = EpochMs(round(each.not_valid_after_utc.timestamp() * 1000))
                yield ExpiringCertificate(
                    usage=usage,
                    alias=alias,
                    subject=each.subject.rfc4514_string(),
                    not_after=not_after,
                )


def _chains(setup: HostedIdentity) -> Iterator[tuple[str, str, str]]:
    """Usage, alias and tenant of each chain that a network setup names."""
    yield TLS_USAGE, setup.tls_alias, setup.tls_tenant
    for key in setup.session_keys:
        if key.certificate_alias is not None:
            yield SESSION_USAGE, key.certificate_alias, setup.short_hash
