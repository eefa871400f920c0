"""What the table of host functions says of each: `sandbox.host_api` has the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ServedBy(StrEnum):
    """The component that answers a function's calls."""

    ENGINE = "engine"
    CAPABILITY = "capability"


class Effect(StrEnum):
    """What an operation does."""

    READS = "reads"
    WRITES = "writes"
    PROGRAM = "program"
    """It is performed by a program, which may wait for messages and write at each step."""


class Unit(StrEnum):
    """The unit of a size."""

    BYTES = "bytes"
    CHARACTERS = "characters"
    ENTRIES = "entries"
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a function.

    Attributes:
        name: the value of `op` in its requests; None for requests without.
        effect: what it does.
        stores: whenever it succeeds it has written to the node's vault.
    """

    name: str | None
    effect: Effect = Effect.READS
    stores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """One function.

    Attributes:
        interface: WIT interface without package and version; it is the capability, too.
        function: WIT name.
        served_by: the flow engine, or the capability of the interface's name.
        writes: a service changes something outside the flow's own state. What precedes the call is
            committed before it, so that after a crash the flow makes exactly that call again.
        privileged: why the call is recorded in the node's audit log; None if it is not.
        journalled: numbered, stored, and answered from the journal when the flow is replayed.
        reaches: who receives the data sent through it, if outside the virtual node.
        sizes: maximum sizes of fields of requests or answers: field -> (number, unit). Every text
            is bounded by `payload_bytes_max` besides.
        ops: the operations that its requests tell apart by `op`, where this table has them; empty:
            what answers the function knows.
    """

    interface: str
    function: str
    served_by: ServedBy
    writes: bool
    privileged: str | None
    journalled: bool
    reaches: str | None
    sizes: Mapping[str, tuple[int, Unit]]
    ops: tuple[Op, ...] = ()

    @property
    def name(self) -> str:
        """`interface.function`, as journals, logs and errors write it."""
        return f"{self.interface}.{self.function}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface, which is one capability.

    Attributes:
        name: WIT name.
        meaning: one or two sentences, the comment in the WIT.
        functions: in the order of the WIT.
        always_granted: every flow may call it.
        leaves: the guest's data that leaves the virtual node through it, as audits describe it.
        services: attributes of the SDK's `Flow` whose methods call it.
    """

    name: str
    meaning: str
    functions: tuple[HostFunction, ...]
    always_granted: bool = False
    leaves: str | None = None
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubCapability:
    """A capability for one `op` of a function, beside the interface's own.

    It is declared, granted and audited as those of interfaces are; the host, not the sandbox,
    checks it, since it is told by the request.

    Attributes:
        name: as CPKs and settings write it.
        meaning: one sentence.
        function: `interface.function`.
        op: of the request.
        services: attributes of the SDK's `Flow` whose methods call it.
    """

    name: str
    meaning: str
    function: str
    op: str
    services: tuple[str, ...] = ()
