"""Recorded transactions over REST: pages, filters, whose rights, and damage that is told."""

import json
from dataclasses import replace
from urllib.parse import quote

import pytest
from sqlalchemy import update

from host.access import Effect, Permission
from host.domain.ids import EpochMs
from host.ledger.core.components import to_groups
from host.ledger.core.digests import Verification
from host.ledger.core.facts import OutputFacts
from host.ledger.core.model import Command, Notary, State, StateRef, TimeWindow, Transaction
from host.ledger.core.signed import unsigned
from host.ledger.core.statuses import Reason, Status
from host.ledger.vault import parties, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.tables import TRANSACTION
from host.ledger.vault.transactions import Origin, keep

ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
API = "/api/v5_2"
DAY = 86_400_000
START = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
COUNT = 12
UNKNOWN = f"SHA-256D:{'0' * 64}"


def transaction(number, consumed=None):
    """Even ones make an Iou; odd ones consume it and make nothing."""
    state = State(type="iou.Iou", contract="iou.C", value={"n": number}, participants=("key",))
    return Transaction(
        metadata={},
        notary=None,
        time_window=None,
        signatories=("key",),
        outputs=() if consumed else (state,),
        commands=(Command(type="iou.Do", value={"text": "line\nend \u2028 é"}),),
        inputs=(consumed,) if consumed else (),
        references=(),
    )


@pytest.fixture(scope="module")
def recorded():
    """Of each node, the identifiers in the order of recording."""
    return {}


@pytest.fixture
def bob(api, node_of, services, recorded):
    """A node with twelve transactions, one a day."""
    for node in api.get(f"{API}/virtualnode").json()["virtualNodes"]:
        if node["holdingIdentity"]["x500Name"] == BOB:
            return node["holdingIdentity"]["shortHash"]
    node = node_of(BOB)
    made = None

    def store(connection, number):
        nonlocal made
        content = transaction(number, made)
        signed = unsigned(bytes([number]) * 32, to_groups(content))
        now = EpochMs(START + number * DAY)
        finish(connection, signed, content, facts=(), origin=Origin.OWN, now=now)
        made = None if made else StateRef(signed.id, 0)
        return signed.id

    recorded[node] = [
        services.transactions._vaults.transact(node, lambda c, n=number: store(c, n))
        for number in range(COUNT)
    ]
    return node


def lines(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/jsonl"
    assert reply.content == b"" or reply.content.endswith(b"\n")
    return [json.loads(line) for line in reply.content.split(b"\n")[:-1]]


def pages(api, path, read):
    """All items of a list, and the number of its pages."""
    found, count, link = [], 0, "?limit=5"
    while True:
        reply = api.get(f"{path}{link}")
        found += read(reply)
        count += 1
        if "link" not in reply.headers:
            return found, count
        link = reply.headers["link"].partition(">")[0].removeprefix("<")


def test_a_ledger_is_exported_in_pages_the_oldest_first(api, bob, recorded):
    found, count = pages(api, f"{API}/ledger/{bob}/export", lines)
    assert count == 3
    assert [each["id"] for each in found] == recorded[bob]
    assert found[1]["inputs"] == [
        {"stateRef": f"{recorded[bob][0]}:0", "state": found[0]["outputs"][0]}
    ]
    assert found[0]["commands"][0]["value"] == {"text": "line\nend \u2028 é"}


def test_the_list_has_the_latest_first(api, bob, recorded):
    def read(reply):
        return reply.json()["transactions"]

    found, count = pages(api, f"{API}/ledger/{bob}/transaction", read)
    assert count == 3
    assert [each["id"] for each in found] == recorded[bob][::-1]
    assert found[-1]["timestamp"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("since=2026-01-11", [10, 11]),
        ("until=2026-01-02T00:00:00.001Z", [0, 1]),
        ("since=2026-01-02T01:00:00%2B01:00&until=2026-01-03", [1]),
        ("since=2027-01-01", []),
        ("until=0001-01-01", []),
        ("since=9999-12-31T23:59:59-23:59", []),
        ("statetype=iou.Iou", list(range(12))),
        ("statetype=iou.IouX", []),
    ],
)
def test_filters_choose(api, bob, recorded, query, numbers):
    found = lines(api.get(f"{API}/ledger/{bob}/export?{query}"))
    assert [each["id"] for each in found] == [recorded[bob][n] for n in numbers]


