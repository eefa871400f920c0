"""The services that flows may call: the host's own, and those of plugins."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import structlog

from host.domain.errors import HostError
from host.domain.json import JsonObject, JsonValue
from host.ports.capability import CallContext, Capability
from host.ports.keys import KeyStore
from host.runtime.wiring.base import ProcessContext
from host.settings.live import LiveConfig


class CapabilityTwiceError(HostError):
    """Two plugins provide a capability of the same name."""

    code = "capability-twice"


class TracedCapability:
    """A capability whose log lines name the flow, the node and the request of the call."""

    def __init__(self, capability: Capability) -> None:
        self.name = capability.name
        self._capability = capability

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        with structlog.contextvars.bound_contextvars(
            flow_id=context.flow_id,
            holding_id=context.holding.short_hash,
            request_id=context.request_id,
        ):
            return self._capability.call(context, function, request)


def make_capabilities(
    base: ProcessContext, config: LiveConfig, own: Sequence[Capability], keys: KeyStore
) -> Sequence[Capability]:
    """One capability for each interface that is not the flow engine's own.

    Raises:
        CapabilityTwiceError: two have the same name.
    """
    plugged = base.plugins.hook.register_capabilities(
        settings=base.settings, config=config, keys=keys
    )
    capabilities = [*own, *chain.from_iterable(plugged)]
    names = Counter(capability.name for capability in capabilities)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise CapabilityTwiceError(f"capability {name!r} is given {count} times")
    return [TracedCapability(capability) for capability in capabilities]
