"""What every part of a host may need while it is built."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pluggy
from prometheus_client import CollectorRegistry

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import host_name as machine_name
from host.domain.errors import HostError
from host.ports.clock import Entropy, TwoClocks
from host.runtime.wiring.cluster import WorkerTopology
from host.settings import HostSettings


class PluginMissingError(HostError):
    """No plugin provides an adapter that the host needs."""

    code = "plugin-missing"


def own_host_name(settings: HostSettings) -> str:
    """The name of this host in its cluster."""
    return settings.host_name or machine_name()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContext:
    """Settings, sources of time and chance, plugins, metrics.

    `stack` closes what was opened. `cluster` is None if one process does everything.
    `gateway_sockets` listen for gateways of other clusters, in the process that serves them.
    """

    settings: HostSettings
    directory: DataDirectory
    clock: TwoClocks
    entropy: Entropy
    plugins: pluggy.PluginManager
    registry: CollectorRegistry
    stack: ExitStack
    cluster: WorkerTopology | None = None
    gateway_sockets: Sequence[socket.socket] = ()
