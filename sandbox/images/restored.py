"""Instances of a runtime that serve one run after another, each on a memory that is the image.

    keeping = Keeping.opened()             # None where the system does not tell written pages
    program = RestoringProgram(code, image, keeping)
    instance = program.take()              # one that waits, or a new one
    instance.begin(limits)
    instance.store.call(code.exports["verify"], raw, size_max=...)
    instance.end(is_intact=True)           # restored, and waits for the next run

An instance waits only after a call that returned, with no host call refused, whose memory did not
grow; any other one is freed. What the engine counts for a store is set anew for each run, so a
receipt does not tell a kept instance from a new one. `docs/explanation/restored-instances.md` has
the reasons why nothing else of an instance can change.
"""

import threading
import weakref
from dataclasses import dataclass

from sandbox.errors import MemoryLimitError
from sandbox.guest import Instance
from sandbox.images.image import Image
from sandbox.images.instance import ImageProgram, RuntimeInstance
from sandbox.images.kept import INSTANCES_MAX, KeptInstances
from sandbox.images.memories import plain_memory
from sandbox.images.pagemap import PageMap
from sandbox.images.restoring import Restorer, UsualPages
from sandbox.images.runtimes import RuntimeCode
from sandbox.limits import Limits


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a process needs to keep instances.

    Attributes:
        page_map: of this process.
        waiting: the instances of all images, by digest.
    """

    page_map: PageMap
    waiting: "KeptInstances[RestoredInstance]"

    @staticmethod
    def opened(*, instances_max: int = INSTANCES_MAX) -> "Keeping | None":
        """For at most `instances_max` instances; None where the system does not allow it."""
        try:
            return Keeping(PageMap(), KeptInstances(instances_max=instances_max))
        except OSError:
            return None


class ImageContent:
    """The bytes of an image, to copy from, and the pages that its runs usually write.

    Raises:
        OSError: the system refuses.
    """

    def __init__(self, image: Image) -> None:
        memory = plain_memory(image.size)
        weakref.finalize(self, memory.free)
        image.map_over(memory)
        self.bytes = memory.view().toreadonly()
        self.usual = UsualPages(image.size)


class RestoringProgram(ImageProgram):
    """The `Program` of an image whose instances are restored after a run. Thread-safe."""

    def __init__(self, code: RuntimeCode, image: Image, keeping: Keeping) -> None:
        super().__init__(code, image)
        self.keeping = keeping
        self._lock = threading.Lock()
        self._content: ImageContent | None = None
        self._table_elements: int | None = None

    def take(self) -> Instance:
        return self.keeping.waiting.take(self.image.digest) or RestoredInstance(self)

    def content(self) -> ImageContent:
        """The image's bytes.

        Raises:
            OSError: the system refuses.
        """
        with self._lock:
            if self._content is None:
                self._content = ImageContent(self.image)
            return self._content

    def begin(self, instance: RuntimeInstance, limits: Limits) -> None:
        """`RuntimeInstance.begin`, and note under which limit of tables it succeeded."""
        instance.begin(limits)
        with self._lock:
            known = self._table_elements
            if known is None or limits.table_elements_max < known:
                self._table_elements = limits.table_elements_max

    def copy_usual_pages(self, instance: RuntimeInstance) -> None:
        """Give a new instance the pages that runs usually write; one by one takes twice as long."""
        content = self._content
        if content is not None and instance.memory is not None:
            for start, end in content.usual.runs:
                instance.memory.copy_pages(start, end)

    def check(self, limits: Limits) -> None:
        """Refuse what would refuse an instantiation with these limits.

        Raises:
            WasmtimeError, MemoryLimitError, HostMemoryError: as of `RuntimeInstance.begin`.
        """
        if self.image.size > limits.memory_bytes_max:
            raise MemoryLimitError("the guest needs more memory than its limit")
        known = self._table_elements
        if known is None or limits.table_elements_max < known:
            trial = RuntimeInstance(self.code, self.image)
            try:
                self.begin(trial, limits)
            finally:
                trial.end(is_intact=False)


def program_of(code: RuntimeCode, image: Image, keeping: Keeping | None) -> ImageProgram:
    """The program of an image; without `keeping`, each run has a new instance."""
    return ImageProgram(code, image) if keeping is None else RestoringProgram(code, image, keeping)


class RestoredInstance:
    """An `Instance` of a `RestoringProgram`. Used by one thread at a time."""

    __slots__ = ("_content", "_inner", "_program", "_restorer", "store")

    def __init__(self, program: RestoringProgram) -> None:
        self._program = program
        self._inner = RuntimeInstance(program.code, program.image)
        self._restorer: Restorer | None = None
        self._content: ImageContent | None = None
        self.store = self._inner.store

    @property
    def own_bytes(self) -> int:
        """Memory that it has for itself before a run."""
        return 0 if self._restorer is None else self._restorer.own_bytes

    def begin(self, limits: Limits) -> None:
        """See `sandbox.guest.Instance.begin`."""
        if self._restorer is None:
            self._program.begin(self._inner, limits)
            self._program.copy_usual_pages(self._inner)
        else:
            self._inner.renew(limits)
            self._program.check(limits)
            self._restorer.begin()

    def end(self, *, is_intact: bool) -> None:
        """Restore the instance and let it wait, or free it."""
        if is_intact and self._is_restored():
            self._program.keeping.waiting.give(self._program.image.digest, self)
        else:
            self.close()

    def close(self) -> None:
        """Free the instance and its memory."""
        if self._restorer is not None:
            self._restorer.release()
        self._inner.end(is_intact=False)

    def _is_restored(self) -> bool:
        memory = self._inner.memory
        if memory is None:
            return False
        try:
            if self._restorer is None:
                self._content = content = self._program.content()
                page_map = self._program.keeping.page_map
                self._restorer = Restorer(memory, content.bytes, content.usual, page_map)
            return self._restorer.restore()
        except OSError:
            return False
