"""The test kit of the CorDapp SDK: a network of simulated nodes inside one test.

A test is written once and runs twice: with the CorDapp's code as plain Python, which is fast and
can be debugged, and inside the WebAssembly sandbox that the host uses, which is the truth.
"""

from cordapp_testkit.errors import ContractRefusedError, FlowFailedError
from cordapp_testkit.network import FlowRecord, Network, Node

__all__ = [
    "ContractRefusedError",
    "FlowFailedError",
    "FlowRecord",
    "Network",
    "Node",
]
