"""Values of `corda.p2p.linkManager` are followed while a link runs."""

import pytest

from host.network.link import peers
from host.network.link.limits import LinkLimits
from host.network.link.sessions import SessionStore
from host.network.values.p2p_out import P2P_OUT_TOPIC, P2pOut, Subsystem, encode
from host.ports.bus import NewRecord
from host.ports.units import Unit
from host.settings.corda_p2p import CordaP2pLinkManager
from host.settings.errors import SettingsInvalidError
from host.settings.sections import CORDA_P2P_LINK_MANAGER
from tests.network.test_link_clusters import ALICES, BOBS, PAIRS, clusters, is_over, settled


def session_of(cluster):
    found = SessionStore(cluster.store, cluster.keys).outbound(PAIRS[0])
    session, _ = found or (None, 0)
    assert session is not None
    return session


def test_the_smaller_maximum_of_messages_is_agreed_and_sessions_are_replaced_by_age():
    a, b, medium = clusters()
    b.limits = LinkLimits(message_bytes_max=20_000)
    a.limits = LinkLimits(refresh_ms=LinkLimits().refresh_ms // 2)
    a.network.start("r1")
    medium.run(lambda: is_over(a) and settled(a, b))
    session = session_of(a)
    assert session.max_message == 20_000
    left = session.refresh_at - a.clock.now_ms()
    assert left == pytest.approx(LinkLimits().refresh_ms // 2, rel=0.01)


def test_delays_of_repetitions_follow_the_settings():
    limits = LinkLimits(first_ms=500, later_ms=700)
    state, delays = peers.PeerState(), []
    for _ in range(3):
        state = peers.failed(state, 0, 0.0, limits)
        delays.append(state.next_at)
    assert delays == [500, 700, 700]


def test_the_defaults_are_those_of_the_section():
    values, limits = CordaP2pLinkManager(), LinkLimits()
    assert (
        values.max_message_size,
        values.base_replay_period,
        values.replay_period_cutoff,
        values.max_replaying_messages,
        values.heartbeat_message_period,
        values.session_timeout,
        values.session_refresh_threshold * 1000,
    ) == (
        limits.message_bytes_max,
        limits.first_ms,
        limits.later_ms,
        limits.unacknowledged_max,
        limits.ask_ms,
        limits.session_timeout_ms,
        limits.refresh_ms,
    )
    with pytest.raises(SettingsInvalidError, match="baseReplayPeriod"):
        CORDA_P2P_LINK_MANAGER.values(
            {"replayAlgorithm.exponentialBackoff.replayPeriodCutoff": 1000}
        )


def test_a_burst_of_messages_is_taken_in_few_units(monkeypatch):
    """Each unit is a durable commit, which costs more than all the rest; large ones wait for turns."""
    a, _, _ = clusters()
    out = P2pOut(
        group_id=ALICES.holding.group_id,
        source=str(ALICES.holding.x500_name),
        target=str(BOBS.holding.x500_name),
        subsystem=Subsystem.MEMBERSHIP,
        ttl_ms=300_000,
        message_id="m",
        payload=b"x" * 1024,
    )
    record = NewRecord(
        topic=P2P_OUT_TOPIC, key=PAIRS[0], node=ALICES.holding.short_hash, value=encode(out)
    )
    for _ in range(10):
        a.store.commit(Unit(records=(record,) * 100))
    commits = []
    commit = a.store.commit
    monkeypatch.setattr(a.store, "commit", lambda unit: commits.append(commit(unit)))
    while a.link.work():
        pass
    assert len(a.states(f"p2p/tx/{PAIRS[0]}/")) == 1000
    assert len(commits) <= 20
