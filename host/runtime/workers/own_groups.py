"""The groups of this run of a host, as a worker process reaches them."""

import hashlib

from host.flow.core.messages import GROUP
from host.runtime.wiring.base import own_host_name
from host.runtime.wiring.parts import Wiring
from host.runtime.workers.flow_group import FlowGroup


def group_of(parts: Wiring, group: str = GROUP) -> FlowGroup:
    """A group, by default that of flows."""
    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    return FlowGroup(
        parts.store,
        host=own_host_name(parts.base.settings),
        run=hashlib.sha256(cluster.key).hexdigest()[:16],
        group=group,
    )
