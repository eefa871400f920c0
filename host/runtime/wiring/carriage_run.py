"""The threads that carry work over a broker, in the process of the relay (`bus = kafka`)."""

from collections.abc import Callable, Mapping

from host.domain.errors import HostError
from host.network.carriage.lander import Lander
from host.network.carriage.sender import Sender
from host.network.carriage.workers import CARRIED_TOPICS, LANDERS, SENDERS
from host.network.group_thread import GroupThread
from host.network.outward.troubles import PLACES_MAX, Trouble, write_trouble
from host.observe.carriage_observer import CarriageObserver, LeavingCollector
from host.ports.bus import TopicPartition
from host.ports.carriage import CarriedWork, WorkBroker
from host.ports.clock import TwoClocks
from host.ports.units import FlowStore
from host.runtime.wiring.base import PluginMissingError, own_host_name
from host.runtime.wiring.storage_parts import StorageParts

_PART = "carriage"
"""By which the trouble of the carriage is told from that of the relay."""


def start_carriage(parts: StorageParts, member_of: Callable[[str], str]) -> None:
    """Carry work until the parts of the process are closed.

    Args:
        parts: the parts of this process, on a host with `bus = kafka`.
        member_of: the name of the process in a group, never used before.

    Raises:
        PluginMissingError: no plugin has a broker, or the store knows of none.
        StorageError: the store cannot be used.
    """
    base, store = parts.base, parts.store
    if not isinstance(store, CarriedWork):
        raise PluginMissingError("the plugin of the bus has none that a broker carries")
    teller = _Teller(store, base.clock, own_host_name(base.settings))
    observer = CarriageObserver(base.registry, base.clock, teller.tell)
    base.registry.register(LeavingCollector(store.leaving, parts.store.time.now_ms))
    broker: WorkBroker | None = base.plugins.hook.register_work_broker(
        settings=base.settings, number=store.number, key=store.carriage_key
    )
    if broker is None:
        raise PluginMissingError("no plugin carries work (hook register_work_broker)")
    base.stack.callback(broker.close)
    sender = Sender(store, broker, base.clock, observer)
    inlets = {store.store_id: store}
    lander = Lander(store, inlets, broker, CARRIED_TOPICS, base.clock, observer)
    for group, work in ((SENDERS, sender), (LANDERS, lander)):
        thread = GroupThread(
            group,
            work=work,
            store=store,
            clock=base.clock,
            member=member_of(group.name),
            failed=observer.failed,
        )
        base.stack.callback(thread.stop)
        thread.start()


class _Teller:
    """Records what is wrong where others see it, if that has changed."""

    def __init__(self, store: FlowStore, clock: TwoClocks, host: str) -> None:
        self._store = store
        self._clock = clock
        self._host = host
        self._told: tuple[str, ...] | None = None

    def tell(self, failed: Mapping[TopicPartition, HostError]) -> None:
        """Called by the thread of the sender, after each sending."""
        places = tuple(f"{place.topic}-{place.partition}" for place in sorted(failed))
        if places == self._told:
            return
        trouble = None
        if failed:
            error = next(iter(failed.values()))
            trouble = Trouble(
                since=self._clock.now_ms(),
                code=error.code,
                message=error.message,
                places=places[:PLACES_MAX],
            )
        write_trouble(self._store, self._host, trouble, part=_PART)
        self._told = places
