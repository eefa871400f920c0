"""Hosts whose nodes pay each other in coins, with a notary and without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks import workshop
from benchmarks.measure import BenchmarkError
from benchmarks.processor import below
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.cordapps.build import BuiltCordapp
from host.tools.cordapps.notary_build import notary_cpb
from sample_cordapps.demo import network
from sample_cordapps.demo.flows import FlowRunner
from sample_cordapps.demo.packages import NOTARY, SERVICE
from sample_cordapps.demo.processes import HostProcess
from sample_cordapps.demo.rest import RestClient

ALICE, BOB = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob"))
PAY, ECHO = "bench_flows.PayCoin", "bench_flows.Echo"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinNetwork:
    """A running host; `nodes` has short hashes by X.500 names."""

    runner: FlowRunner
    host: HostProcess
    nodes: dict[str, str] = field(default_factory=dict)

    def pay(self, **payment: object) -> str:
        """Run a payment of Alice's to its end; the reference of the last coin."""
        alice = self.nodes[ALICE]
        begun = self.runner.start(alice, PAY, payment, show=False)
        return str(self._completed(alice, begun)["flowResult"])

    def all(self, flow: str, bodies: Sequence[object]) -> None:
        """Start flows of Alice's at once, and wait for all."""
        alice = self.nodes[ALICE]
        begun = [self.runner.start(alice, flow, body, show=False) for body in bodies]
        for request_id in begun:
            self._completed(alice, request_id)

    def _completed(self, node: str, request_id: str) -> dict[str, object]:
        status = self.runner.wait(node, request_id, show=False)
        if status["flowStatus"] != "COMPLETED":
            raise BenchmarkError(f"the flow ended {status}")
        return status

    @property
    def pids(self) -> list[int]:
        """All processes of the host."""
        return [self.host.pid, *below(self.host.pid)]


@contextmanager
def coin_network(name: str, *, notary: bool) -> Iterator[CoinNetwork]:
    """A host with Alice, Bob and, if wanted, a non-validating notary."""
    with workshop.running_host(name) as (rest, host):
        network.trust_signer(rest, _certificate())
        policy = _policy()
        nodes = {}
        if notary:
            nodes[NOTARY] = network.create_node(rest, _upload(rest, name, "notary", policy), NOTARY)
            network.register(rest, nodes[NOTARY], network.NOTARY_CONTEXT)
        checksum = _upload(rest, name, "coins", policy)
        for member in (ALICE, BOB):
            nodes[member] = workshop.node_of(rest, checksum, member)
        yield CoinNetwork(runner=FlowRunner(rest), host=host, nodes=nodes)


def payment(*, notary: bool, **more: object) -> dict[str, object]:
    """The body of a payment."""
    return {"notary": SERVICE if notary else None, **more}


def _upload(rest: RestClient, name: str, package: str, policy: str) -> str:
    if package == "notary":
        cpb = notary_cpb(
            "non-validating",
            {},
            keys=(workshop.key(),),
            sandbox=workshop.sandbox(),
            progress=lambda _text: None,
        )
    else:
        cpb = _coins().cpb.path.read_bytes()
    path = workshop.folder() / f"{name}-{package}.cpi"
    path.write_bytes(
        build_cpi(
            name=package,
            version="1.0.0",
            cpb=(f"{package}.cpb", cpb),
            group_policy=policy,
            keys=(workshop.key(),),
        )
    )
    return network.upload(rest, path)


@cache
def _coins() -> BuiltCordapp:
    return workshop.built(Path("benchmarks/coins"))


def _policy() -> str:
    return generate_static_policy(
        names=(ALICE, BOB, NOTARY),
        group_id=None,
        endpoint_url="http://localhost:1080",
        endpoint_protocol=1,
    )


@cache
def _certificate() -> Path:
    path = workshop.folder() / "coins.pem"
    path.write_bytes(workshop.key().certificate_chain[0].public_bytes(Encoding.PEM))
    return path
