"""Sections of settings over REST: read, changed, refused, and in force at once."""

import json

import pytest

from host.access.permissions import Effect, Permission
from host.nodes.audit_log.administrative import ActQuery
from host.settings.without_effect import WITHOUT_EFFECT

PATH = "/api/v5_2/config"
GATEWAY = "corda.p2p.gateway"
VERSION = {"major": 1, "minor": 0}


@pytest.fixture
def changed(api):
    """Puts a section, by default on its version now; gives the reply."""

    def put(section, config, *, version=None, schema_version=None):
        if version is None:
            version = api.get(f"{PATH}/{section}").json()["version"]
        body = {
            "section": section,
            "version": version,
            "config": config,
            "schemaVersion": schema_version or VERSION,
        }
        return api.put(PATH, json=body)

    return put


def test_a_section_is_read_and_changed_as_documented(api, changed):
    before = api.get(f"{PATH}/{GATEWAY}").json()
    assert before["section"] == GATEWAY
    assert json.loads(before["sourceConfig"]) == {}
    assert json.loads(before["configWithDefaults"])["sslConfig"]["tlsType"] == "ONE_WAY"
    assert (before["schemaVersion"], before["version"]) == (VERSION, 0)

    text = '{ "sslConfig": { "tlsType": "MUTUAL"  }  }'
    reply = changed(GATEWAY, text, version=str(before["version"]))
    assert (reply.status_code, reply.json()) == (
        202,
        {
            "section": GATEWAY,
            "config": json.dumps(json.loads(text)),
            "schemaVersion": VERSION,
            "version": 1,
        },
    )
    after = api.get(f"{PATH}/{GATEWAY}").json()
    assert json.loads(after["sourceConfig"]) == json.loads(text)
    assert json.loads(after["configWithDefaults"])["sslConfig"]["tlsType"] == "MUTUAL"
    assert after["version"] == 1
    assert changed(GATEWAY, {}).json()["version"] == 2, "an object, and all defaults again"


def test_a_change_is_in_force_without_a_restart(api, changed, alice):
    quota = f"/api/v5_2/virtualnode/{alice}/quota"
    key = "wall_ms_max"
    before = api.get(quota).json()["defaults"]["wallMsMax"]
    assert changed("cordbox.quota", {key: before + 1}).status_code == 202
    assert api.get(quota).json()["defaults"]["wallMsMax"] == before + 1
    assert changed("cordbox.quota", {}).status_code == 202
    assert api.get(quota).json()["defaults"]["wallMsMax"] == before


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"sslConfig": {"tlsType": "BOTH"}}, "corda.p2p.gateway.sslConfig.tlsType"),
        ({"sslConfig": {"tlsTyp": "MUTUAL"}}, "sslConfig.tlsType"),
        ({"sslConfig": 1}, "sslConfig"),
        ("{", "no JSON"),
        ('{"a":1,"a":2}', "no JSON"),
        ([], "expected an object"),
        ("1", "expected an object"),
        (None, "expected an object"),
    ],
)
def test_values_that_do_not_fit_the_schema_are_refused_and_named(api, changed, config, named):
    before = api.get(f"{PATH}/{GATEWAY}").json()
    reply = changed(GATEWAY, config)
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "config-invalid")
    assert named in reply.json()["details"]["reason"]
    assert api.get(f"{PATH}/{GATEWAY}").json() == before


def test_unknown_sections_other_versions_and_pinned_keys_are_refused(api, changed):
    assert api.get(f"{PATH}/corda.unknown").status_code == 404
    assert changed("corda.unknown", {}, version=0).status_code == 404
    version = api.get(f"{PATH}/{GATEWAY}").json()["version"]
    for other in (version - 1, version + 1):
        reply = changed(GATEWAY, {}, version=other)
        assert (reply.status_code, reply.json()["details"]["code"]) == (
            409,
            "config-version-conflict",
        )
    reply = changed(GATEWAY, {}, schema_version={"major": 2, "minor": 0})
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "config-schema-version")
    reply = changed("corda.rest", {"maxContentLength": 5000})
    assert (reply.status_code, reply.json()["details"]["code"]) == (409, "config-key-pinned")


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_cordas_sections_without_effect_are_named_as_such(api, changed, name):
    for reply in (api.get(f"{PATH}/{name}"), changed(name, {}, version=0)):
        assert (reply.status_code, reply.json()["details"]["code"]) == (404, "not-found")
        assert f"section {name} has no effect on this platform: " in reply.json()["title"]


def test_each_change_is_recorded_with_its_user_and_without_its_values(api, changed, services):
    assert changed(GATEWAY, {"sslConfig": {"tlsType": "ONE_WAY"}}).status_code == 202
    services.administrative_log.settle()
    (view,) = services.administrative_log.page(ActQuery(), before=None, limit=1)
    version = api.get(f"{PATH}/{GATEWAY}").json()["version"]
    assert view.act.parameters == {"section": GATEWAY, "version": version - 1}
    assert services.config.get(GATEWAY).changed_by == "admin"


def test_reading_and_changing_have_permissions_of_their_own(api, services):
    reads = Permission(effect=Effect.ALLOW, pattern=f"GET:{PATH}/corda\\.flow")
    services.users.create("reader", "pw", full_name="", permissions=(reads,))
    api.auth = ("reader", "pw")
    assert api.get(f"{PATH}/corda.flow").status_code == 200
    assert api.get(f"{PATH}/corda.rest").status_code == 403
    body = {"section": "corda.flow", "version": 0, "config": {}, "schemaVersion": VERSION}
    assert api.put(PATH, json=body).status_code == 403
