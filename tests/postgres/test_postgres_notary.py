"""A notary and its clients on hosts of one cluster: coins are issued, moved and spent, each once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cpi.package.group_policy_generation import generate_static_policy
from tests.network.two_hosts import Packages
from tests.postgres.conftest import Start
from tests.support.killable_host import ALICE, BOB, KillableHost

COINS = Path(__file__).parents[1] / "notary" / "coins"
NOTARY, SERVICE = "O=Notary, L=London, C=GB", "O=Notary Service, L=London, C=GB"
ROLE = {
    "corda.key.scheme": "CORDA.ECDSA.SECP256R1",
    "corda.roles.0": "notary",
    "corda.notary.service.name": SERVICE,
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1",
    "corda.notary.service.backchain.required": "true",
}
TRIES = int(os.environ.get("CORDBOX_DOUBLE_SPENDS", "2"))
AT_ONCE = 10


def join(host: KillableHost, packages: Packages) -> None:
    """Make a static network of a notary, Alice and Bob."""
    policy = generate_static_policy(
        names=[NOTARY, ALICE, BOB],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    certificate = {"certificate": packages.certificate}
    host.ask("PUT", "/certificate/cluster/code-signer", data={"alias": "a"}, files=certificate)
    members = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
    checksums = {
        name: upload(host, packages.of_members(policy, name, content))
        for name, content in (("notary", packages.notary_cpb()), ("coins", packages.cpb(COINS)))
    }
    for name, package, context in (
        (NOTARY, "notary", ROLE),
        (ALICE, "coins", members),
        (BOB, "coins", members),
    ):
        body = {"cpiFileChecksum": checksums[package], "x500Name": name}
        request = host.ask("POST", "/virtualnode", json=body).json()["requestId"]
        made = host.until(f"/virtualnode/status/{request}", lambda s: s["status"] == "SUCCEEDED")
        host.nodes[name] = node = made["resourceId"]
        assert host.ask("POST", f"/membership/{node}", json={"context": context}).is_success
        host.until(f"/membership/{node}", lambda found: "APPROVED" in str(found))


def upload(host: KillableHost, cpi: bytes) -> str:
    asked = host.ask("POST", "/cpi", files={"upload": ("a.cpi", cpi)}).json()["id"]
    stored = host.until(f"/cpi/status/{asked}", lambda s: s["status"] == "OK")
    checksum: str = stored["cpiFileChecksum"]
    return checksum


def pay(host: KillableHost, name: str, request: str, **payment: object) -> None:
    body = {"notary": SERVICE, "amount": 1, **payment}
    reply = host.flow(name, request, "coins_flows.PayCoin", body)
    assert reply.status_code == 202, reply.text


def paid(host: KillableHost, name: str, request: str) -> str:
    ended = host.result(name, request)
    assert ended["flowStatus"] == "COMPLETED", ended
    return str(ended["flowResult"]).strip('"')


@pytest.mark.timeout(14400)
@pytest.mark.acceptance(13)
def test_a_coin_is_issued_moved_and_spent_once_by_nodes_of_two_hosts(
    start: Start, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of two flows of one node on two hosts that spend one coin at once, one has it."""
    record_property("coins spent twice at once", TRIES)
    one, two = start("one"), start("two")
    join(one, Packages(tmp_path))
    two.nodes = one.nodes
    hosts = (one, two)
    for number in range(TRIES):
        pay(hosts[number % 2], ALICE, f"issue-{number}", to=ALICE)
    for first in range(0, TRIES, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, TRIES))
        for number in numbers:
            coin = paid(hosts[number % 2], ALICE, f"issue-{number}")
            for place, host in enumerate(hosts):
                pay(host, ALICE, f"move-{number}-{place}", coin=coin, to=BOB)
        for number in numbers:
            # Asked of the host that has not started it.
            answers = [paid(hosts[1 - n], ALICE, f"move-{number}-{n}") for n in range(2)]
            won = [answer for answer in answers if answer.endswith(":0")]
            assert len(won) == 1, answers
            (lost,) = {*answers} - {*won}
            assert lost.startswith("notary-input-state-conflict"), lost
            # The receiver has the coin, and can pay with it, once.
            pay(hosts[number % 2], BOB, f"settle-{number}", coin=won[0])
            assert paid(hosts[1 - number % 2], BOB, f"settle-{number}").endswith(":0")
            pay(hosts[1 - number % 2], BOB, f"again-{number}", coin=won[0])
            refused = paid(hosts[number % 2], BOB, f"again-{number}")
            assert not refused.endswith(":0"), refused
