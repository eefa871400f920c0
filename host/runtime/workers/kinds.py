"""What each kind of worker does: the services that it provides, and the work that it starts.

| kind         | gives                            | begins                        | calls    |
|--------------|----------------------------------|-------------------------------|----------|
| crypto       | keys                             |                               |          |
| verification | contracts, functions of vaults   | compiling of stored code      |          |
| membership   | members, registrations           | registrations left unfinished | crypto   |
| persistence  | entities, ledger, flows' answers |                               | c, v, m  |
| flow         |                                  | flows, compiling              | c, m, p  |
| rest         | HTTPS                            | creations left unfinished     | m        |

The letters are those of other kinds. No kind calls one below it, so there is no deadlock between
kinds.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from host.adapters.os.system import host_name
from host.domain.workers import WorkerKind
from host.runtime.rpc import Service
from host.runtime.wiring import services
from host.runtime.wiring.flows import start_flows, warm_up_code
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.services import ServedCapability, ServedContracts, ServedVaultFunctions
from host.runtime.workers.flow_group import FLOW_GROUP, FlowGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`serves` opens the parts that the kind needs; `begins` is called once the socket is open."""

    serves: Callable[[Wiring], Sequence[Service]]
    begins: Callable[[Wiring], None]


def _keys(parts: Wiring) -> Sequence[Service]:
    return (Service(services.KEYS, parts.keys),)


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
    )


def _vaults(parts: Wiring) -> Sequence[Service]:
    return (
        Service(services.ENTITIES, ServedCapability(parts.entities, parts.catalogue)),
        Service(services.LEDGER, ServedCapability(parts.ledger, parts.catalogue)),
        Service(services.ANSWERS, parts.answers),
    )


def _group(parts: Wiring) -> Sequence[Service]:
    return (Service(FLOW_GROUP, flow_group(parts)),)


def _resume_registrations(parts: Wiring) -> None:
    parts.go_on_with_registrations()


def flow_group(parts: Wiring) -> FlowGroup:
    """The group of this run of the host."""
    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    return FlowGroup(
        parts.store, host=host_name(), run=hashlib.sha256(cluster.key).hexdigest()[:16]
    )


def _run_flows(parts: Wiring) -> None:
    cluster = parts.base.cluster
    assert cluster is not None  # noqa: S101  # a worker process
    start_flows(parts, member=flow_group(parts).enter(cluster.name, os.getpid()))
    warm_up_code(parts)


def _nothing(parts: Wiring) -> None:
    del parts


WORK: Mapping[WorkerKind, Work] = {
    WorkerKind.CRYPTO: Work(serves=_keys, begins=_nothing),
    WorkerKind.VERIFICATION: Work(serves=_contracts, begins=warm_up_code),
    WorkerKind.MEMBERSHIP: Work(serves=_members, begins=_resume_registrations),
    WorkerKind.PERSISTENCE: Work(serves=_vaults, begins=_nothing),
    WorkerKind.FLOW: Work(serves=_group, begins=_run_flows),
}
"""The kinds without HTTPS; `rest` is in `host.runtime.workers.rest`."""
