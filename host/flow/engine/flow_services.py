"""The platform services that steps of flows use."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.vnode import NEVER_PAUSED, Pauses
from host.flow.core.config import FIXED_DEFAULTS, FlowConfig
from host.flow.core.shift import flow_time
from host.flow.records.history import FIXED_NO_HISTORY, HistoryLimits
from host.ports.accounts import Accounts, Uncounted
from host.ports.audit_log import AuditLogs, Unaudited
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.directory import VirtualNodes
from host.ports.live import Live
from host.ports.programs import NoPrograms, Programs
from host.ports.quotas import Quotas, Unmetered
from host.ports.routes import Routes
from host.ports.state import States
from host.ports.tracing import Tracer
from host.ports.units import Journals


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowServices:
    """The platform services that host calls use.

    `clock` is the clock of timeouts; `time_of_day` is shown to flows and people, by default the
    same. `tracer` takes the spans of steps; without one, none are made.
    """

    capabilities: Mapping[str, Capability]
    vnodes: VirtualNodes
    routes: Routes
    clock: Clock
    entropy: Entropy
    states: States
    journals: Journals
    live_config: Live[FlowConfig] = FIXED_DEFAULTS
    live_history: Live[HistoryLimits] = FIXED_NO_HISTORY
    quotas: Quotas = field(default_factory=Unmetered)
    accounts: Accounts = field(default_factory=Uncounted)
    audit_logs: AuditLogs = field(default_factory=Unaudited)
    time_of_day: Clock | None = None
    programs: Programs = field(default_factory=NoPrograms)
    tracer: Tracer | None = None

    @property
    def config(self) -> FlowConfig:
        """The current limits and times."""
        return self.live_config.get()

    @property
    def history(self) -> HistoryLimits:
        """The current limits for histories of ended flows."""
        return self.live_history.get()

    @property
    def wall(self) -> Clock:
        return self.clock if self.time_of_day is None else self.time_of_day

    def is_paused(self, node: ShortHash) -> bool:
        """Whether work of the node waits; not that of a node which is not on this host."""
        vnode = self.vnodes.get(node)
        return vnode is not None and vnode.is_paused

    def pauses_of(self, holding: HoldingIdentity) -> Pauses:
        """Those of a node of this cluster; of another one none are known."""
        vnode = self.vnodes.find(holding)
        return NEVER_PAUSED if vnode is None else vnode.pauses

    def shift_ms(self, node: ShortHash) -> int:
        """How long all pauses of the node have lasted."""
        vnode = self.vnodes.get(node)
        return 0 if vnode is None else vnode.pauses.total_ms

    def node_time(self, shift_ms: int) -> EpochMs:
        """The time by which flows of a node wait: flow time without the node's pauses."""
        return flow_time(self.clock.now_ms(), shift_ms)
