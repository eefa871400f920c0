"""A host of the gauntlet's own: a real host process with an honest and a hostile CorDapp.

Each window of each attack has a new virtual node as its attacker: what earlier attacks have left in
the accounts of their nodes, until it expires or is fetched, would have its quotas refuse the starts
of later ones. The names of all these nodes are in the network's group policy from the beginning.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import Event

from cpi.package.build import build_cpi
from host.domain.errors import HostError, UnavailableError
from host.domain.json import JsonValue
from host.tools.audit.gauntlet.host_attacks import HONEST_BODY, HONEST_FLOW, Attacker, HostAttack
from host.tools.audit.gauntlet.host_strike import Order, clients
from host.tools.audit.gauntlet.model import Ending
from host.tools.client.host_client import HostClient
from host.tools.cordapps.build import build_cordapp
from host.tools.dev.folder import DevFolder
from host.tools.dev.host_process import HostProcess
from host.tools.dev.network_setup import ALIAS, make_nodes
from host.tools.flows.client import FINAL, FlowPlace, HostFlows
from host.tools.network.operations import trust_signer, upload_cpi
from sandbox.runtime import Sandbox

ALICE = "O=Alice, L=London, C=GB"
_GREETING = {"greeting": f"Hello {HONEST_BODY['name']}, this is {ALICE}"}
_CORDAPPS = {Attacker.MALLORY: "hostile", Attacker.BOB: "hello"}
_WARMING: Mapping[str, tuple[str, Mapping[str, JsonValue]]] = {
    "hello": (HONEST_FLOW, HONEST_BODY),
    "hostile": ("hostile_host.Tiny", {}),
}
"""Class and request of the flows that warm a CorDapp's nodes up."""
_ATTACKER_WARM_UP = 10
"""Flows of a new attacker's node at most: they open its database."""
_POLL_S = 0.005
_WAIT_S = 0.1
_FLOW_SECONDS_MAX = 120.0


class NeighbourFailedError(UnavailableError):
    """An honest flow failed or did not end during an attack."""

    code = "gauntlet-neighbour"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostHarness:
    """A running host, with the honest node Alice.

    Attributes:
        alice: short hash of her node.
        checksums: of the CPIs, by the names of their CorDapps.
        names: X.500 names of attackers that have no node yet.
    """

    host: HostProcess
    alice: str
    checksums: Mapping[str, str]
    names: Iterator[str]

    def neighbour(self, client: HostClient) -> None:
        """One honest flow of Alice, from its start to its end.

        Raises:
            NeighbourFailedError: it did not complete, or returned a wrong answer.
            HostError: the host did not answer.
        """
        answer = _completed(HostFlows(client), self.alice, HONEST_FLOW, HONEST_BODY)
        if answer != _GREETING:
            raise NeighbourFailedError(f"an honest flow answered {answer}")

    def warm_up(self, flows: int) -> None:
        """Run flows of Alice and of a node with the hostile CorDapp, one after the other.

        Raises:
            NeighbourFailedError: one did not complete.
            HostError: the host did not answer.
        """
        with self.host.client() as client:
            nodes = {"hello": self.alice, "hostile": self._new_node(client, "hostile")}
            for _ in range(flows):
                for cordapp, node in nodes.items():
                    _completed(HostFlows(client), node, *_WARMING[cordapp])

    def new_attacker(self, attack: HostAttack, warm_up: int) -> str:
        """Make the node that attacks in one window: its accounts are empty.

        Args:
            attack: what it is going to do.
            warm_up: flows of it that are run, at most `_ATTACKER_WARM_UP`.

        Returns:
            Its short hash; "" for strangers, who have no node.

        Raises:
            NeighbourFailedError: a flow of the warm-up did not complete.
            HostError: the host did not make it.
        """
        if attack.attacker is Attacker.STRANGER:
            return ""
        cordapp = _CORDAPPS[attack.attacker]
        with self.host.client() as client:
            node = self._new_node(client, cordapp)
            for _ in range(min(warm_up, _ATTACKER_WARM_UP)):
                _completed(HostFlows(client), node, *_WARMING[cordapp])
        return node

    def _new_node(self, client: HostClient, cordapp: str) -> str:
        name = next(self.names)
        return make_nodes(client, self.checksums[cordapp], [name], {}, lambda _line: None)[name]

    def strikes(self, attack: HostAttack, node: str, over: Event) -> Iterator[Sequence[Ending]]:
        """Attack until `over` is set, once at least; gives the endings of each strike in turn.

        The attack's clients are a process of their own, see `host_strike`.

        Raises:
            AttackClientError: they cannot continue.
        """
        order = Order(
            attack=attack.name,
            flows=attack.flows,
            body=attack.body,
            node=node,
            url=self.host.url,
            certificate=str(self.host.certificate),
            password=self.host.password,
        )
        yield from clients(order, over)

    def settle(self, attacker: str) -> None:
        """End flows that an attack left behind, so that the next one begins with a quiet host.

        Args:
            attacker: short hash of its node; "" for none.

        Raises:
            NeighbourFailedError: the operator's commands do not end its flows.
            HostError: the host did not answer.
        """
        with self.host.client() as client:
            flows = HostFlows(client)
            nodes = [self.alice, *([attacker] if attacker else [])]
            busy = [node for node in nodes if _open_flows(flows, node)]
            for node in busy:
                _set_state(client, node, "MAINTENANCE")  # ends flows that start others, too
            for node in busy:
                _end_flows(flows, node)
                _set_state(client, node, "ACTIVE")


