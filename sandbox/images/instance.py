"""An instance of a pinned runtime over an image, and the program that makes one for each run.

    instance = RuntimeInstance(code, image)
    instance.begin(limits)     # instantiates the runtime, maps the image over its memory
    instance.store.call(code.exports["verify"], raw, size_max=...)
    instance.end(is_intact=True)

Beginning costs no copy: the image's pages are mapped. Besides the engine's records, the state of an
instance is its memory and its stack pointer (`sandbox.images.stripped`). So after a call that
returned, an instance whose memory is put back to the image's is as one that was made anew; `renew`
sets what the engine counts for its store.
"""

from collections.abc import Mapping

from wasmtime import Engine
from wasmtime import component as wc

from sandbox.deadline import Ticker
from sandbox.errors import HostMemoryError, MemoryLimitError
from sandbox.guest import Instance
from sandbox.images import memories
from sandbox.images.image import Image
from sandbox.images.memories import LinearMemory
from sandbox.images.runtimes import RuntimeCode
from sandbox.limits import Limits
from sandbox.stores import Store

_INSTANTIATION_FUEL = 1_000_000
"""Instantiating a runtime uses 6,097 units, which no run is charged."""
_INSTANCES_MAX = 200
_TABLES_MAX = 50
_MEMORIES_MAX = 1


class RuntimeInstance:
    """A store, an instance of a runtime in it, and the memory of that instance.

    Used by one thread at a time.

    Attributes:
        code: the runtime.
        image: what the memory begins with.
        store: the instance's store.
        memory: the instance's only linear memory; None before `begin`.
    """

    __slots__ = ("code", "image", "memory", "store")

    def __init__(self, code: RuntimeCode, image: Image) -> None:
        self.code = code
        self.image = image
        self.store = Store(code.engine)
        self.memory: LinearMemory | None = None

    @property
    def own_bytes(self) -> int:
        return 0

    def begin(self, limits: Limits) -> None:
        """Make the instance, and map the image over its memory.

        The fuel of the instantiation is not counted: a run has its whole fuel for the call.

        Raises:
            WasmtimeError: the engine refused.
            MemoryLimitError: the image is larger than the limit.
            HostMemoryError: the system has no memory for it.
        """
        self.renew(limits)
        if self.image.size > limits.memory_bytes_max:
            raise MemoryLimitError("the guest needs more memory than its limit")
        self.store.set_fuel(_INSTANTIATION_FUEL)
        try:
            with memories.creating(self.image.size) as created:
                self.store.instantiate(self.code.linker, self.code.compiled)
            (self.memory,) = created.memories
            self.image.map_over(self.memory)
        except OSError as exc:
            raise HostMemoryError("the system has no memory for the run") from exc
        finally:
            self.store.set_fuel(limits.fuel_max)

    def renew(self, limits: Limits) -> None:
        """Set what the engine counts for the store, as at the beginning of a run."""
        self.store.set_limits(
            memory_size=limits.memory_bytes_max,
            table_elements=limits.table_elements_max,
            instances=_INSTANCES_MAX,
            tables=_TABLES_MAX,
            memories=_MEMORIES_MAX,
        )
        self.store.set_epoch_deadline(Ticker.ticks(limits.wall_ms_max))
        self.store.set_fuel(limits.fuel_max)

    def end(self, *, is_intact: bool) -> None:  # noqa: ARG002  # no instance is kept
        """Free the instance and its memory."""
        self.store.close()


class ImageProgram:
    """The `Program` of an image: each run has an instance of its runtime over the image.

    Attributes:
        code: the runtime.
        image: its memory's content.
    """

    def __init__(self, code: RuntimeCode, image: Image) -> None:
        self.code = code
        self.image = image

    @property
    def engine(self) -> Engine:
        return self.code.engine

    @property
    def compiled(self) -> wc.Component:
        return self.code.compiled

    @property
    def linker(self) -> wc.Linker:
        return self.code.linker

    @property
    def exports(self) -> Mapping[str, wc.ExportIndex]:
        return self.code.exports

    def take(self) -> Instance:
        return RuntimeInstance(self.code, self.image)
