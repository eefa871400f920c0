"""What the code of a stored package may do, and what changed since another version of it."""

import re
from dataclasses import replace
from html import unescape

import pytest

from host.domain.ids import short_hash_of
from host.domain.packages import CodeWorld, EntityDeclaration, QueryDeclaration
from host.guests.limits import limits_of_quota
from host.guests.package_facts import FactKind, compared, cpk_facts
from tests.rest.conftest import PASSWORD, WIDER, _host_on, _stored_cpi

API = "/api/v5_3"
OLDER = {"external-messaging": "refused", "log": "always-open", "flow": "always-open"}


@pytest.fixture(scope="module")
def versions(data_dir):
    return _stored_cpi(data_dir), _stored_cpi(data_dir, **WIDER)


@pytest.fixture(scope="module")
def host(data_dir, versions):
    with _host_on(data_dir) as running:
        yield running


@pytest.fixture
def hashes(versions):
    return [short_hash_of(version.file_checksum) for version in versions]


def test_the_walls_of_each_cpk_are_told(api, hashes):
    older, newer = (api.get(f"{API}/cpi/{each}/audit").json() for each in hashes)
    assert older["comparison"] is None
    (cpk,) = older["cpks"]
    doors = {each["interface"]: each["door"] for each in cpk["imports"]}
    assert OLDER.items() <= doors.items()
    assert cpk["leaves"][0].startswith("Flow results")
    (cpk,) = newer["cpks"]
    assert {e["reaches"] for e in cpk["imports"] if e["interface"] == "external-messaging"} - {None}
    (fuel,) = (each for each in cpk["limits"] if each["name"] == "fuelMax")
    assert (fuel["asked"], fuel["effective"]) == (1_000_000, 1_000_000)


def test_what_changed_is_told_with_what_lets_code_do_more(api, hashes):
    older, newer = hashes
    asked = api.get(f"{API}/cpi/{newer}/audit", params={"against": older}).json()["comparison"]
    found = {
        (c["kind"], c["name"]): (c["before"], c["after"], c["widens"]) for c in asked["changes"]
    }
    assert found == {
        ("interface", "external-messaging"): ("closed", "open if granted", True),
        ("interface", "sessions"): ("closed", "open if granted", True),
        ("flow", "demo.Send"): (None, "client-startable", True),
        ("flow", "demo.Answer"): ("responder", None, False),
        ("code", "demo.workflows"): (f"SHA-256:{'EF' * 32}", WIDER["code_digest"], False),
        ("cpk", "demo.workflows"): ("1.0.0", "1.1.0", False),
        ("limit", "fuelMax"): ("2000000000", "1000000", False),
        ("library", "lib.py"): ("declared", None, False),
    }
    assert asked["widening"] == 3
    assert [c["widens"] for c in asked["changes"]] == [True] * 3 + [False] * 5
    back = api.get(f"{API}/cpi/{older}/audit", params={"against": newer}).json()["comparison"]
    assert {c["name"] for c in back["changes"] if c["widens"]} == {
        "demo.Answer",
        "fuelMax",
        "lib.py",
    }


def test_packages_that_are_not_there_are_named(api, hashes):
    for path in ("/cpi/0123456789AB/audit", f"/cpi/{hashes[0]}/audit?against=0123456789AB"):
        refused = api.get(f"{API}{path}")
        assert refused.status_code == 404
        assert refused.json()["details"]["id"] == "0123456789AB"
    assert api.get(f"{API}/cpi/{hashes[0]}/audit?against=x").status_code == 400


def test_signers_and_contracts_are_compared(versions, services):
    older, newer = versions
    allowed = limits_of_quota(services.quotas.defaults)
    assert compared(older, older, allowed).changes == ()
    found = compared(older, _signed_by_another(newer), allowed).changes
    (signers,) = (each for each in found if each.kind is FactKind.SIGNERS)
    assert (signers.cpk, signers.widens) == (None, True)


def _signed_by_another(cpi):
    return replace(cpi, identity=replace(cpi.identity, signer_summary_hash="SHA-256:" + "0" * 64))


def test_a_contract_has_no_door_and_its_states_and_entities_are_compared(versions, services):
    (cpk,) = versions[0].cpks
    entity = EntityDeclaration(
        name="Limit",
        key=("id",),
        schema={"properties": {"id": {}, "note": {}}, "required": ["id"]},
    )
    contract = replace(
        cpk,
        world=CodeWorld.CONTRACT,
        contract_types=("Iou",),
        state_types=(("IouState", "Iou"),),
        entities=(entity, replace(entity, name="Bare", schema={})),
        queries=(QueryDeclaration(name="all"),),
    )
    allowed = limits_of_quota(services.quotas.defaults)
    assert cpk_facts(contract, allowed).imports == ()
    of_contract = replace(versions[0], cpks=(contract,))
    found = {(c.kind, c.name): c.after for c in compared(versions[0], of_contract, allowed).changes}
    assert found[FactKind.ENTITY, "Limit"] == "version 1: id, (note)"
    assert found[FactKind.ENTITY, "Bare"] == "version 1"
    assert found[FactKind.STATE, "IouState"] == "governed by Iou"
    assert found[FactKind.QUERY, "all"] == found[FactKind.CONTRACT, "Iou"] == "declared"
    assert found[FactKind.INTERFACE, "log"] is None


def test_the_page_draws_the_sandbox_and_says_what_changed(api, hashes):
    form = {"login_name": "admin", "password": PASSWORD}
    api.base_url = "https://testserver"
    api.post("/console/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})
    page = unescape(api.get(f"/console/packages/{hashes[1]}?against={hashes[0]}").text)
    assert "The sandbox of demo.workflows: 4 doors open" in page
    assert "3 changes let the code do more" in page
    assert "8 of " in page
    first = re.search(r'<div class="risk"><span>.*?<b>(.*?)</b>.*?<ins>(.*?)</ins></div>', page)
    assert first.groups() == ("Interface external-messaging", "open if granted")
    assert "<ins>1,000,000</ins>" in page