def test_the_list_has_the_statuses_that_are_asked_for(api, bob, services, recorded):
    contents = [transaction(number) for number in (20, 22)]
    signed = [unsigned(bytes([n]) * 32, to_groups(each)) for n, each in enumerate(contents)]

    def store(connection):
        options = {"origin": Origin.FINALITY, "now": EpochMs(START)}
        keep(connection, signed[0], status=Status.UNVERIFIED, **options)
        keep(connection, signed[1], status=Status.INVALID, reason=Reason.NOTARY, **options)

    services.transactions._vaults.transact(bob, store)
    path = f"{API}/ledger/{bob}/transaction"

    def listed(query):
        found = api.get(f"{path}{query}").json()["transactions"]
        return [(each["id"], each["status"], each["timestamp"]) for each in found]

    at = "2026-01-01T00:00:00Z"
    assert {status for _, status, _ in listed("?limit=100")} == {"V"}
    assert listed("?status=U") == [(signed[0].id, "U", at)]
    assert listed("?status=DUI") == [(signed[1].id, "I", at), (signed[0].id, "U", at)]
    for wrong in ("x", "", "UU,V", "DUVID"):
        reply = api.get(f"{path}?status={wrong}")
        assert (reply.status_code, reply.json()["details"]["code"]) == (400, "request-invalid")
    shown = api.get(f"{path}/{signed[1].id}").json()
    assert (shown["status"], shown["reason"], shown["origin"]) == ("I", "notary", "finality")
    assert (shown["createdAt"], shown["recordedAt"]) == (at, None)
    assert api.get(f"{path}/{signed[1].id}/export").status_code == 404


def test_a_transaction_shows_who_verified_it_with_which_code(api, bob, services, recorded):
    """A counterparty that ran the same CPK and came to another outcome saw something else."""
    transaction_id = recorded[bob][0]
    own = Verification(
        cpk="SHA-256:C",
        form=1,
        code="SHA-256:D",
        outcome="SHA-256:1",
        run="SHA-256:2",
        engine="SHA-256:3",
        fuel=7,
        verdict="accepted",
    )
    other = Verification(**{**own.to_json(), "outcome": "SHA-256:9"})

    def store(connection):
        for party, each in (("", own), (ALICE, own), ("O=Carol, L=London, C=GB", other)):
            verifications.keep(connection, transaction_id, party, [each], now=EpochMs(START))
        parties.keep(connection, transaction_id, [ALICE])

    services.transactions._vaults.transact(bob, store)
    shown = api.get(f"{API}/ledger/{bob}/transaction/{transaction_id.lower()}").json()
    assert (shown["id"], shown["status"], shown["reason"]) == (transaction_id, "V", None)
    assert (shown["parties"], shown["signatures"], shown["visible"]) == ([ALICE], [], [])
    found = [(v["party"], v["outcome"], v["differs"]) for v in shown["verifications"]]
    assert found == [
        (None, "SHA-256:1", False),
        (ALICE, "SHA-256:1", False),
        ("O=Carol, L=London, C=GB", "SHA-256:9", True),
    ]


NOTARY = Notary(name="O=Notary Service, L=London, C=GB", key="a notary's key")
WINDOW = TimeWindow(starts=None, until="2099-01-01T00:00:00.000000Z")


def kept(services, node, number, status, reason=None, notary=NOTARY):
    """Identifier of a transaction that the node stores with a status."""
    content = replace(transaction(number), notary=notary, time_window=WINDOW)
    signed = unsigned(bytes([number]) * 32, to_groups(content))
    options = {"origin": Origin.FINALITY, "now": EpochMs(START), "reason": reason}
    services.transactions._vaults.transact(
        node, lambda c: keep(c, signed, status=status, **options)
    )
    return signed.id


