"""The flow engine of a host without its REST interface, in this process, for measuring its steps.

The data directory is made by a real host; engine, store, guests, virtual nodes and quotas are a
host's own. Two things are the benchmark's: `persistence` does nothing, as the steps of the peers
do nothing, and the ends of flows are told to whoever waits for them.
"""

import logging
import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry

from benchmarks import workshop
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.flow import FlowStatusName
from host.domain.json import JsonObject, JsonValue
from host.domain.vnode import VirtualNode
from host.flow.core.events import FlowEnded, FlowEngineEvent
from host.flow.engine.engine import FlowEngine
from host.flow.engine.service import FlowService
from host.flow.engine.sticky_cache import StickyCache
from host.flow.engine.workers import FlowWorkers
from host.guests.flows import SandboxedFlows
from host.guests.sticky_flows import StickyFlows
from host.observe.flow_observer import FlowObserver
from host.ports.capability import CallContext
from host.ports.clock import TwoClocks
from host.ports.guest import FlowGuests
from host.runtime.plugin_loading import make_plugin_manager
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.flows import RESCAN_MS, flow_config, history_limits
from host.runtime.wiring.parts import Wiring
from host.settings import load_settings
from sample_cordapps.demo import network
from sample_cordapps.demo.rest import RestClient

NAMES = ("O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB")
_END_SECONDS_MAX = 120
_POLL_SECONDS = 0.02
_OPEN_MAX = 50_000


class NoEffect:
    """The capability `persistence` without an effect: what remains is the engine's own work."""

    name = "persistence"

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        del context, function, request
        return None


class Client:
    """Starts flows of the CPI `pingpong`, and waits until they are told to have ended."""

    def __init__(self, parts: Wiring, ends: "Ends") -> None:
        self.parts = parts
        self._service = FlowService(
            units=parts.store,
            clock=parts.base.clock,
            entropy=parts.base.entropy,
            quotas=parts.quotas,
        )
        self._ends = ends
        self._number = 0
        self.node = next(n for n in parts.nodes.all() if str(n.holding.x500_name) == NAMES[0])
        found = parts.catalogue.get(self.node.cpi_checksum)
        if found is None:
            raise AssertionError("the data directory holds no CPI")
        self._cpi = found
        self._run = f"{time.time_ns():x}"

    def start(self, flow: str, body: JsonObject, *, node: VirtualNode | None = None) -> str:
        """Start a flow, of the first node by default; when this returns, its start is durable."""
        self._number += 1
        request_id = f"{self._run}-{self._number}"
        self._ends.expect(request_id)
        self._service.start(node or self.node, self._cpi, request_id, flow, body)
        return request_id

    def wait(self, request_id: str) -> float:
        """Wait until a flow has completed; seconds from its start."""
        return self._ends.wait(request_id)


class Bench(Client):
    """A client in the process of the engine."""

    def __init__(self, parts: Wiring, ends: "Ends", engine: FlowEngine) -> None:
        super().__init__(parts, ends)
        self.engine = engine

    def settle(self) -> None:
        """Wait until the engine's threads have nothing left to do."""
        while self.engine.ready():
            time.sleep(_POLL_SECONDS)


class Ends:
    """Notes how long flows took from the request to the end."""

    def __init__(self) -> None:
        self._expected: dict[str, tuple[float, queue.SimpleQueue[tuple[float, str]]]] = {}

    def expect(self, request_id: str) -> None:
        self._expected[request_id] = (time.perf_counter(), queue.SimpleQueue())

    def tell(self, request_id: str, status: str) -> None:
        """A flow has ended; wakes the one who waits for it, and nobody else."""
        expected = self._expected.get(request_id)
        if expected is not None:
            expected[1].put((time.perf_counter(), status))

    def wait(self, request_id: str) -> float:
        begun, end = self._expected[request_id]
        try:
            ended, status = end.get(timeout=_END_SECONDS_MAX)
        except queue.Empty:
            raise TimeoutError(f"flow {request_id} has not ended") from None
        del self._expected[request_id]
        if status != FlowStatusName.COMPLETED:
            raise AssertionError(f"flow {request_id} ended {status}")
        return ended - begun


