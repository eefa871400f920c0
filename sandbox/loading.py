"""From compiled code to a guest that can be called."""

from dataclasses import dataclass

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wc

from sandbox.deadline import Ticker
from sandbox.engine import EngineKind, new_engine
from sandbox.guest import Component, Guest, SelfContained, exports_of
from sandbox.inspect import shape_of
from sandbox.linking import linker_of
from sandbox.pooling import Places
from sandbox.world import check_world


@dataclass(frozen=True, slots=True)
class Pool:
    """An engine with a pool of instances.

    Attributes:
        places: as many as the pool has instances; runs beyond wait, outside their wall-clock limit.
    """

    engine: Engine
    ticker: Ticker
    places: Places


def opened_pool() -> Pool | None:
    """A pool; None if the system has too few addresses for one."""
    try:
        engine = new_engine(EngineKind.CONTRACTS)
    except WasmtimeError:
        return None
    return Pool(engine, Ticker(engine), Places())


def loaded_guest(
    component: Component,
    engine: Engine,
    compiled: wc.Component,
    ticker: Ticker,
    places: Places | None = None,
) -> Guest:
    """The guest of a self-contained component for `engine`, whose epoch `ticker` advances.

    If the engine has a pool, `places` are those of the pool.

    Raises:
        WorldMismatchError: its imports or exports are not those of its world.
    """
    shape = shape_of(engine, compiled)
    check_world(
        component.world,
        imports=shape.imports,
        exports=shape.exports,
        python=False,
    )
    program = SelfContained(
        world=component.world,
        engine=engine,
        compiled=compiled,
        linker=linker_of(component.world, engine),
        exports=exports_of(compiled, component.world),
    )
    return Guest(component, program, ticker, places)