def test_a_transaction_is_shown_with_those_before_and_after_it(api, node_of, services):
    """By the states that they consume or reference, whatever the order in which they came."""
    erin = node_of("O=Erin, L=London, C=GB")

    def final(number, *inputs, references=()):
        refs = tuple(StateRef(each, index) for each, index in inputs)
        read = tuple(StateRef(each, index) for each, index in references)
        content = replace(transaction(number), inputs=refs, references=read)
        signed = unsigned(bytes([number]) * 32, to_groups(content))
        services.transactions._vaults.transact(
            erin,
            lambda c: finish(
                c, signed, content, facts=(), origin=Origin.OWN, now=EpochMs(START)
            ),
        )  # fmt: skip
        return signed.id

    unknown = f"SHA-256D:{'7' * 64}"
    first = final(60)
    middle = final(61, (first, 1), references=[(unknown, 0)])
    later, last = final(62, (middle, 3), (middle, 4)), final(63, (middle, 2))
    shown = api.get(f"{API}/ledger/{erin}/transaction/{middle}?around=true").json()["around"]
    assert shown == {
        "before": [{"id": first, "status": "V"}, {"id": unknown, "status": None}],
        "after": [{"id": last, "status": "V"}, {"id": later, "status": "V"}],
        "isCut": False,
    }
    assert api.get(f"{API}/ledger/{erin}/transaction/{middle}").json()["around"] is None
    many = [final(70 + number, (first, 2 + number)) for number in range(101)]
    cut = api.get(f"{API}/ledger/{erin}/transaction/{first}?around=true").json()["around"]
    assert cut["isCut"] is True
    assert [each["id"] for each in cut["after"]] == [middle, *many[:99]]


def test_a_repair_is_started_at_once_in_every_version(api, node_of, services, polled):
    carol = node_of("O=Carol, L=London, C=GB")
    named = kept(services, carol, 30, Status.UNVERIFIED)
    refused = kept(services, carol, 31, Status.INVALID, Reason.REFUSED)
    for version, wanted, status in (
        ("v5_1", named, "U"),
        ("v5_2", named.lower(), "U"),
        ("v5_3", refused, "I"),
    ):
        reply = api.post(f"/api/{version}/ledger/{carol}/transaction/{wanted}/repair")
        asked = {"id": wanted.upper(), "status": status, "isDue": True}
        assert (reply.status_code, reply.json()) == (200, asked)

    def has_run(answer):
        found = [f for f in answer["flowStatusResponses"] if "ledger-repair" in str(f)]
        return len(found) == 3 and all(f["flowStatus"] == "COMPLETED" for f in found)

    polled(f"{API}/flow/{carol}", has_run)
    acts = api.get(f"{API}/administrativelog", params={"resource": f"{refused}/repair"}).json()
    assert [(act["user"], act["code"]) for act in acts["acts"]] == [("admin", "ok")]


def test_what_cannot_be_repaired_is_refused_or_told(api, bob, services, recorded):
    def asked(transaction_id, node=bob):
        return api.post(f"{API}/ledger/{node}/transaction/{transaction_id}/repair")

    final = asked(recorded[bob][0])
    assert final.json() == {"id": recorded[bob][0], "status": "V", "isDue": False}
    for number, status, reason, notary, why in (
        (40, Status.INVALID, Reason.CONTRACT, NOTARY, "invalid for ever, reason contract"),
        (41, Status.INVALID, Reason.NOTARY, NOTARY, "invalid for ever, reason notary"),
        (42, Status.DRAFT, None, NOTARY, "it is a draft"),
        (43, Status.UNVERIFIED, None, None, "it names no notary"),
    ):
        named = kept(services, bob, number, status, reason, notary)
        reply = asked(named)
        details = reply.json()["details"]
        assert (reply.status_code, details["code"]) == (409, "transaction-not-repairable")
        assert why in details["reason"]
        assert named in details["reason"]
    for named, status, code in (
        (UNKNOWN, 404, "not-found"),
        ("x", 400, "transaction-id-invalid"),
    ):
        reply = asked(named)
        assert (reply.status_code, reply.json()["details"]["code"]) == (status, code)
    assert asked(UNKNOWN, "0123456789AB").status_code == 404