def _completed(flows: HostFlows, node: str, flow: str, body: Mapping[str, JsonValue]) -> JsonValue:
    """The result of a flow that is started and waited for.

    Raises:
        NeighbourFailedError: it did not complete.
        HostError: the host did not answer.
    """
    place = FlowPlace(node=node, request_id=_new_id())
    flows.start(place, flow, dict(body))
    deadline = time.monotonic() + _FLOW_SECONDS_MAX
    while time.monotonic() < deadline:
        answer = flows.result(place)
        if answer.get("flowStatus") == "COMPLETED":
            return answer.get("json")
        if answer.get("flowStatus") in FINAL:
            raise NeighbourFailedError(f"an honest flow ended {answer}")
        time.sleep(_POLL_S)
    raise NeighbourFailedError(f"an honest flow has not ended after {_FLOW_SECONDS_MAX:g} s")


def _set_state(client: HostClient, node: str, state: str) -> None:
    client.ask("PUT", f"/virtualnode/{node}/state/{state}")


def _end_flows(flows: HostFlows, node: str) -> None:
    deadline = time.monotonic() + _FLOW_SECONDS_MAX
    while left := _open_flows(flows, node):
        if time.monotonic() > deadline:
            raise NeighbourFailedError(f"{len(left)} flows of an attack cannot be ended")
        for place in left:
            with suppress(HostError):  # it ended meanwhile
                flows.kill(place, "the gauntlet goes on")
        time.sleep(_WAIT_S)


def _open_flows(flows: HostFlows, node: str) -> list[FlowPlace]:
    """The flows on the first pages of the node's lists."""
    return [
        FlowPlace(node=node, request_id=str(flow["clientRequestId"]))
        for status in ("START_REQUESTED", "RUNNING")
        for flow in flows.list(node, status=status, responders=True)
    ]


def _new_id() -> str:
    return f"gauntlet-{uuid.uuid4()}"


@contextmanager
def opened_host(
    root: Path, sandbox: Sandbox, cache: Path, options: Sequence[str] = (), *, attackers: int
) -> Iterator[HostHarness]:
    """Start a host in `root` with the honest node Alice, and room for attackers' nodes.

    Args:
        root: an empty folder, for keys, packages, data and the log.
        sandbox: builds the CorDapps.
        cache: of compiled code.
        options: further arguments of `cordbox host run`.
        attackers: how many attackers' nodes can be made.

    Raises:
        HostError, CpiError: the host or its network cannot be made.
    """
    names = [f"O=Mallory {number}, L=London, C=GB" for number in range(attackers + 1)]
    folder = DevFolder(root, (ALICE, *names))
    host = HostProcess.start(
        data=folder.data,
        listen="127.0.0.1:0",
        password_file=folder.password_file,
        log=folder.log,
        options=("--cache-dir", str(cache), *options),
    )
    try:
        with host.client() as client:
            trust_signer(client, folder.certificate, alias=ALIAS)
            checksums = {
                name: upload_cpi(client, _cpi(folder, name, sandbox), f"{name}.cpi", force=False)
                for name in _WARMING
            }
            nodes = make_nodes(client, checksums["hello"], [ALICE], {}, lambda _line: None)
        yield HostHarness(host=host, alice=nodes[ALICE], checksums=checksums, names=iter(names))
    finally:
        host.stop()


def _cpi(folder: DevFolder, name: str, sandbox: Sandbox) -> bytes:
    """The signed CPI of a sample CorDapp."""
    with resources.as_file(resources.files("sample_cordapps") / name) as sources:
        built = build_cordapp(
            sources, [folder.key], folder.packages / name, sandbox, lambda _step: None
        )
    return build_cpi(
        name=name,
        version="1",
        cpb=(built.cpb.path.name, built.cpb.path.read_bytes()),
        group_policy=folder.group_policy,
        keys=[folder.key],
    )
