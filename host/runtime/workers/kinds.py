"""What each kind of worker does: the services that it provides, and the work that it starts.

| kind         | gives                            | begins                        | calls      |
|--------------|----------------------------------|-------------------------------|------------|
| crypto       | keys                             |                               |            |
| uniqueness   | spent states of notaries         |                               |            |
| verification | contracts, functions of vaults   | compiling of stored code      |            |
| membership   | members, registrations           | messages of membership        | crypto     |
| persistence  | entities, ledger, flows' answers |                               | c, u, v, m |
| link         | sessions with other clusters     | messages to other clusters    | crypto     |
| gateway      | HTTPS of other clusters          | HTTPS to other clusters       | crypto, l  |
| flow         |                                  | flows, compiling              | c, m, p    |
| relay        |                                  | outward topics, carried work  |            |
| rest         | HTTPS                            | creations left unfinished     | m          |

The letters are those of other kinds. No kind calls one below it, so there is no deadlock between
kinds.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from host.domain.workers import WorkerKind
from host.network.membership.workers import GROUP as MEMBERSHIP
from host.runtime.rpc import Service
from host.runtime.wiring import services
from host.runtime.wiring.flows import start_flows, warm_up_code
from host.runtime.wiring.membership_run import start_membership
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.services import (
    ServedCapability,
    ServedContracts,
    ServedUniqueness,
    ServedVaultFunctions,
)
from host.runtime.workers.flow_group import FLOW_GROUP
from host.runtime.workers.own_groups import group_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`serves` opens the parts that the kind needs; `begins` is called once the socket is open."""

    serves: Callable[[Wiring], Sequence[Service]]
    begins: Callable[[Wiring], None]


def _keys(parts: Wiring) -> Sequence[Service]:
    return (Service(services.KEYS, parts.keys),)


def _uniqueness(parts: Wiring) -> Sequence[Service]:
    return (Service(services.UNIQUENESS, ServedUniqueness(parts.uniqueness)),)


def _contracts(parts: Wiring) -> Sequence[Service]:
    return (
        Service(
            services.CONTRACTS, ServedContracts(parts.contracts, parts.catalogue, parts.catalogue)
        ),
        Service(
            services.VAULT_FUNCTIONS, ServedVaultFunctions(parts.vault_functions, parts.catalogue)
        ),
    )


def _members(parts: Wiring) -> Sequence[Service]:
    return (
        Service(services.MEMBERS, parts.members),
        Service(services.REGISTRATIONS, parts.registrations),
        Service(services.MGM, parts.mgm),
    )


def _vaults(parts: Wiring) -> Sequence[Service]:
    return (
        Service(services.ENTITIES, ServedCapability(parts.entities, parts.catalogue)),
        Service(services.LEDGER, ServedCapability(parts.ledger, parts.catalogue)),
        Service(services.ANSWERS, parts.answers),
    )


def _group(parts: Wiring) -> Sequence[Service]:
    return (Service(FLOW_GROUP, group_of(parts)),)


def run_membership(parts: Wiring) -> None:
    """Complete registrations, and do the work of dynamic networks on a host with a gateway."""
    parts.go_on_with_registrations()
    cluster = parts.base.cluster
    if parts.has_links and cluster is not None:
        start_membership(parts, group_of(parts, MEMBERSHIP).enter(cluster.name, os.getpid()))


def run_link(parts: Wiring) -> None:
    """Start the link in a worker process, under its name in the group of links."""
    # Imported here: other workers do not load the link.
    from host.network.link.sessions import GROUP as LINKS  # noqa: PLC0415

    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    parts.start_link(group_of(parts, LINKS).enter(cluster.name, os.getpid()))


def _link(parts: Wiring) -> Sequence[Service]:
    return (Service(services.LINK, parts.link),)


def run_gateway(parts: Wiring) -> None:
    """Serve and call gateways."""
    # Imported here: other workers do not load a server of HTTP.
    from host.runtime.wiring.gateway_parts import start_gateway  # noqa: PLC0415

    start_gateway(parts)


def _run_flows(parts: Wiring) -> None:
    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    start_flows(parts, member=group_of(parts).enter(cluster.name, os.getpid()))
    warm_up_code(parts)


def _run_relay(parts: Wiring) -> None:
    # Imported here: other workers do not load the relay.
    from host.network.outward.troubles import GROUP as RELAYS  # noqa: PLC0415
    from host.runtime.wiring.relay_run import start_relay  # noqa: PLC0415

    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    name = cluster.name
    start_relay(parts, group_of(parts, RELAYS).enter(name, os.getpid()))
    if parts.base.settings.bus == "kafka":
        from host.runtime.wiring.carriage_run import start_carriage  # noqa: PLC0415

        start_carriage(parts, lambda group: group_of(parts, group).enter(name, os.getpid()))


def _none(parts: Wiring) -> Sequence[Service]:
    del parts
    return ()


def _nothing(parts: Wiring) -> None:
    del parts


WORK: Mapping[WorkerKind, Work] = {
    WorkerKind.CRYPTO: Work(serves=_keys, begins=_nothing),
    WorkerKind.UNIQUENESS: Work(serves=_uniqueness, begins=_nothing),
    WorkerKind.VERIFICATION: Work(serves=_contracts, begins=warm_up_code),
    WorkerKind.MEMBERSHIP: Work(serves=_members, begins=run_membership),
    WorkerKind.PERSISTENCE: Work(serves=_vaults, begins=_nothing),
    WorkerKind.LINK: Work(serves=_link, begins=run_link),
    WorkerKind.GATEWAY: Work(serves=_none, begins=run_gateway),
    WorkerKind.FLOW: Work(serves=_group, begins=_run_flows),
    WorkerKind.RELAY: Work(serves=_none, begins=_run_relay),
}
"""The kinds without HTTPS; `rest` is in `host.runtime.workers.rest`."""