def test_a_repair_needs_its_right(host, services, client_of, bob, recorded):
    path = f"{API}/ledger/{bob}/transaction/{recorded[bob][0]}/repair"
    for user, method, status in (("reader", "GET", 403), ("mender", "POST", 200)):
        right = Permission(effect=Effect.ALLOW, pattern=f"{method}:{API}/ledger/{bob}/.*")
        services.users.create(user, "first", full_name="Some User", permissions=(right,))
        with client_of(host, auth=(user, "first")) as client:
            assert client.post(path).status_code == status


def test_a_vault_is_rebuilt_in_every_version(api, node_of, services, polled, client_of, host):
    dave = node_of("O=Dave, L=London, C=GB")

    def asked(version, client=api):
        reply = client.post(f"/api/{version}/virtualnode/{dave}/vault/rebuild")
        assert (reply.status_code, list(reply.json())) == (200, ["requestId"])
        return reply.json()["requestId"]

    assert asked("v5_2") is None
    made = transaction(50)
    unseen = replace(made.outputs[0], participants=())
    content = replace(made, outputs=(unseen,))
    signed = unsigned(bytes([50]) * 32, to_groups(content))
    services.transactions._vaults.transact(
        dave,
        lambda c: finish(
            c, signed, content, facts=(OutputFacts(index=0, representation="{}"),),
            origin=Origin.OWN, now=EpochMs(START),
        ),
    )  # fmt: skip
    begun = {asked(version) for version in ("v5_1", "v5_2", "v5_3")}
    assert len(begun) == 3

    def ended(answer):
        found = [f for f in answer["flowStatusResponses"] if "vault-rebuild" in str(f)]
        return [f["clientRequestId"] for f in found if f["flowStatus"] == "COMPLETED"]

    listed = ended(polled(f"{API}/flow/{dave}", lambda answer: len(ended(answer)) == 3))
    results = [api.get(f"{API}/flow/{dave}/{each}").json()["flowResult"] for each in listed]
    assert begun == {json.loads(each)["rebuild"] for each in results}
    for each in begun:
        told = polled(
            f"{API}/virtualnode/{dave}/vault/rebuild/{each}", lambda a: a["status"] == "COMPLETED"
        )
        assert (told["requestId"], told["transactions"], told["total"]) == (each, 1, 1)
        assert told["startedAt"] <= told["updatedAt"] == told["endedAt"]
    told = api.get(f"{API}/virtualnode/{dave}/vault/rebuild").json()["rebuilds"]
    assert {each["requestId"] for each in told} == begun
    unknown = "00000000-0000-4000-8000-000000000000"
    assert api.get(f"{API}/virtualnode/{dave}/vault/rebuild/{unknown}").status_code == 404
    assert api.get(f"{API}/virtualnode/{dave}/vault/rebuild/x").status_code == 400
    # None of its participants is the node, which keeps it no longer.
    assert sum(json.loads(each)["changed"] for each in results) == 1
    shown = api.get(f"{API}/ledger/{dave}/transaction/{signed.id}").json()
    assert (shown["status"], shown["visible"]) == ("V", [])
    query = {"resource": f"/virtualnode/{dave}/vault/rebuild"}
    acts = api.get(f"{API}/administrativelog", params=query).json()["acts"]
    assert begun == {act["result"]["requestId"] for act in acts if act["result"]}
    reader = Permission(effect=Effect.ALLOW, pattern=f"GET:{API}/virtualnode/{dave}.*")
    services.users.create("onlooker", "first", full_name="Some User", permissions=(reader,))
    with client_of(host, auth=("onlooker", "first")) as client:
        assert client.post(f"{API}/virtualnode/{dave}/vault/rebuild").status_code == 403
    assert api.post(f"{API}/virtualnode/0123456789AB/vault/rebuild").status_code == 404


