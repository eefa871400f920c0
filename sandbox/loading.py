"""From compiled code to a guest that can be called."""

from wasmtime import Engine
from wasmtime import component as wc

from sandbox.deadline import Ticker
from sandbox.guest import Component, Guest
from sandbox.inspect import shape_of
from sandbox.world import check_world


def loaded_guest(
    component: Component, engine: Engine, compiled: wc.Component, ticker: Ticker
) -> Guest:
    """The guest of a component that was compiled for `engine`, whose epoch `ticker` advances.

    Raises:
        WorldMismatchError: its imports or exports are not those of its world.
    """
    shape = shape_of(engine, compiled)
    check_world(
        component.world,
        imports=shape.imports,
        exports=shape.exports,
        python=component.runtime is not None,
    )
    return Guest(component, engine, compiled, ticker)
