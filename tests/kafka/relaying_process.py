"""A process that relays one store, step by step: `python -m tests.kafka.relaying_process STORE BROKERS`.

It writes a line once the brokers have acknowledged records, and stores its position only when it has read
one: so that a test can end it in between.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from host.adapters.os.system import SystemClock
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import HostError
from host.network.group_thread import GroupThread
from host.network.outward.relay import Relay
from host.network.outward.troubles import GROUP
from host.network.outward.workers import RELAYS
from host.ports.bus import Record, TopicPartition
from host.ports.groups import Groups
from plugins.kafka.client import client_of
from plugins.kafka.producer import KafkaBroker
from plugins.kafka.settings import KafkaSettings


class SteppedBroker(KafkaBroker):
    """Waits for a line of stdin after each delivery."""

    def deliver(self, batches: Sequence[Sequence[Record]]) -> Mapping[TopicPartition, HostError]:
        failed = super().deliver(batches)
        codes = sorted({error.code for error in failed.values()})
        sys.stdout.write(f"{' '.join(codes) or 'acknowledged'}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        return failed


class Silent:
    """An observer that is not interested."""

    def delivered(self, topic: str, records: int) -> None: ...
    def refused(self, place: TopicPartition, error: HostError) -> None: ...
    def blocked(self, places: int) -> None: ...


def replace_members(store: Groups) -> None:
    """Remove the dead from the group of relays, as a worker does for the one that it replaces."""
    for left in store.members(GROUP):
        store.leave(GROUP, left.member)


def main(path: str, brokers: str) -> None:
    store, clock = SqliteStore(Path(path)), SystemClock()
    settings = KafkaSettings(kafka_bootstrap_servers=brokers, kafka_tls=False)
    broker = SteppedBroker(client_of(settings), prefix="kills.", store_id="store")
    relay = Relay(store, broker, clock, Silent(), host="host")
    member = f"host.relay-1.{os.getpid()}.run"
    replace_members(store)
    workers = GroupThread(
        RELAYS,
        work=relay,
        store=store,
        clock=clock,
        member=member,
        failed=lambda error: sys.exit(str(error)),
    )
    workers.start()
    workers._thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
