"""The thread of membership: what it reads after a change, and when it looks again."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.network.group_thread import BEAT_MS
from host.network.membership.due import next_due
from host.network.membership.sequencer import SetParameters
from host.network.membership.workers import MembershipWork
from host.ports.locations import Place
from tests.network.dynamic_networks import Network, member_name


def _work(network: Network) -> MembershipWork:
    """The work of the MGM's cluster, of which nothing is left to do."""
    mgm = network.mgm
    store = MemoryStore(clock=network.clock)
    made = MembershipWork(
        mgm.access, mgm.worker, store, network.clock, handled=lambda *, is_dropped: None
    )
    made.adopt(dict.fromkeys(range(store.partitions)))
    while made.work():
        pass
    return made


def test_a_change_that_makes_nothing_due_costs_two_reads(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due, and what the outbox has: the kinds of work are not asked one by one."""
    work, reads, database = _work(network), [0], network.mgm.access.database
    read = database.read

    def counting() -> object:
        reads[0] += 1
        return read()

    monkeypatch.setattr(database, "read", counting)
    work.changed()

    assert not work.work()
    assert reads == [2]


def test_what_is_due_of_an_mgm_that_is_elsewhere_does_not_keep_the_thread_busy(
    network: Network,
) -> None:
    mgm, hour = network.mgm, 3600_000
    change = SetParameters(minimum_platform_version=50000, custom=(("ext.a", "1"),))
    mgm.worker.sequencer.run(network.mgm_hash, change)
    network.clock.advance(hour)
    mgm.located.places[network.mgm_hash] = Place.MOVED
    due_at = next_due(mgm.database)
    assert due_at is not None
    assert due_at < network.clock.now_ms()

    assert _work(network).pause_ms() == BEAT_MS


def test_a_newcomer_gets_the_list_before_others_get_its_name(network: Network) -> None:
    """Else it would wait until everybody has been written to: a second of a thousand members."""
    for number in range(1, 6):
        network.join(member_name(number), 1)
    network.settle()
    network.recorded.clear()
    network.join(member_name(6), 1)
    network.settle()

    sent = [each.target for each in network.recorded if each.message_id.startswith("package/")]
    assert sent[0] == member_name(6)
    assert set(sent[1:]) == {member_name(number) for number in range(6)}
