"""What the console's actions do on whole hosts: each is sent by its form, and REST tells it."""

import dataclasses
import os
import re
from functools import partial
from html import unescape
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.access import Effect, Permission
from host.access.delays import SignInDelays
from host.access.sessions import BrowserSessions
from host.adapters.os.system import SteadyClock, SystemEntropy
from host.console.app import console_routes
from host.console.node_move import BACK, MOVED
from host.domain.ids import ShortHash
from host.domain.vnode import AsyncStatus
from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.flow.engine import service
from host.ledger.core.components import to_groups
from host.ledger.core.model import Notary, TimeWindow, Transaction
from host.ledger.core.signed import unsigned
from host.ledger.core.statuses import Status
from host.ledger.vault.transactions import Origin, keep
from host.network.location.places import Location
from host.network.location.transfers import Transfer
from host.network.membership.mgm_operations import OperationsOfMgm
from host.nodes.vnode.errors import CpiUpgradeSameError
from host.ports.bus import NewRecord
from host.ports.live import Fixed
from host.ports.locations import Place
from host.ports.units import Unit
from host.rest.app import create_app
from host.rest.gate import Gate
from host.rest.sign_in import SignIn
from tests.network.dynamic_networks import Network, member_name
from tests.rest.conftest import BOB, PASSWORD
from tests.support.keystores import make_key

SAME = {"sec-fetch-site": "same-origin"}
API = "/api/v5_3"
EVE = "O=Eve, L=London, C=GB"


def signed_in(client, login_name="admin", password=PASSWORD):
    form = {"login_name": login_name, "password": password}
    assert client.post("/console/sign-in", data=form, headers=SAME).status_code == 303
    return client


@pytest.fixture
def admin(host):
    client = TestClient(host.asgi, base_url="https://testserver", follow_redirects=False)
    with client:
        yield signed_in(client)


def send(client, path, files=None, **form):
    asked = client.get("/console/packages/upload").text
    token = re.search(r'name="token" value="([0-9a-f]{64})"', asked)[1]
    return client.post(path, data={"token": token, **form}, files=files, headers=SAME)


def done(answer, page, flash):
    assert answer.status_code == 303, unescape(answer.text)[-3000:]
    assert answer.headers["location"].partition("&undo=")[0] == f"{page}?done={flash}"


def undone(client, location):
    """Presses "Undo" on the page that an action led to."""
    shown = client.get(location).text
    form = re.search(r'<form method="post" action="([^"]+)" class="undo">(.*?)</form>', shown)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', form[2])
    sent = {unescape(name): unescape(value) for name, value in fields}
    assert client.post(form[1], data=sent, headers=SAME).status_code == 303


@pytest.fixture
def open_flow(api, alice, monkeypatch):
    """A flow that waits, since its node was paused a moment after its start."""
    with monkeypatch.context() as patched:
        patched.setattr(service, "check_not_paused", lambda _node: None)
        request_id = f"waits-{os.urandom(4).hex()}"
        body = {"clientRequestId": request_id, "flowClassName": "demo.Any", "requestBody": {}}
        assert api.put(f"{API}/virtualnode/{alice}/state/PAUSED").status_code == 200
        assert api.post(f"{API}/flow/{alice}", json=body).status_code == 202
    yield request_id
    api.put(f"{API}/virtualnode/{alice}/state/ACTIVE")