def test_one_transaction_is_named_in_any_letter_case(api, bob, recorded):
    (whole, *_) = lines(api.get(f"{API}/ledger/{bob}/export?limit=1"))
    for name in (recorded[bob][0], recorded[bob][0].lower(), quote(recorded[bob][0], safe="")):
        reply = api.get(f"{API}/ledger/{bob}/transaction/{name}/export")
        assert reply.headers["content-type"] == "application/json"
        assert reply.json() == whole


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"transaction/{UNKNOWN}/export", 404, "not-found"),
        (f"transaction/{UNKNOWN}", 404, "not-found"),
        ("transaction/x", 400, "transaction-id-invalid"),
        ("transaction/x/export", 400, "transaction-id-invalid"),
        (f"transaction/{UNKNOWN}0/export", 400, "transaction-id-invalid"),
        ("transaction/%00/export", 400, "request-invalid"),
        ("export?after=x", 400, "cursor-invalid"),
        ("export?limit=0", 400, "request-invalid"),
        ("export?limit=1001", 400, "request-invalid"),
        ("export?since=soon", 400, "request-invalid"),
        ("export?state=iou.Iou", 400, "query-key-unknown"),
        (f"export?statetype={'x' * 256}", 400, "request-invalid"),
    ],
)
def test_refusals_have_stable_codes(api, bob, path, status, code):
    reply = api.get(f"{API}/ledger/{bob}/{path}")
    assert (reply.status_code, reply.json()["details"]["code"]) == (status, code)


def test_a_node_without_a_vault_has_no_transaction_and_gets_no_vault(api, alice, services):
    assert lines(api.get(f"{API}/ledger/{alice}/export")) == []
    assert api.get(f"{API}/ledger/{alice}/transaction").json() == {"transactions": []}
    assert api.get(f"{API}/ledger/{alice}/transaction/{UNKNOWN}/export").status_code == 404
    assert not services.transactions._vaults.is_made(alice)
    assert api.get(f"{API}/ledger/0123456789AB/export").status_code == 404


def test_the_ledger_of_another_node_needs_its_rights(
    host, services, client_of, alice, bob, recorded
):
    own = Permission(effect=Effect.ALLOW, pattern=f"GET:{API}/ledger/{alice}/.*")
    services.users.create("auditor", "first", full_name="Some Auditor", permissions=(own,))
    paths = ("export", "transaction", f"transaction/{recorded[bob][0]}/export")
    with client_of(host, auth=("auditor", "first")) as client:
        assert client.get(f"{API}/ledger/{alice}/export").status_code == 200
        for path in paths:
            reply = client.get(f"{API}/ledger/{bob}/{path}")
            assert (reply.status_code, reply.json()["details"]["code"]) == (403, "forbidden")


def test_damage_is_told_with_its_own_code(api, bob, services, recorded):
    path = f"{API}/ledger/{bob}/transaction/{recorded[bob][3]}/export"
    (kept,) = services.transactions._vaults.transact(bob, lambda c: groups(c, recorded[bob][3]))
    damaged = kept.replace("SHA-256D:", "SHA-512D:", 1)
    for text in (damaged, "[]", '["[1"]', "[[1]]", "{"):
        services.transactions._vaults.transact(
            bob, lambda c, t=text: put_groups(c, recorded[bob][3], t)
        )
        reply = api.get(path)
        assert (reply.status_code, reply.json()["details"]["code"]) == (500, "ledger-damaged")
    services.transactions._vaults.transact(bob, lambda c: put_groups(c, recorded[bob][3], kept))
    assert api.get(path).status_code == 200


def groups(connection, transaction_id):
    row = connection.execute(TRANSACTION.select().where(TRANSACTION.c.id == transaction_id)).one()
    return (row.component_groups,)


def put_groups(connection, transaction_id, text):
    connection.execute(
        update(TRANSACTION).where(TRANSACTION.c.id == transaction_id).values(component_groups=text)
    )
