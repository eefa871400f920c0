"""An image does not depend on the compiler of the runtime: it takes a compilation of a runtime to see.

`make prove-sandbox` runs this; `test_images_making.py` varies what surrounds a build.
"""

import base64
import platform

import pytest
from wasmtime import Config, Engine, Store
from wasmtime import _ffi as ffi
from wasmtime import component as wc

from sandbox import engine
from sandbox.growth import trap_refused_growth
from sandbox.images import loading_process, memories
from sandbox.images.header import header_of
from sandbox.images.stripped import initial_memory, strip_runtime
from sandbox.limits import Limits
from sandbox.pinned import default_runtime, unpack_runtime
from sandbox.world import World


@pytest.mark.timeout(900)
def test_code_of_another_compiler_makes_the_same_image(source, contract, tmp_path):
    """As another version of the engine, or one for another processor, would make it.

    Nor does it matter to image and fuel that a runtime's modules are joined: here they are apart.
    """
    config = Config()
    for name, value in engine.SETTINGS.items():
        setattr(config, name, value)
    for name, value in {**engine._COMPONENT_SETTINGS, **engine._RUNTIME_SETTINGS}.items():
        getattr(ffi, f"wasmtime_config_{name}_set")(config.ptr(), value)
    memories.set_creator(config)
    config.cranelift_opt_level = "none"
    if platform.machine() == "x86_64":  # without the extensions that this processor has
        assert not ffi.wasmtime_config_target_set(config.ptr(), b"x86_64-unknown-linux-gnu")
    other = Engine(config)
    runtime = default_runtime(World.CONTRACT)
    wasm = unpack_runtime(runtime)
    component = wc.Component(other, trap_refused_growth(strip_runtime(wasm)))
    (tmp_path / "initial").write_bytes(initial_memory(wasm))
    store = Store(other)
    store.set_epoch_deadline(1 << 60)
    store.set_fuel(loading_process.FUEL_MAX)
    linker = wc.Linker(other)
    linker.define_unknown_imports_as_traps(component)
    with memories.creating() as created:
        instance = linker.instantiate(store, component)
    (memory,) = created.memories
    with (tmp_path / "initial").open("rb") as file:
        memory.map_file(file.fileno(), 0, memory.size)
    store.set_fuel(loading_process.FUEL_MAX)
    text = base64.b64encode(source.packed()).decode()
    assert instance.get_func(store, "load")(store, True, text) == ""
    header = header_of(runtime.digest, source.digest, bytes(memory.view()))
    assert header.digest == contract.component.digest
    store.set_fuel(Limits().fuel_max)
    instance.get_func(store, "describe")(store)
    used = Limits().fuel_max - store.get_fuel()
    assert used == contract.call("describe", None, limits=Limits()).usage.fuel
    store.close()
