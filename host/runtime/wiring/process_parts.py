"""What all groups of parts use: the process they belong to, and other processes of its host."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from host.database.claims import Claimant
from host.domain.workers import COMBINED
from host.nodes.quotas.flushing import PeriodicFlush
from host.runtime.rpc import Interface
from host.runtime.wiring.base import ProcessContext, own_host_name

Port = TypeVar("Port")


class ProcessParts:
    """Base of the groups of parts. Used only by the thread that starts the process."""

    def __init__(self, base: ProcessContext) -> None:
        self.base = base

    @cached_property
    def claimant(self) -> Claimant:
        """The name of this process for claims of work in the cluster's database."""
        cluster = self.base.cluster
        worker = COMBINED if cluster is None else cluster.name
        # Hosts have workers of the same names: one that starts leaves those of others alone.
        place = f"{own_host_name(self.base.settings)}/{worker}"
        return Claimant(place=place, run=self.base.entropy.random_bytes(8).hex())

    def repeat(self, act: Callable[[], object], seconds: float) -> None:
        """Do something periodically until the process ends, and once more at its end."""
        self._flush(act, seconds)

    def _flush(self, flush: Callable[[], object], seconds: float) -> None:
        flushing = PeriodicFlush(flush, seconds=seconds)
        self.base.stack.callback(flushing.stop)
        flushing.start()

    def _service(self, interface: Interface[Port], local: Callable[[], Port]) -> Port:
        return self._remote(interface) if self._is_elsewhere(interface) else local()

    def _is_elsewhere(self, interface: Interface[Port]) -> bool:
        cluster = self.base.cluster
        return (
            cluster is not None
            and interface.kind is not None
            and cluster.is_elsewhere(interface.kind)
        )

    def _remote(self, interface: Interface[Port]) -> Port:
        cluster = self.base.cluster
        kind = interface.kind
        assert cluster is not None and kind is not None  # noqa: S101, PT018  # by _is_elsewhere
        return cluster.client(kind).proxy(interface)