def test_a_node_is_paused_and_resumed_and_says_so(admin, alice, api):
    page = f"/console/nodes/{alice}"
    assert f'action="{page}/pause"' in admin.get(page).text
    done(send(admin, f"{page}/pause"), page, "paused")
    assert api.get(f"{API}/virtualnode/{alice}").json()["state"] == "PAUSED"
    shown = admin.get(f"{page}?done=paused").text
    assert "The node is paused: its flows wait" in shown
    assert "Paused</li>" in shown
    assert "Maintenance</li>" not in shown
    assert f'href="{page}/start"' not in shown
    assert re.search(rf'action="{page}/activate".*>Resume</button>', shown)
    assert f'href="{page}/maintenance"' in shown
    assert "paused</span>" in admin.get("/console/nodes").text
    (listed,) = api.get(f"{API}/glance/virtualnode", params={"q": alice}).json()["virtualNodes"]
    assert (listed["state"], listed["isActive"]) == ("PAUSED", True)
    done(send(admin, f"{page}/activate"), page, "active")
    assert "Active</li>" in admin.get(page).text
    assert "paused</span>" not in admin.get("/console/nodes").text
    paused = send(admin, f"{page}/pause").headers["location"]
    undone(admin, paused)
    assert api.get(f"{API}/virtualnode/{alice}").json()["state"] == "ACTIVE"
    act = api.get(f"{API}/administrativelog", params={"resource": "PAUSED"}).json()["acts"][0]
    assert (act["user"], act["source"], act["code"]) == ("admin", "console", "ok")


def test_an_open_flow_is_killed_with_the_reason(admin, alice, open_flow, api):
    page = f"/console/flows/{alice}/{open_flow}"
    assert f'href="{page}/kill"' in admin.get(page).text
    assert "ends in status KILLED" in admin.get(f"{page}/kill").text
    done(send(admin, f"{page}/kill", reason="a mistake"), page, "killed")
    (act,) = api.get(f"{API}/administrativelog", params={"limit": 1}).json()["acts"]
    assert act["path"].endswith(f"/flow/{alice}/{open_flow}/kill?reason=a%20mistake")
    assert (act["code"], act["source"]) == ("ok", "console")


