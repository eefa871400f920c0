"""The other side of a session that a flow opens, and the session's id."""

import uuid

from host.domain.capability_error import CapabilityError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.flow.core.messages import Party
from host.flow.engine.flow_services import FlowServices
from host.ports.routes import Refused


def reachable(services: FlowServices, own: Party, counterparty: str) -> Party:
    """The member of the flow's group with this X.500 name, to whom there is a route.

    Raises:
        CapabilityError: the name is invalid, or as the route is refused.
    """
    try:
        name = MemberX500Name.parse(counterparty)
    except InvalidX500NameError as exc:
        raise CapabilityError(exc.code, exc.message) from exc
    peer = HoldingIdentity(x500_name=name, group_id=own.group_id)
    route = services.routes.route(own.holding(), peer)
    if isinstance(route, Refused):
        raise CapabilityError(route.code, route.message)
    return Party.of(peer)


def new_session_id(services: FlowServices) -> str:
    """A random identifier, a UUID of version 4."""
    return str(uuid.UUID(bytes=services.entropy.random_bytes(16), version=4))