@contextmanager
def running_engine(
    directory: Path | DataDirectory,
    *,
    parked: int,
    threads: int = 2,
    clock: TwoClocks | None = None,
    guests: FlowGuests | None = None,
    tell: Callable[[str, str], None] | None = None,
) -> Iterator[Bench]:
    """An engine over a data directory; `threads` 0 leaves its work to the caller.

    Args:
        directory: see `data_directory`; one that is held already may be shared by processes.
        parked: suspended guests that may stay for their next step.
        threads: that run flows.
        clock: real time by default.
        guests: sandboxes by default.
        tell: told the request id and the status of every flow that ends.
    """
    with opened(directory, clock=clock) as parts, ExitStack() as stack:
        base, ends, sticky = parts.base, Ends(), StickyCache(parked)
        stack.callback(sticky.close)
        observer, report = FlowObserver(base.registry), tell or ends.tell

        def events(event: FlowEngineEvent) -> None:
            observer(event)
            if isinstance(event, FlowEnded):
                report(event.request_id, event.status)

        sandboxed = guests or SandboxedFlows(library=parts.library)
        engine = FlowEngine(
            units=parts.store,
            guests=StickyFlows(sandboxed) if parked else sandboxed,
            capabilities=[NoEffect()],
            vnodes=parts.nodes,
            packages=parts.catalogue,
            clock=base.clock,
            entropy=base.entropy,
            events=events,
            config=flow_config(parts.config),
            history=history_limits(parts.config),
            quotas=parts.quotas,
            sticky=sticky,
        )
        if threads:
            workers = FlowWorkers(
                engine=engine,
                units=parts.store,
                clock=base.clock,
                threads=threads,
                member=f"bench-{os.getpid()}-{time.time_ns()}",
                rescan_ms=RESCAN_MS,
            )
            stack.callback(workers.stop)
            workers.start()
        yield Bench(parts, ends, engine)


@contextmanager
def opened(
    directory: Path | DataDirectory,
    *,
    clock: TwoClocks | None = None,
    options: Mapping[str, object] | None = None,
) -> Iterator[Wiring]:
    """A host's parts over a data directory, none of them begun. `options` are more settings."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with ExitStack() as stack:
        if isinstance(directory, Path):
            held = DataDirectory.hold(directory)
            stack.callback(held.release)
        else:
            held = directory
        chosen = {"data_dir": held.path, "quota_flows_open_max": _OPEN_MAX, **(options or {})}
        settings = load_settings(options=chosen, file=None, environment={})
        base = ProcessContext(
            settings=settings,
            directory=held,
            clock=clock or SystemClock(),
            entropy=SystemEntropy(),
            plugins=make_plugin_manager(settings.plugins, with_entry_points=False),
            registry=CollectorRegistry(),
            stack=stack,
        )
        yield Wiring(base)


@cache
def data_directory() -> Path:
    """A data directory with the CPI `pingpong` and two registered nodes."""
    with workshop.running_host("engine") as (rest, _host):
        form_network(rest)
    return workshop.folder() / "engine" / "data"


def form_network(rest: RestClient) -> Sequence[str]:
    """Upload the CPI `pingpong` and make its two nodes; their short hashes."""
    certificate = workshop.folder() / "pingpong.pem"
    chain = workshop.key().certificate_chain
    certificate.write_bytes(chain[0].public_bytes(Encoding.PEM))
    network.trust_signer(rest, certificate)
    checksum = network.upload(rest, pingpong())
    return [workshop.node_of(rest, checksum, name) for name in NAMES]


@cache
def pingpong() -> Path:
    """The CPI file of benchmarks/pingpong."""
    built = workshop.built(Path("benchmarks/pingpong"))
    policy = generate_static_policy(
        names=NAMES, group_id=None, endpoint_url="http://localhost:1080", endpoint_protocol=1
    )
    path = workshop.folder() / "pingpong.cpi"
    cpb = (built.cpb.path.name, built.cpb.path.read_bytes())
    path.write_bytes(
        build_cpi(
            name="pingpong", version="1.0.0", cpb=cpb, group_policy=policy, keys=(workshop.key(),)
        )
    )
    return path
