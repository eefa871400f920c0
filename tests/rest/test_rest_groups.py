"""Two signers, one group id: the group is the first one's, over REST."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import SigningKey
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from tests.support.keystores import make_key

GROUP_ID = "6b3c2d6e-1c22-4d6e-9d3c-333333333333"
ALICE, BOB, EVE, EVIL = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Eve", "Evil"))
FORCE = "/api/v5_2/maintenance/virtualnode/forcecpiupload"


def cpi_of(key: SigningKey, name: str, *members: str) -> bytes:
    policy = generate_static_policy(
        names=members,
        group_id=GROUP_ID,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    return build_cpi(name=name, version="1", cpb=None, group_policy=policy, keys=(key,))


@dataclass(frozen=True)
class World:
    api: Any
    polled: Callable[..., Any]
    founder: SigningKey
    other: SigningKey

    def upload(self, data: bytes, path: str = "/api/v5_2/cpi") -> str:
        reply = self.api.post(path, files={"upload": ("x.cpi", data)})
        assert reply.status_code == 200, reply.text
        status = f"/api/v5_2/cpi/status/{reply.json()['id']}"
        return str(self.polled(status, lambda s: s.get("status") == "OK")["cpiFileChecksum"])

    def node(self, checksum: str, name: str) -> Any:
        body = {"cpiFileChecksum": checksum, "x500Name": name}
        reply = self.api.post("/api/v5_2/virtualnode", json=body)
        if reply.status_code != 202:
            return reply
        status = f"/api/v5_2/virtualnode/status/{reply.json()['requestId']}"
        return self.polled(status, lambda s: s["status"] == "SUCCEEDED")["resourceId"]

    def register(self, node: str) -> tuple[str, str]:
        """The status and reason in which a registration ends."""
        context = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
        body = {"memberRegistrationRequest": {"context": context}}
        begun = self.api.post(f"/api/v5_2/membership/{node}", json=body).json()
        path = f"/api/v5_2/membership/{node}/{begun['registrationId']}"
        done = self.polled(path, lambda r: r["registrationStatus"] in ("APPROVED", "INVALID"))
        return done["registrationStatus"], done.get("reason") or ""

    def members(self, viewer: str) -> list[str]:
        found = self.api.get(f"/api/v5_2/members/{viewer}").json()["members"]
        return sorted(m["memberContext"]["corda.name"] for m in found)


@pytest.fixture
def world(tmp_path: Path, host_on: Any, client_of: Any, poll_with: Any) -> Iterator[World]:
    keys = [make_key(tmp_path, alias) for alias in ("founder", "other")]
    with (
        host_on(tmp_path / "data", rest_max_content_length=1_000_000) as host,
        client_of(host) as api,
    ):
        for key in keys:
            reply = api.put(
                "/api/v5_2/certificate/cluster/code-signer",
                data={"alias": key.alias},
                files={"certificate": key.anchor.public_bytes(Encoding.PEM)},
            )
            assert reply.status_code == 204, reply.text
        yield World(api, lambda path, until: poll_with(api, path, until), *keys)


def test_a_group_belongs_to_those_who_founded_it(world: World) -> None:
    ours = world.upload(cpi_of(world.founder, "app", ALICE, BOB, EVE))
    alice = world.node(ours, ALICE)
    assert world.register(alice) == ("APPROVED", "")

    evil = cpi_of(world.other, "evil", EVIL, EVE, ALICE)
    refused = world.api.post("/api/v5_2/cpi", files={"upload": ("evil.cpi", evil)})
    details = refused.json()["details"]
    assert (refused.status_code, details["code"]) == (409, "group-of-others")
    assert details["group"] == GROUP_ID
    assert len(world.api.get("/api/v5_2/cpi").json()["cpis"]) == 1

    forced = world.upload(evil, FORCE)
    assert world.node(forced, ALICE).status_code == 409, "a name that is taken stays taken"
    status, reason = world.register(world.node(forced, EVIL))
    assert status == "INVALID"
    assert reason.startswith("member-not-listed: O=Evil, L=London, C=GB")
    assert world.members(alice) == [ALICE]
    assert world.register(world.node(forced, EVE)) == ("APPROVED", "")
    assert world.register(world.node(ours, BOB)) == ("APPROVED", ""), "it keeps nobody out"
    assert world.members(alice) == [ALICE, BOB, EVE]


def test_a_forced_cpi_founds_nothing(world: World) -> None:
    world.upload(cpi_of(world.founder, "app", ALICE))
    world.upload(cpi_of(world.other, "evil", ALICE), FORCE)
    again = world.api.post(
        "/api/v5_2/cpi", files={"upload": ("x.cpi", cpi_of(world.other, "more", ALICE))}
    )
    assert again.json()["details"]["code"] == "group-of-others"
