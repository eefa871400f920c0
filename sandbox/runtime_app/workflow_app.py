"""The runtime of world `workflow`."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import guest_side
import wit_world
from componentize_py_types import Err
from wit_world.imports import (
    crypto,
    external_messaging,
    flow,
    ledger,
    log,
    membership,
    persistence,
    sessions,
    signing,
)

_INTERFACES = {
    "crypto": (crypto, ("digest", "verify")),
    "external-messaging": (external_messaging, ("send",)),
    "flow": (flow, ("now", "random", "sleep", "context", "sub-flow")),
    "ledger": (ledger, ("build", "verify", "record", "find", "query")),
    "log": (log, ("write",)),
    "membership": (membership, ("lookup",)),
    "persistence": (persistence, ("write", "read")),
    "sessions": (sessions, ("open", "send", "receive", "info", "close")),
    "signing": (signing, ("sign", "find-keys")),
}
_FUNCTIONS = {
    (interface, function): getattr(module, function.replace("-", "_"))
    for interface, (module, functions) in _INTERFACES.items()
    for function in functions
}


def call_host(interface: str, function: str, request: str) -> str:
    """Call one host function; the SDK's HostCallError carries its `err`."""
    try:
        imported = _FUNCTIONS[interface, function]
    except KeyError:
        raise LookupError(f"the host API has no function {interface}.{function}") from None
    try:
        answer: str = imported(guest_side.text(request))
    except Err as refused:
        raise guest_side.guest().HostCallError(refused.value) from None
    return answer


class WitWorld(wit_world.WitWorld):
    """The world's exports."""

    def load(self, last: bool, part: str) -> str:  # noqa: FBT001  # the WIT's signature
        return guest_side.load(last, part)

    def describe(self) -> str:
        return guest_side.describe()

    def run(self, start: str) -> str:
        return guest_side.run(start, call_host)
