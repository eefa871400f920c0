"""The sections of settings of a process, and what is made of them."""

from host.audit_log.administrative import Retention
from host.composition.base import Base
from host.composition.host_metrics import ConfigCollector
from host.flow.parking import ParkingLot
from host.plugin_loading import plugin_settings
from host.ports.live import Derived, Live
from host.settings.catalogue import Catalogue
from host.settings.live import LiveConfig
from host.settings.sections import ADMINISTRATIVE_LOG, AUDIT_LOG, CORDA_REST, FLOW, ISOLATION
from host.settings.store import SectionStore

_PARKED_SHARE = 4
"""Suspended guests have at most this part of a guests' process: the rest is for those that run."""


def open_sections(base: Base, store: SectionStore) -> LiveConfig:
    """All sections of the host and its plugins, with what is pinned and stored.

    Raises:
        SettingsInvalidError: what is stored does not fit; names section, version and key.
    """
    sections = Catalogue(plugin_settings(base.plugins)).sections
    live = LiveConfig(sections, base.settings.pins, store.newest().values())
    base.registry.register(ConfigCollector(live))
    return live


def body_bytes_max(config: LiveConfig) -> Live[int]:
    """Of a request."""
    return Derived(lambda rest: rest.max_content_length, config.section(CORDA_REST))


def segment_bytes(config: LiveConfig) -> Live[int]:
    """Of a file of an audit log."""
    return Derived(lambda log: log.segment_bytes, config.section(AUDIT_LOG))


def administrative_retention(config: LiveConfig) -> Live[Retention]:
    """How much of the administrative log is kept."""
    return Derived(
        lambda kept: Retention(
            entries_max=kept.entries_max, flow_entries_max=kept.flow_entries_max
        ),
        config.section(ADMINISTRATIVE_LOG),
    )


def parking_lot(base: Base, config: LiveConfig) -> ParkingLot:
    """Room for suspended guests of a process."""
    flow = config.section(FLOW).get()
    share = config.section(ISOLATION).get().memory_bytes_max // _PARKED_SHARE
    return ParkingLot(
        flow.parked_max,
        bytes_max=flow.parked_bytes_max,
        node_bytes_max=share if base.settings.isolation == "process" else None,
    )
