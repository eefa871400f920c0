"""A host of the gauntlet's own: a real host process with an honest and a hostile CorDapp."""

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import Event

from cpi.build import build_cpi
from host.audit.gauntlet.host_attacks import HONEST_BODY, HONEST_FLOW, KILLED, Attacker, HostAttack
from host.audit.gauntlet.model import CONTAINED, Ending
from host.audit.gauntlet.strangers import Door
from host.domain.errors import HostError, UnavailableError
from host.domain.json import JsonObject
from host.toolkit.build import build_cordapp
from host.toolkit.dev.folder import DevFolder
from host.toolkit.dev.host_process import HostProcess
from host.toolkit.dev.network_setup import make_nodes, trust_signer, upload_cpi
from host.toolkit.flows.client import FINAL, FlowPlace, HostFlows
from host.toolkit.host_client import HostClient
from sandbox.runtime import Sandbox

ALICE, BOB, MALLORY = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Mallory"))
_CORDAPPS = {ALICE: "hello", BOB: "hello", MALLORY: "hostile"}
_POLL_S = 0.005
_WAIT_S = 0.1
_FLOW_SECONDS_MAX = 120.0
_CLIENTS = 8
_LISTS = 20
_MESSAGE_MAX = 200


class NeighbourFailedError(UnavailableError):
    """An honest flow failed, or did not end, beside an attack."""

    code = "gauntlet-neighbour"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostArena:
    """A running host, and the short hashes of its nodes by their names."""

    host: HostProcess
    nodes: dict[str, str]

    @property
    def door(self) -> Door:
        return Door(url=self.host.url, certificate=self.host.certificate)

    def neighbour(self, client: HostClient) -> None:
        """One honest flow of Alice, from its start to its end.

        Raises:
            NeighbourFailedError: it did not complete.
            HostError: the host did not answer.
        """
        flows, place = HostFlows(client), FlowPlace(node=self.nodes[ALICE], request_id=_new_id())
        flows.start(place, HONEST_FLOW, dict(HONEST_BODY))
        deadline = time.monotonic() + _FLOW_SECONDS_MAX
        while time.monotonic() < deadline:
            answer = flows.result(place)
            if answer.get("flowStatus") == "COMPLETED":
                return
            if answer.get("flowStatus") in FINAL:
                raise NeighbourFailedError(f"an honest flow ended {answer}")
            time.sleep(_POLL_S)
        raise NeighbourFailedError(f"an honest flow has not ended after {_FLOW_SECONDS_MAX:g} s")

    def strike(self, attack: HostAttack, over: Event) -> list[Ending]:
        """Attack until `over` is set, or until the attack has come to its end.

        Raises:
            HostError: the host did not answer.
        """
        if attack.stranger is not None:
            attack.stranger(self.door, over)
            return [Ending(code=CONTAINED, message="held out until it was over")]
        node = self.nodes[BOB if attack.attacker is Attacker.BOB else MALLORY]
        places = [FlowPlace(node=node, request_id=_new_id()) for _ in range(attack.flows)]
        crowds = [places[first::_CLIENTS] for first in range(_CLIENTS)]
        with ThreadPoolExecutor(_CLIENTS, thread_name_prefix="gauntlet") as pool:
            endings = pool.map(lambda crowd: self._run(attack, crowd, over), crowds)
            return [ending for found in endings for ending in found]

    def _run(self, attack: HostAttack, places: Sequence[FlowPlace], over: Event) -> list[Ending]:
        """Start flows as fast as one client can, and wait for their ends."""
        with self.host.client() as client:
            flows = HostFlows(client)
            started = [(place, _started(flows, place, attack)) for place in places]
            if attack.lists and places:
                _list(client, places[0].node, over)
            return [refused or _ended(flows, place, over) for place, refused in started]

    def settle(self) -> None:
        """End what an attack left behind, so that the next one begins with a quiet host.

        Raises:
            NeighbourFailedError: what an operator can do does not end its flows.
            HostError: the host did not answer.
        """
        with self.host.client() as client:
            flows = HostFlows(client)
            busy = [node for node in self.nodes.values() if _open_flows(flows, node)]
            for node in busy:
                _set_state(client, node, "MAINTENANCE")  # what starts flows ends, too
            for node in busy:
                _end_flows(flows, node)
                _set_state(client, node, "ACTIVE")


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
    """Those that the first pages of the node's lists hold."""
    return [
        FlowPlace(node=node, request_id=str(flow["clientRequestId"]))
        for status in ("START_REQUESTED", "RUNNING")
        for flow in flows.list(node, status=status, responders=True)
    ]


def _list(client: HostClient, node: str, over: Event) -> None:
    """List the node's flows with their results, as often as an operator's script would."""
    for _ in range(_LISTS):
        if not over.is_set():
            with suppress(HostError):
                client.get(f"/flow/{node}", results="true")


def _started(flows: HostFlows, place: FlowPlace, attack: HostAttack) -> Ending | None:
    """Start a flow; the ending if the host refuses it."""
    try:
        flows.start(place, attack.flow, attack.body)
    except UnavailableError:
        raise
    except HostError as refused:
        code = "quota-exceeded" if "quota" in refused.message else refused.code
        return Ending(code=code, message=refused.message[:_MESSAGE_MAX])
    return None


def _ended(flows: HostFlows, place: FlowPlace, over: Event) -> Ending:
    """How a flow ended."""
    while True:
        answer = flows.result(place)
        if answer.get("flowStatus") in FINAL:
            return _ending(answer)
        if over.wait(_WAIT_S):
            return Ending(code=KILLED, message="had not ended when its time was over")


def _ending(answer: JsonObject) -> Ending:
    error = answer.get("flowError")
    if not isinstance(error, dict):
        return Ending(code=CONTAINED, message="ran to its end")
    code, message = str(error.get("type")), str(error.get("message"))[:_MESSAGE_MAX]
    return Ending(code=code, message=message)


def _new_id() -> str:
    return f"gauntlet-{uuid.uuid4()}"


@contextmanager
def opened_host(
    root: Path, sandbox: Sandbox, cache: Path, options: Sequence[str] = ()
) -> Iterator[HostArena]:
    """Start a host in `root` with the nodes Alice, Bob (honest) and Mallory (hostile).

    Args:
        root: an empty folder, for keys, packages, data and the log.
        sandbox: builds the CorDapps.
        cache: of compiled code.
        options: more words for `cordbox host run`.

    Raises:
        HostError, CpiError: the host or its network cannot be made.
    """
    folder = DevFolder(root, tuple(_CORDAPPS))
    host = HostProcess.start(
        data=folder.data,
        listen="127.0.0.1:0",
        password_file=folder.password_file,
        log=folder.log,
        options=("--cache-dir", str(cache), *options),
    )
    try:
        with host.client() as client:
            trust_signer(client, folder.certificate)
            nodes: dict[str, str] = {}
            for name in dict.fromkeys(_CORDAPPS.values()):
                cpi = _cpi(folder, name, sandbox)
                checksum = upload_cpi(client, cpi, f"{name}.cpi", force=False)
                members = [member for member, cordapp in _CORDAPPS.items() if cordapp == name]
                nodes = make_nodes(client, checksum, members, nodes, lambda _line: None)
        yield HostArena(host=host, nodes=nodes)
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
