"""A process's place among the worker processes of its host."""

from dataclasses import dataclass, field
from pathlib import Path

from host.domain.workers import WorkerKind, WorkerPlan
from host.runtime.rpc import RpcClient


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTopology:
    """The worker processes of one host, as one of them sees them.

    Attributes:
        kind: the kind of this process.
        name: its name, such as `flow-0`.
        plan: which kinds have processes, and how many.
        folder: the runtime directory, where workers listen.
        key: proves that a caller belongs to the host.
    """

    kind: WorkerKind
    name: str
    plan: WorkerPlan
    folder: Path
    key: bytes
    _clients: dict[WorkerKind, RpcClient] = field(default_factory=dict)

    def is_elsewhere(self, kind: WorkerKind) -> bool:
        """Whether services of `kind` run in other processes."""
        return kind in self.plan.counts and kind is not self.kind

    def client(self, kind: WorkerKind) -> RpcClient:
        """A client for the workers of `kind`."""
        if kind not in self._clients:
            self._clients[kind] = RpcClient(self.folder, f"{kind}-*", self.key)
        return self._clients[kind]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
