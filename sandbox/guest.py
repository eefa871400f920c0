"""Runs the exports of one component: each call in a store and an instance to itself."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wc

from sandbox import native
from sandbox.deadline import Ticker
from sandbox.errors import (
    InvalidPayloadError,
    MemoryLimitError,
    PayloadTooLargeError,
    WorldMismatchError,
)
from sandbox.host_calls import HostCallHandler, waiting
from sandbox.instance import Run, StoreFuel
from sandbox.limits import Limits, Usage
from sandbox.outcome import Outcome
from sandbox.own_memory import thread_filled_bytes
from sandbox.pooling import TABLE_ELEMENTS_MAX, Places
from sandbox.receipts import RunFacts, concluded
from sandbox.runnable import Runnable, RunRequest
from sandbox.stores import Store
from sandbox.traps import error_of
from sandbox.world import EXPORTS, World

_PARSER_OVERFLOW = "Parser stack overflowed"
"""How the message of CPython's MemoryError begins if its parser gives up at too much nesting."""
_INSTANCES_MAX = 200
_TABLES_MAX = 50
_MEMORIES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component that this host has stored.

    Attributes:
        digest: `SHA-256:HEX` of its bytes.
        runtime: digest of the pinned runtime of an image; None if it is self-contained.
        path: the component's file in the cache.
    """

    digest: str
    world: World
    runtime: str | None
    path: Path

    def facts(self, request: RunRequest) -> RunFacts:
        """The facts of a run that are known before it starts.

        Raises:
            WorldMismatchError: the world has no such export, or one without that argument.
        """
        export = request.export
        if export not in EXPORTS[self.world] or (request.argument is None) != (
            export == "describe"
        ):
            raise WorldMismatchError(
                f"export {export!r} of world {self.world}: no such export, "
                "or called with the wrong number of arguments"
            )
        return RunFacts(
            world=self.world, component=self.digest, runtime=self.runtime, request=request
        )


class Instance(Protocol):
    """A place for one run: a store, in which the program's instance is.

    Attributes:
        store: of this run alone, and for its length.
    """

    store: Store

    @property
    def own_bytes(self) -> int:
        """Memory that it has before the run, and that the run may write without a page fault."""
        ...

    def begin(self, limits: Limits) -> None:
        """Make the instance ready for a call, with the run's fuel, deadline and limits.

        Whatever happens, the store's fuel is the run's afterwards.

        Raises:
            WasmtimeError: the engine or the guest's own initialisation refused.
            MemoryLimitError, HostMemoryError: there is no room for it.
        """
        ...

    def end(self, *, is_intact: bool) -> None:
        """The run is over; `is_intact` if its call returned and no host call was refused."""
        ...


class Program(Protocol):
    """Code that can be run: how instances of it are made."""

    @property
    def engine(self) -> Engine:
        """The engine that it was loaded for."""
        ...

    @property
    def compiled(self) -> wc.Component:
        """The compiled component, for its imports and exports."""
        ...

    @property
    def linker(self) -> wc.Linker:
        """What it is instantiated with."""
        ...

    @property
    def exports(self) -> Mapping[str, wc.ExportIndex]:
        """The exports of its world."""
        ...

    def take(self) -> Instance:
        """A place for a run."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SelfContained:
    """The `Program` of a self-contained component: each run instantiates it."""

    world: World
    engine: Engine
    compiled: wc.Component
    linker: wc.Linker
    exports: Mapping[str, wc.ExportIndex]

    def take(self) -> Instance:
        return _FreshInstance(self)


class _FreshInstance:
    """An instance of a self-contained component."""

    __slots__ = ("_program", "store")

    def __init__(self, program: SelfContained) -> None:
        self._program = program
        self.store = Store(program.engine)

    @property
    def own_bytes(self) -> int:
        return 0

    def begin(self, limits: Limits) -> None:
        _bound(self.store, limits, self._program.world)
        self.store.instantiate(self._program.linker, self._program.compiled)

    def end(self, *, is_intact: bool) -> None:  # noqa: ARG002  # no instance is kept
        self.store.close()


def exports_of(compiled: wc.Component, world: World) -> Mapping[str, wc.ExportIndex]:
    """The exports of `world` that a component has."""
    found = {name: compiled.get_export_index(name) for name in EXPORTS[world]}
    return {name: index for name, index in found.items() if index is not None}


