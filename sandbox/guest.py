"""Runs the exports of one component: each call in a store and an instance of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

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
from sandbox.instance import HOST_FUNCTIONS, Run, StoreFuel
from sandbox.limits import Limits, Usage
from sandbox.outcome import Outcome
from sandbox.own_memory import thread_filled_bytes
from sandbox.pooling import TABLE_ELEMENTS_MAX
from sandbox.receipts import RunFacts, concluded
from sandbox.runnable import Runnable, RunRequest
from sandbox.stores import Store
from sandbox.traps import error_of
from sandbox.world import EXPORTS, World, import_name

_INSTANCES_MAX = 200
_TABLES_MAX = 50
_MEMORIES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component that this host has stored.

    Attributes:
        digest: `SHA-256:HEX` of its bytes.
        runtime: digest of the pinned runtime it was derived from; None if it is self-contained.
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


class Guest(Runnable):
    """A compiled component. Thread-safe: every call has its own store and instance."""

    def __init__(
        self,
        component: Component,
        engine: Engine,
        compiled: wc.Component,
        ticker: Ticker,
        places: threading.Semaphore | None = None,
    ) -> None:
        self.component = component
        self._engine = engine
        self._compiled = compiled
        self._ticker = ticker
        self._places: AbstractContextManager[object] = places or nullcontext()
        self._linker = _linker(component.world, self._engine)
        self._exports = {
            name: index
            for name in EXPORTS[component.world]
            if (index := compiled.get_export_index(name)) is not None
        }

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """Run an export; see `sandbox.runnable.Runnable.run`."""
        facts = self.component.facts(request)
        with self._places:
            return self._in_store(facts, request, host)

    def _in_store(
        self, facts: RunFacts, request: RunRequest, host: HostCallHandler | None
    ) -> Outcome:
        limits = request.limits
        store = Store(self._engine)
        run = Run(StoreFuel(store), limits=limits, host=host, granted=request.granted)
        leave = native.enter(store, run)
        try:
            if (waiter := waiting(host)) is not None:
                waiter.attach(_Control(store, run, self._ticker, limits))
            return concluded(facts, lambda: _usage(run), lambda: self._run(store, run, request))
        finally:
            leave()
            store.close()

    def _run(self, store: Store, run: Run, request: RunRequest) -> tuple[bool, str | None]:
        limits = request.limits
        with self._ticker.running():
            _bound(store, limits, self.component.world)
            raw = _encoded(request.argument, limits)
            failure: str | None = None
            is_ok, text, size = True, None, 0
            try:
                store.instantiate(self._linker, self._compiled)
                is_ok, text, size = store.call(
                    self._exports[request.export], raw, size_max=limits.payload_bytes_max
                )
            except WasmtimeError as exc:
                failure = str(exc)
        value = None if text is None else text.decode()
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

    def __init__(self, store: Store, run: Run, ticker: Ticker, limits: Limits) -> None:
        self._store = store
        self._run = run
        self._ticker = ticker
        self._limits = limits
        self._filled_before = thread_filled_bytes()

    def usage(self) -> Usage:
        return _usage(self._run)

    def memory_bytes(self) -> int:
        """Memory that the run's thread has touched since its start; the limit if unknown."""
        filled, before = thread_filled_bytes(), self._filled_before
        if filled is None or before is None:
            return self._limits.memory_bytes_max
        return filled - before

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
    return any(isinstance(r, dict) and r.get("type") == "MemoryError" for r in reports)


def _linker(world: World, engine: Engine) -> wc.Linker:
    linker = wc.Linker(engine)
    if world is World.WORKFLOW:
        with linker.root() as root:
            for interface in dict.fromkeys(interface for interface, _ in HOST_FUNCTIONS):
                with root.add_instance(import_name(interface)) as instance:
                    for number, (owner, function) in enumerate(HOST_FUNCTIONS):
                        if owner == interface:
                            native.define_host_function(instance, function, number)
    return linker


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
