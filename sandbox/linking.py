"""What the components of a world are linked with: the host functions."""

from wasmtime import Engine
from wasmtime import component as wc

from sandbox import native
from sandbox.instance import HOST_FUNCTIONS
from sandbox.world import World, import_name


def linker_of(world: World, engine: Engine) -> wc.Linker:
    """A linker with all host functions of `world`."""
    linker = wc.Linker(engine)
    if world is World.WORKFLOW:
        with linker.root() as root:
            for interface in dict.fromkeys(interface for interface, _ in HOST_FUNCTIONS):
                with root.add_instance(import_name(interface)) as instance:
                    for number, (owner, function) in enumerate(HOST_FUNCTIONS):
                        if owner == interface:
                            native.define_host_function(instance, function, number)
    return linker