class Guest(Runnable):
    """Code that is loaded. Thread-safe: every run has its own place."""

    def __init__(
        self,
        component: Component,
        program: Program,
        ticker: Ticker,
        places: Places | None = None,
    ) -> None:
        self.component = component
        self.program = program
        self._ticker = ticker
        self._places: AbstractContextManager[object] = places or nullcontext()

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """Run an export; see `sandbox.runnable.Runnable.run`."""
        facts = self.component.facts(request)
        with self._places:
            return self._in_store(facts, request, host)

    def _in_store(
        self, facts: RunFacts, request: RunRequest, host: HostCallHandler | None
    ) -> Outcome:
        limits, instance = request.limits, self.program.take()
        store = instance.store
        run = Run(StoreFuel(store), limits=limits, host=host, granted=request.granted)
        leave = native.enter(store, run)
        try:
            if (waiter := waiting(host)) is not None:
                waiter.attach(_Control(instance, run, self._ticker, limits))
            return concluded(facts, lambda: _usage(run), lambda: self._run(instance, run, request))
        finally:
            leave()
            instance.end(is_intact=run.has_returned and run.error is None)

    def _run(self, instance: Instance, run: Run, request: RunRequest) -> tuple[bool, str | None]:
        limits = request.limits
        with self._ticker.running():
            failure: str | None = None
            is_ok, text, size = True, None, 0
            try:
                instance.store.set_fuel(limits.fuel_max)
                raw = _encoded(request.argument, limits)
                instance.begin(limits)
                is_ok, text, size = instance.store.call(
                    self.program.exports[request.export],
                    raw,
                    size_max=limits.payload_bytes_max,
                    copied=run.copied,
                )
                run.has_returned = True
            except WasmtimeError as exc:
                failure = str(exc)
        value = None if text is None else run.copied(text.decode, size)
        run.conclude(is_ok=is_ok and failure is None, value=value)
        if failure is not None:
            raise error_of(failure)
        if size > limits.payload_bytes_max:
            raise PayloadTooLargeError(f"result: {size} bytes, at most {limits.payload_bytes_max}")
        return self._judged(is_ok, value)

    def _judged(self, is_ok: bool, value: str | None) -> tuple[bool, str | None]:  # noqa: FBT001
        """The answer; failures that a Python guest reports itself are recognised.

        Raises:
            MemoryLimitError: the guest reports that it ran out of memory.
        """
        if self.component.runtime is None or value is None:
            return is_ok, value
        if is_ok and value.startswith('{"error": {"type": '):
            is_ok = False
        if not is_ok and '"MemoryError"' in value and _is_memory_error(value):
            raise MemoryLimitError("the guest needs more memory than its limit")
        return is_ok, value


class _Control:
    """A `RunControl` of a run of this process."""

    def __init__(self, instance: Instance, run: Run, ticker: Ticker, limits: Limits) -> None:
        self._store = instance.store
        self._own_bytes = instance.own_bytes
        self._run = run
        self._ticker = ticker
        self._limits = limits
        self._filled_before = thread_filled_bytes()

    def usage(self) -> Usage:
        return _usage(self._run)

    def memory_bytes(self) -> int:
        """Memory of the instance, and what the thread has touched since; the limit if unknown."""
        filled, before = thread_filled_bytes(), self._filled_before
        if filled is None or before is None:
            return self._limits.memory_bytes_max
        return self._own_bytes + filled - before

    @contextmanager
    def paused(self) -> Iterator[None]:
        with self._ticker.paused():
            yield
        _set_deadline(self._store, self._limits)


def _is_memory_error(value: str) -> bool:
    try:
        report = json.loads(value)
    except (ValueError, RecursionError):
        return False
    if not isinstance(report, dict):
        return False
    failures = report.get("failures", ())
    reports = [report, report.get("error"), *(failures if isinstance(failures, list) else ())]
    return any(isinstance(r, dict) and _lacks_memory(r) for r in reports)


def _lacks_memory(report: Mapping[str, Any]) -> bool:
    """Whether it is a MemoryError for want of memory; the parser raises one for nesting, too."""
    message = str(report.get("message", ""))
    return report.get("type") == "MemoryError" and not message.startswith(_PARSER_OVERFLOW)


def _bound(store: Store, limits: Limits, world: World) -> None:
    elements = limits.table_elements_max
    if world is World.CONTRACT:
        elements = min(elements, TABLE_ELEMENTS_MAX)
    store.set_fuel(limits.fuel_max)
    _set_deadline(store, limits)
    store.set_limits(
        memory_size=limits.memory_bytes_max,
        table_elements=elements,
        instances=_INSTANCES_MAX,
        tables=_TABLES_MAX,
        memories=_MEMORIES_MAX,
    )


def _set_deadline(store: Store, limits: Limits) -> None:
    store.set_epoch_deadline(Ticker.ticks(limits.wall_ms_max))


def _encoded(argument: str | None, limits: Limits) -> bytes | None:
    if argument is None:
        return None
    try:
        raw = argument.encode()
    except UnicodeEncodeError as exc:
        raise InvalidPayloadError("argument: not Unicode") from exc
    if len(raw) > limits.payload_bytes_max:
        raise PayloadTooLargeError(
            f"argument: {len(raw)} bytes, at most {limits.payload_bytes_max}"
        )
    return raw


def _usage(run: Run) -> Usage:
    return Usage(fuel=run.fuel_used(), host_calls=run.host_calls, log_bytes=run.log_bytes)
