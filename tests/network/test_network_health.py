"""What is told of a node's certificates, its member list and forks of it, also over REST."""

from datetime import UTC, datetime, timedelta

import pytest

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.ids import EpochMs
from host.network.health import NetworkHealthOf
from host.network.membership import network_tables
from host.network.membership.network_tables import MEMBER_VIEW
from host.network.membership.times import NetworkTimes
from host.network.membership.views import begin_view, move_view
from host.ports.keys import KeyCategory
from host.ports.network_health import NetworkHealth
from tests.network.set_up_cluster import EC, OPERATOR, SCHEMAS, TENANT, Cluster
from tests.services.support import NOW

_DAY_MS = 86_400_000


@pytest.fixture
def cluster(tmp_path):
    with Database.open(tmp_path / "c.sqlite", [*SCHEMAS, network_tables.SCHEMA]) as database:
        yield Cluster(database)


def _health(cluster, at):
    reports = NetworkHealthOf(
        database=cluster.database,
        hosted=cluster.register,
        certificates=cluster.certificates,
        clock=SimClock(EpochMs(at)),
    )
    return reports.health(TENANT)


def test_a_node_that_is_not_set_up_has_nothing_to_tell(cluster):
    assert _health(cluster, NOW) == NetworkHealth(is_set_up=False)


def test_certificates_are_reported_in_their_last_thirty_days(cluster):
    end = datetime.fromtimestamp(NOW / 1000, UTC).replace(microsecond=0) + timedelta(days=40)
    key = cluster.keys.create("p2p", KeyCategory.TLS, "short", EC)
    chain = cluster.ca.chain(key.public_key, OPERATOR, "127.0.0.1", until=end)
    cluster.certificates.import_certificate("p2p-tls", "tls", chain)
    cluster.register.setup(TENANT, cluster.wanted)
    until = round(end.timestamp() * 1000)

    assert _health(cluster, NOW).expiring == ()
    for at in (until - 30 * _DAY_MS + 1, until, until + _DAY_MS):
        (found,) = _health(cluster, at).expiring
        assert (found.usage, found.alias, found.not_after) == ("p2p-tls", "tls", until)
        assert "CordaOperator" in found.subject
    ends_of_all = round(datetime(2040, 1, 1, tzinfo=UTC).timestamp() * 1000)
    usages = [each.usage for each in _health(cluster, ends_of_all).expiring]
    assert usages == ["p2p-tls", "p2p-tls", "p2p-session", "p2p-session"], "with those of the CA"


def test_the_first_end_of_any_certificate_is_read_again_after_a_minute(cluster):
    cluster.register.setup(TENANT, cluster.wanted)
    clock = SimClock(EpochMs(NOW))
    reports = NetworkHealthOf(
        database=cluster.database,
        hosted=cluster.register,
        certificates=cluster.certificates,
        clock=clock,
    )
    first = reports.first_expiry()
    assert first is not None
    end = datetime.fromtimestamp(NOW / 1000, UTC).replace(microsecond=0) + timedelta(days=4)
    key = cluster.keys.create("p2p", KeyCategory.TLS, "short", EC)
    chain = cluster.ca.chain(key.public_key, OPERATOR, "127.0.0.1", until=end)
    cluster.certificates.import_certificate("p2p-tls", "tls", chain)
    assert reports.first_expiry() == first
    clock.advance(60_000)
    assert reports.first_expiry() == round(end.timestamp() * 1000) < first


def test_the_list_and_its_fork_are_told(cluster):
    def change(connection):
        begin_view(connection, TENANT, "realm", EpochMs(NOW), NetworkTimes())
        move_view(connection, TENANT, 7, EpochMs(NOW + 5), NetworkTimes())
        connection.execute(MEMBER_VIEW.update().values(fork_at=NOW + 9))

    cluster.database.transact(change)
    found = _health(cluster, NOW + 100)
    assert (found.list_version, found.synced_at, found.fork_at) == (7, NOW + 5, NOW + 9)
