"""Guests for sandbox tests: one Python guest that runs its argument, and WebAssembly text."""

import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from host.domain.packages import CodeWorld
from host.runtime.plugin_loading import make_plugin_manager
from host.tools.cordapps.toolchains import (
    ComponentBuilder,
    ToolchainMissingError,
    component_builder,
)
from sandbox.guest import Guest
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.placing import Apart
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import ProcessPlan
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World

RESTORED = os.environ.get("CORDBOX_RESTORED_INSTANCES", "true") != "false"
"""Whether the tests' sandboxes keep instances, as hosts that they start do by the same variable."""

GUEST_PY = """
class HostCallError(Exception):
    def __init__(self, payload):
        super().__init__(payload)
        self.payload = payload


class Refused(HostCallError):
    pass


class Failed(HostCallError):
    pass


def describe():
    return "{}"


def verify(transaction):
    exec(transaction, {"Refused": Refused})


def run(start, host):
    names = {"host": host, "HostCallError": HostCallError, "Failed": Failed}
    exec(start, names)
    return str(names.get("result", "done"))
"""
"""A stand-in for the SDK's module `cordapp.guest`."""

_LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (if (i32.gt_u (i32.add (global.get $top) (local.get 3)) (i32.const 65536))
        (then (global.set $top (i32.const 4096))))
      (local.set $at (global.get $top))
      (global.set $top (i32.and (i32.add (i32.add (global.get $top) (local.get 3)) (i32.const 7))
                                (i32.const -8)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
"""
_DESCRIBE = """
    (data (i32.const 32) "{}")
    (func (export "describe") (result i32)
      (i32.store (i32.const 48) (i32.const 32)) (i32.store (i32.const 52) (i32.const 2))
      (i32.const 48))
"""
_LIFT_DESCRIBE = """
  (func (export "describe") (result string)
    (canon lift (core func $main "describe") (memory (core memory $libc "memory"))))
"""


def contract_text(verify: str, *, declarations: str = "", extra: str = "") -> str:
    """A self-contained contract; `verify` is the body of (param i32 i32) (result i32)."""
    return f"""(component {_LIBC}
  (core module $main
    (import "libc" "memory" (memory 1))
    {declarations} {_DESCRIBE}
    (func (export "verify") (param i32 i32) (result i32) {verify}))
  (core instance $main (instantiate $main (with "libc" (instance $libc))))
  (func (export "verify") (param "transaction" string) (result (result (error string)))
    (canon lift (core func $main "verify") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc"))))
  {_LIFT_DESCRIBE} {extra})"""


def workflow_text(run: str, *, interface: str = "cordbox:guest/flow@1.0.0") -> str:
    """A self-contained workflow that imports `now`; `run` as `verify` above, $now is callable."""
    return f"""(component
  (import "{interface}" (instance $flow
    (export "now" (func (param "request" string) (result (result string (error string)))))))
  {_LIBC}
  (core func $now (canon lower (func $flow "now") (memory (core memory $libc "memory"))
    (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "now" (func $now (param i32 i32 i32)))
    {_DESCRIBE}
    (func (export "run") (param i32 i32) (result i32) {run}))
  (core instance $main (instantiate $main (with "libc" (instance $libc))
    (with "host" (instance (export "now" (func $now))))))
  (func (export "run") (param "start" string) (result (result string (error string)))
    (canon lift (core func $main "run") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc"))))
  {_LIFT_DESCRIBE})"""


class Texts:
    """The text builders and bodies, as one fixture."""

    contract = staticmethod(contract_text)
    workflow = staticmethod(workflow_text)
    calls_forever = """(loop $again (call $now (local.get 0) (local.get 1) (i32.const 64))
      (br $again)) unreachable"""
    echoes_answer = "(call $now (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64)"
    accepts = "(i32.const 80)"


@pytest.fixture(scope="session")
def texts() -> type[Texts]:
    return Texts


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Shared by all tests and by runs of the suite: a runtime compiles once a machine."""
    return Path(os.environ.get("CORDBOX_CACHE_DIR") or Path.home() / ".cache" / "cordbox")


@pytest.fixture(scope="session")
def sandbox(cache_dir: Path) -> Sandbox:
    return Sandbox(cache_dir=cache_dir, restored_instances=RESTORED)


@pytest.fixture(scope="session")
def source() -> PythonSource:
    return PythonSource({"cordapp/guest.py": GUEST_PY}, ("cordapp.guest",))


Placed = Callable[[World, str], "Guest | IsolatedGuest"]


@pytest.fixture(scope="session")
def placed(sandbox: Sandbox) -> Iterator[Placed]:
    """Guests by world and digest; with CORDBOX_ISOLATION=process each in a process of its own."""
    if os.environ.get("CORDBOX_ISOLATION", "shared") == "shared":
        yield sandbox.guest
        return
    plan = ProcessPlan(flows=8, waiting=2, contracts=8, restored_instances=RESTORED)
    pool = ProcessPool(most=4, idle_seconds=600, plan=plan)

    yield partial(Apart(pool), sandbox)
    pool.close()


@pytest.fixture(scope="session")
def contract(sandbox: Sandbox, source: PythonSource, placed: Placed) -> Guest | IsolatedGuest:
    return placed(World.CONTRACT, sandbox.make_image(World.CONTRACT, source).digest)


@pytest.fixture(scope="session")
def workflow(sandbox: Sandbox, source: PythonSource, placed: Placed) -> Guest | IsolatedGuest:
    return placed(World.WORKFLOW, sandbox.make_image(World.WORKFLOW, source).digest)


@pytest.fixture(scope="session")
def workflow_here(sandbox: Sandbox, source: PythonSource) -> Guest:
    """The workflow in this process, for tests that move its engine's clock."""
    return sandbox.guest(World.WORKFLOW, sandbox.make_image(World.WORKFLOW, source).digest)


@pytest.fixture(scope="session")
def admit_text(sandbox: Sandbox, placed: Placed) -> Callable[[World, str], Guest | IsolatedGuest]:
    """Admits a component given as text."""
    from wasmtime import wat2wasm

    def admit(world: World, text: str) -> Guest | IsolatedGuest:
        return placed(world, sandbox.admit(world, bytes(wat2wasm(text))).digest)

    return admit


@pytest.fixture(scope="session")
def builder() -> ComponentBuilder:
    """Builds from source, or skips where the language's tools are not installed."""
    build = cache(component_builder(make_plugin_manager(("toolchains",))))

    def built(language: str, world: CodeWorld, source: Path) -> bytes:
        try:
            return build(language, world, source)
        except ToolchainMissingError as missing:
            pytest.skip(missing.message)

    return built
