"""Ids of new flows."""

import uuid

from host.domain.ids import FlowId
from host.ports.clock import Entropy


def new_flow_id(entropy: Entropy) -> FlowId:
    """A random id, as text of a UUID of version 4."""
    return FlowId(str(uuid.UUID(bytes=entropy.random_bytes(16), version=4)))
