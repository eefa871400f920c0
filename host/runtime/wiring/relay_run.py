"""The relay in the process that has it, and what other processes know of it."""

from host.domain.errors import HostError
from host.network.group_thread import GroupThread
from host.network.outward.relay import Relay, outward_topics
from host.network.outward.troubles import GROUP, troubles
from host.network.outward.workers import RELAYS
from host.observe.relay_observer import RelayObserver, UnsentCollector
from host.ports.outward import OutwardBroker
from host.ports.units import FlowStore
from host.runtime.wiring.base import PluginMissingError, own_host_name
from host.runtime.wiring.storage_parts import StorageParts


def start_relay(parts: StorageParts, member: str) -> None:
    """Send outward records until the parts of the process are closed.

    Args:
        parts: the parts of this process, on a host with a relay.
        member: its name in the group of relays, never used before.

    Raises:
        PluginMissingError: no plugin has a broker.
        StorageError: the store cannot be used.
    """
    base, store = parts.base, parts.store
    broker: OutwardBroker | None = base.plugins.hook.register_broker(
        settings=base.settings, store_id=parts.storage.store_id()
    )
    if broker is None:
        raise PluginMissingError("no plugin gives a broker (hook register_broker)")
    base.stack.callback(broker.close)
    observer = RelayObserver(base.registry, base.clock)
    base.registry.register(
        UnsentCollector(lambda: store.unread(GROUP, outward_topics(store.topics)))
    )
    relay = Relay(store, broker, base.clock, observer, host=own_host_name(base.settings))
    workers = GroupThread(
        RELAYS, work=relay, store=store, clock=base.clock, member=member, failed=observer.failed
    )
    base.stack.callback(workers.stop)
    workers.start()


def relay_warning(store: FlowStore) -> str:
    """What keeps relays of the cluster from sending, for `/status`; empty: nothing."""
    try:
        found = troubles(store)
    except HostError:
        return ""  # the store's own check reports it
    return "; ".join(
        f"{each.message} ({each.code}); {', '.join(each.places)} wait" for each in found[:3]
    )