def test_a_package_is_uploaded_and_a_node_is_made_of_it(admin, api, polled, tmp_path):
    key = make_key(tmp_path, "signer")
    pem = key.anchor.public_bytes(Encoding.PEM)
    trusted = f"{API}/certificate/cluster/code-signer"
    assert api.put(trusted, data={"alias": "s"}, files={"certificate": pem}).status_code == 204
    policy = generate_static_policy(
        names=[EVE],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    cpi = build_cpi(name="eves", version="2", cpb=None, group_policy=policy, keys=(key,))
    answer = send(admin, "/console/packages/upload", files={"file": ("eve's one.cpi", cpi)})
    done(answer, "/console/packages", "uploading")

    def eves(answer):
        return [c for c in answer["cpis"] if c["id"]["cpiName"] == "eves"]

    (stored,) = eves(polled(f"{API}/cpi", eves))
    checksum = stored["cpiFileChecksum"]
    assert f"/console/packages/{checksum[:12]}" in admin.get("/console/packages").text
    choice = f"{checksum} eves 2"
    assert choice in unescape(admin.get("/console/nodes/create").text)
    answer = send(admin, "/console/nodes/create", cpi=choice, x500_name=EVE)
    done(answer, "/console/nodes", "creating")

    def of_eve(answer):
        return [n for n in answer["virtualNodes"] if n["holdingIdentity"]["x500Name"] == EVE]

    polled(f"{API}/virtualnode", of_eve)
    again = send(admin, "/console/packages/upload", files={"file": ("eve.cpi", cpi)})
    assert (again.status_code, "Upload 1 package" in again.text) == (409, True)


def test_a_ping_is_answered_or_says_why_not(admin, alice, node_of):
    node_of(BOB)
    path = f"/console/networks/{alice}/ping"
    done(send(admin, path, x500_name=BOB), f"/console/networks/{alice}", "pong")
    nobody = "O=Nobody, L=London, C=GB"
    refused = send(admin, path, x500_name=nobody)
    assert (refused.status_code, f"{nobody} has no virtual node" in refused.text) == (404, True)


def test_a_transaction_is_repaired_at_once(admin, alice, services, polled):
    content = Transaction(
        metadata={},
        notary=Notary(name="O=Notary, L=London, C=GB", key="key"),
        time_window=TimeWindow(starts=None, until="2099-01-01T00:00:00.000000Z"),
        signatories=("key",),
        outputs=(),
        commands=(),
        inputs=(),
        references=(),
    )
    signed = unsigned(bytes(32), to_groups(content))
    services.transactions._vaults.transact(
        alice,
        lambda c: keep(c, signed, status=Status.UNVERIFIED, origin=Origin.OWN, now=1),
    )
    page = f"/console/ledger/{alice}/{signed.id}"
    shown = admin.get(page).text
    assert f"{quote(page)}/repair" in shown
    assert "Visible outputs</th><td>none</td>" in shown
    done(send(admin, f"{page}/repair"), quote(page), "repair")
    polled(f"{API}/flow/{alice}", lambda a: "ledger-repair" in str(a))
    unknown = f"/console/ledger/{alice}/SHA-256D:{'7' * 64}"
    assert send(admin, f"{unknown}/repair").status_code == 404


@pytest.fixture
def network(tmp_path):
    made = Network(tmp_path)
    yield made
    made.close()


@pytest.fixture
def mgms(host, network):
    """A browser of a console whose MGM is that of a network in memory."""
    place = network.mgm
    services = dataclasses.replace(
        host.services,
        mgm=OperationsOfMgm(place.access, place.worker),
        virtual_nodes=place.nodes,
        packages=place.nodes,
    )
    sign_in = SignIn(SignInDelays(SteadyClock(network.clock)), CollectorRegistry())
    database = host.services.users._database
    sessions = BrowserSessions(database, clock=services.clock, entropy=SystemEntropy())
    gate = Gate(users=services.users, sign_in=sign_in, sessions=sessions, clock=services.clock)
    app = create_app(
        services,
        sign_in=sign_in,
        max_content_length=Fixed(100_000),
        answer_bytes_per_second=Fixed(1_000_000),
        registry=CollectorRegistry(),
        exposed=CollectorRegistry(),
        readiness=lambda: None,
        extra_routes=console_routes(gate),
        gate=gate,
    )
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    with client:
        yield signed_in(client)


def test_registrations_are_approved_and_declined_by_who_may(mgms, network, services):
    api = TestClient(mgms.app, base_url="https://testserver")
    api.auth = ("admin", PASSWORD)
    rules = f"{API}/mgm/{network.mgm_hash}/approval/rules"
    assert api.post(rules, json={"ruleParams": {"ruleRegex": "corda.*"}}).status_code == 200
    names = member_name(0), member_name(1)
    first, second = (network.join(name, at) for at, name in enumerate(names))
    network.settle()
    page = f"/console/networks/{network.mgm_hash}"
    looks = Permission(effect=Effect.ALLOW, pattern="GET:.*")
    services.users.create("looks", "first", full_name="Some User", permissions=(looks,))
    shown = signed_in(mgms, "looks", "first").get(page).text
    assert first in shown
    assert f'href="{page}/approve' not in shown
    assert f'href="{page}/decline' not in shown
    mgms.cookies.clear()
    shown = signed_in(mgms).get(page).text
    for request, verdict, form in (
        (first, "approve", {}),
        (second, "decline", {"reason": "unknown to us"}),
    ):
        assert f'href="{page}/{verdict}/{request}"' in shown
        assert (
            f"{verdict.capitalize()} 1 registration" in mgms.get(f"{page}/{verdict}/{request}").text
        )
        done(send(mgms, f"{page}/{verdict}/{request}", **form), page, verdict)
    network.settle()
    assert network.status(names[0], first) == ("APPROVED", None)
    assert network.status(names[1], second) == ("DECLINED", "unknown to us")
    again = send(mgms, f"{page}/approve/{second}")
    assert (again.status_code, second in again.text) == (400, True)
    assert send(mgms, f"{page}/expel/{first}").status_code == 404


def test_a_quota_is_set_and_undone_and_a_forged_undo_is_not_shown(admin, alice, api):
    path = f"/console/nodes/{alice}/quota"

    def overrides():
        return api.get(f"{API}/virtualnode/{alice}/quota").json()["overrides"]

    api.put(f"{API}/virtualnode/{alice}/quota", json={"request": {"overrides": {"fuelMax": 1000}}})
    seen = unescape(re.search(r'name="seen" value="([^"]*)"', admin.get(path).text)[1])
    location = send(admin, path, seen=seen, **{"quota-flowsOpenMax": "7"}).headers["location"]
    assert overrides() == {"flowsOpenMax": 7}
    forged = location[:-1] + ("0" if location[-1] != "0" else "1")
    assert 'class="undo"' not in admin.get(forged).text
    undone(admin, location)
    assert overrides() == {"fuelMax": 1000}
    api.put(f"{API}/virtualnode/{alice}/quota", json={"request": {"overrides": {}}})


def test_nodes_are_paused_resumed_and_limited_together(admin, alice, node_of, api):
    carol = node_of("O=Carol, L=London, C=GB")
    both = {"pick": [alice, carol]}
    assert f'name="pick" value="{alice}"' in admin.get("/console/nodes").text

    def states():
        return {api.get(f"{API}/virtualnode/{n}").json()["state"] for n in (alice, carol)}

    done(send(admin, "/console/nodes/chosen", act="pause", **both), "/console/nodes", "paused-many")
    assert states() == {"PAUSED"}
    done(
        send(admin, "/console/nodes/chosen", act="resume", **both), "/console/nodes", "active-many"
    )
    assert states() == {"ACTIVE"}
    api.put(f"{API}/virtualnode/{carol}/quota", json={"request": {"overrides": {"fuelMax": 1000}}})
    asked = send(admin, "/console/nodes/chosen", act="quota", **both)
    assert (asked.status_code, "Set quotas of 2 nodes" in asked.text) == (200, True)
    wrong = send(admin, "/console/nodes/chosen", act="quota", **{"quota-fuelMax": "x"}, **both)
    assert "A quota is a whole number." in wrong.text
    answer = send(
        admin, "/console/nodes/chosen", act="quota", **{"quota-flowsOpenMax": "9"}, **both
    )
    done(answer, "/console/nodes", "quota-many")
    assert [
        api.get(f"{API}/virtualnode/{n}/quota").json()["overrides"] for n in (alice, carol)
    ] == [{"flowsOpenMax": 9}, {"flowsOpenMax": 9, "fuelMax": 1000}]
    some = send(admin, "/console/nodes/chosen", act="pause", pick=[carol, "0123456789AB"])
    assert (some.status_code, "1 of 2 were done" in some.text) == (409, True)
    assert "0123456789AB</code>" in some.text
    nothing = send(admin, "/console/nodes/chosen", act="pause")
    assert (nothing.status_code, "Nothing was chosen" in nothing.text) == (400, True)
    assert send(admin, "/console/nodes/chosen", act="explode", **both).status_code == 400
    for node in (alice, carol):
        api.put(f"{API}/virtualnode/{node}/state/ACTIVE")
        api.put(f"{API}/virtualnode/{node}/quota", json={"request": {"overrides": {}}})


def test_chosen_flows_are_killed_once_their_number_was_typed(admin, alice, open_flow, api):
    place = f"{alice}/{open_flow}"
    assert f'name="pick" value="{place}"' in admin.get("/console/flows").text
    asked = send(admin, "/console/flows/chosen", act="kill", pick=[place])
    assert (asked.status_code, "Type 1 to confirm" in asked.text) == (200, True)
    wrong = send(admin, "/console/flows/chosen", pick=[place], typed="2")
    assert (wrong.status_code, "What was typed is not 1." in wrong.text) == (400, True)
    answer = send(admin, "/console/flows/chosen", pick=[place], typed="1", reason="a mistake")
    done(answer, "/console/flows", "killed-many")
    (act,) = api.get(f"{API}/administrativelog", params={"limit": 1}).json()["acts"]
    assert act["path"].endswith(f"/flow/{place}/kill?reason=a%20mistake")
    assert "No flow was chosen." in send(admin, "/console/flows/chosen", act="kill").text


def test_dead_letters_are_looked_into_discarded_and_put_back(admin, alice, services, api):
    store, page = services.flows._store, "/console/dead-letters"
    rows = [
        NewRecord(topic=DEAD_LETTER_TOPIC, key=key, value=b"<b>kept</b>", owner=ShortHash(alice))
        for key in ("one", "two")
    ]
    store.commit(Unit(records=tuple(rows)))

    def ids(*, discarded=False):
        found = api.get(f"{API}/deadletter", params={"discarded": discarded}).json()["deadLetters"]
        return [letter["id"] for letter in found]

    first = ids()[0]
    shown = admin.get(f"{page}/{first}").text
    assert "It cannot be tried again: it cannot be read" in shown
    assert 'title="it cannot be read">Retry</button>' in shown
    content = send(admin, f"{page}/{first}/content")
    assert (content.status_code, "&lt;b&gt;kept&lt;/b&gt;" in content.text) == (200, True)
    assert send(admin, f"{page}/{first}/retry").status_code == 409
    done(send(admin, f"{page}/{first}/discard"), page, "discarded")
    assert "Show the discarded ones" in admin.get(f"{page}?done=discarded").text
    done(send(admin, f"{page}/chosen", act="discard", pick=ids()), page, "discarded")
    assert ids() == []
    (one, two) = ids(discarded=True)
    listed = admin.get(f"{page}?discarded=true").text
    assert f'name="pick" value="{one}"' in listed
    assert "It is discarded" in admin.get(f"{page}/{two}").text
    done(send(admin, f"{page}/{one}/restore"), page, "restored")
    some = send(admin, f"{page}/chosen", act="restore", pick=[two, one])
    assert (some.status_code, "1 of 2 were done" in some.text) == (409, True)
    assert len(ids()) == 2
    assert send(admin, f"{page}/chosen", act="burn", pick=ids()).status_code == 400


def test_an_upgrade_is_rehearsed_and_done_once_the_short_hash_was_typed(
    admin, alice, api, services, monkeypatch
):
    page = f"/console/nodes/{alice}"
    assert f'href="{page}/upgrade"' in admin.get(page).text
    asked = admin.get(f"{page}/upgrade").text
    assert "No other version of its package is stored" in asked
    rehearsed, upgraded = [], []
    monkeypatch.setattr(
        services.virtual_nodes,
        "rehearse_upgrade",
        lambda node, cpi: rehearsed.append((node, cpi)) or "0" * 36,
    )
    monkeypatch.setattr(
        services.virtual_nodes,
        "upgrade",
        lambda node, cpi, **how: upgraded.append((node, cpi, how["way"].value)) or "1" * 36,
    )
    chosen = {"cpi": "0123456789AB 2.0.0", "way": "its open flows go on with the new code"}
    answer = send(admin, f"{page}/upgrade", what="Rehearse: nothing changes", **chosen)
    assert answer.headers["location"] == f"{page}/upgrade?rehearsal={'0' * 36}&done=rehearsing"
    assert rehearsed == [(alice, "0123456789AB")]
    wrong = send(admin, f"{page}/upgrade", what="Upgrade", typed="x", **chosen)
    assert (wrong.status_code, upgraded) == (400, [])
    answer = send(admin, f"{page}/upgrade", what="Upgrade", typed=alice.lower(), **chosen)
    done(answer, page, "upgrading")
    assert upgraded == [(alice, "0123456789AB", "migrate")]


def test_nodes_are_upgraded_together_once_their_number_was_typed(
    admin, alice, node_of, services, monkeypatch
):
    carol = node_of("O=Frank, L=London, C=GB")
    both = {"act": "upgrade", "pick": [alice, carol]}
    assert 'value="upgrade"' in admin.get("/console/nodes").text
    asked = send(admin, "/console/nodes/chosen", **both)
    assert (asked.status_code, "Upgrade 2 nodes" in asked.text) == (200, True)
    assert "No other version of their package is stored" in asked.text
    upgraded = []

    def upgrade(node, cpi, **how):
        if node == carol and cpi == "FFFFFFFFFFFF":
            raise CpiUpgradeSameError("it runs that one")
        upgraded.append((node, cpi, how["way"].value))
        return "1" * 36

    monkeypatch.setattr(services.virtual_nodes, "upgrade", upgrade)
    chosen = {**both, "cpi": "0123456789AB 2.0.0", "way": "its open flows end with the old code"}
    wrong = send(admin, "/console/nodes/chosen", typed="3", **chosen)
    assert (wrong.status_code, upgraded) == (400, [])
    assert "What was typed is not 2." in wrong.text
    answer = send(admin, "/console/nodes/chosen", typed="2", **chosen)
    done(answer, "/console/nodes", "upgrading-many")
    assert upgraded == [(n, "0123456789AB", "finish") for n in (alice, carol)]
    some = send(admin, "/console/nodes/chosen", typed="2", **{**chosen, "cpi": "FFFFFFFFFFFF 3"})
    assert (some.status_code, "1 of 2 were done" in some.text) == (409, True)
    assert upgraded[2:] == [(alice, "FFFFFFFFFFFF", "finish")]


def test_nodes_of_several_packages_are_not_upgraded_together(admin, alice):
    unknown = send(admin, "/console/nodes/chosen", act="upgrade", pick=[alice, "0123456789AB"])
    assert "They run different packages: demo, unknown. Choose nodes of one." in unknown.text


class MovesInMemory:
    """Where a node is, and what was asked for."""

    def __init__(self, monkeypatch, moves):
        self.asked, self.place = [], Place.HERE
        monkeypatch.setattr(moves, "location", lambda _: self._location())
        monkeypatch.setattr(moves, "transfer", self._transfer)
        for part, name, place in (
            (moves.leaving, "export", Place.EXPORTED),
            (moves.leaving, "cancel", Place.RECLAIMING),
            (moves.leaving, "moved", Place.MOVED),
            (moves.arriving, "activate", Place.HERE),
        ):
            monkeypatch.setattr(part, name, partial(self._ask, name, place))

    def _ask(self, name, place, *which, **how):
        self.asked.append((name, *which[:1], how))
        self.place = place
        return "0" * 8 + "-0000-0000-0000-" + "0" * 12

    def _location(self):
        return Location(place=self.place, transfer="", epoch=1, location_id=None, at=0)

    def _transfer(self, request_id):
        return Transfer(
            request_id=request_id,
            kind="export",
            short_hash="",
            status=AsyncStatus.IN_PROGRESS,
            stage="writing",
            bytes_done=2**20,
            bytes_total=2**21,
            error=None,
            updated_at=0,
            recipient=None,
            identity=None,
        )


def test_a_node_of_a_static_network_cannot_leave(admin, alice, api):
    page = f"/console/nodes/{alice}/move"
    assert f'href="{page}"' in admin.get(f"/console/nodes/{alice}").text
    key = api.get(f"{API}/maintenance/transferkey").json()["recipient"]
    refused = send(admin, page, place="HERE", recipient=key, typed=alice)
    assert (refused.status_code, "virtual-node-cannot-leave" in refused.text) == (409, True)


def test_a_node_is_moved_away_and_taken_back_or_given_up(admin, alice, services, monkeypatch):
    moves = MovesInMemory(monkeypatch, services.moves)
    page = f"/console/nodes/{alice}/move"
    assert "Write the file of 1 node" in admin.get(page).text
    here = {"place": "HERE", "recipient": " age1x "}
    assert send(admin, page, typed="x", **here).status_code == 400
    assert moves.asked == []
    went = send(admin, page, typed=alice.lower(), **here).headers["location"]
    assert re.fullmatch(rf"{page}\?transfer=[-0]{{36}}&done=exporting", went)
    assert moves.asked == [("export", alice, {"recipient": "age1x", "identity": None})]
    shown = admin.get(went).text
    assert "It is EXPORTED." in shown
    assert "IN_PROGRESS, writing, 1.0 MiB of 2.0 MiB" in shown
    late = send(admin, page, typed=alice, **here)
    assert (late.status_code, "place has changed" in late.text) == (409, True)
    there = {"place": "EXPORTED", "typed": alice}
    broken = send(admin, page, what=MOVED, proof="AAAA", **there)
    assert (broken.status_code, len(moves.asked)) == (400, 1)
    done(send(admin, page, what=BACK, pre_auth="t", **there), page, "place")
    assert moves.asked[1:] == [("cancel", alice, {"is_forced": False, "token": "t"})]
    assert "Nothing can be done here now." in admin.get(page).text
    assert "Look again" in send(admin, page, place="RECLAIMING").text


def test_an_imported_node_is_let_work(admin, alice, services, monkeypatch):
    moves = MovesInMemory(monkeypatch, services.moves)
    moves.place = Place.IMPORTED
    page = f"/console/nodes/{alice}/move"
    form = {"place": "IMPORTED", "endpoints": "https://a:8080\nhttps://b:8080", "tls_alias": "tls"}
    done(send(admin, page, **form), page, "place")
    how = {"urls": ("https://a:8080", "https://b:8080"), "tls_alias": "tls", "token": None}
    assert moves.asked == [("activate", alice, how)]


def test_a_rehearsal_that_is_unknown_is_told(admin, alice):
    shown = admin.get(
        f"/console/nodes/{alice}/upgrade?rehearsal={'0' * 8}-0000-0000-0000-{'0' * 12}"
    )
    assert "Rehearsal: unknown" in shown.text


def test_a_user_is_made_given_a_role_and_another_password(admin, services, api):
    role = services.roles.create("Watcher-of-the-console", group_visibility=None)
    login = f"pat-{os.urandom(3).hex()}"
    page = f"/console/people/{login}"
    made = {"login_name": login, "full_name": "Pat", "password": "a long password"}
    done(send(admin, "/console/people/create", **made), page, "user-made")
    again = send(admin, "/console/people/create", **made)
    assert (again.status_code, "a long password" in again.text) == (409, False)
    assert "Watcher-of-the-console" in admin.get("/console/people").text
    assert f'href="{page}"' in admin.get("/console/people", params={"login": login}).text

    def roles():
        found = api.get(f"{API}/user/{login}").json()["roleAssociations"]
        return [each["roleId"] for each in found]

    location = send(admin, f"{page}/assign", role=role.id).headers["location"]
    assert roles() == [role.id]
    assert "Take Watcher-of-the-console" in admin.get(page).text
    undone(admin, location)
    assert roles() == []
    done(send(admin, f"{page}/assign", role=role.id), page, "role-given")
    done(send(admin, f"{page}/remove", role=role.id), page, "role-taken")
    done(send(admin, f"{page}/password", password="another password"), page, "password")
    assert send(admin, f"{page}/password", password="").status_code == 400
    assert admin.get("/console/people/nobody-there").status_code == 404


def test_a_setting_is_changed_refused_when_it_changed_meanwhile_and_undone(admin, api):
    page = "/console/settings/corda.rbac"

    def version():
        return api.get(f"{API}/config/corda.rbac").json()["version"]

    before = version()
    assert "version" in admin.get(page).text
    assert "corda.rbac" in admin.get("/console/settings").text
    config = '{"password": {"lengthLimit": 101}}'
    answer = send(admin, f"{page}/change", version=str(before), config=config)
    done(answer, page, "settings")
    assert "101" in admin.get(page).text
    late = send(admin, f"{page}/change", version=str(before), config="{}")
    assert late.status_code == 409
    assert send(admin, f"{page}/change", version="1", config="{").status_code == 400
    undone(admin, answer.headers["location"])
    assert "101" not in admin.get(page).text
    assert admin.get("/console/settings/no.such").status_code in (400, 404)
