"""The test kit of the CorDapp SDK: a network of simulated nodes inside one test.

A test is written once and runs twice: with the CorDapp's code as plain Python, which is fast and
can be debugged, and inside the WebAssembly sandbox that the host uses, which is the truth. The kit
itself is `host.tools.testkit`; these are the names that tests import.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.tools.testkit.errors import (
        ContractRefusedError,
        FlowFailedError,
        FlowRefusedError,
    )
    from host.tools.testkit.flows import FlowRecord
    from host.tools.testkit.network import Network
    from host.tools.testkit.node import Node

_MODULES = {
    "ContractRefusedError": "errors",
    "FlowFailedError": "errors",
    "FlowRecord": "flows",
    "FlowRefusedError": "errors",
    "Network": "network",
    "Node": "node",
}

__all__ = [
    "ContractRefusedError",
    "FlowFailedError",
    "FlowRecord",
    "FlowRefusedError",
    "Network",
    "Node",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a run without CorDapps does not pay for the host."""
    from importlib import import_module  # noqa: PLC0415  # see above

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"host.tools.testkit.{_MODULES[name]}"), name)
