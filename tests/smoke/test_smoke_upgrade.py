"""A node with stored entities gets the next version of its CPI, over REST."""

import shutil
from http import HTTPStatus

import pytest

from tests.smoke.conftest import ALICE, API, BOB, CHARLIE, SMOKE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OLD = "    owner: str | None = None\n"
NEW = "    owner: str | None\n    legs: int\n"
MIGRATION = """\
    version=2,
    migrations=[migration(2, add_field("legs", {default}))],
"""


@pytest.fixture(scope="module")
def version(tmp_path_factory, built_cpi):
    """Builds the sample with one more field of `Dog`, whose default is a Python expression."""

    def build(number, default):
        project = tmp_path_factory.mktemp("project") / "smoke"
        shutil.copytree(SMOKE, project)
        file = project / "workflows" / "smoke_entities.py"
        text = file.read_text()
        for before, after in (
            (OLD, NEW),
            ('    "id",\n', '    "id",\n' + MIGRATION.format(default=default)),
            ("import entity,", "import add_field, migration, entity,"),
            ('Dog(data["id"], data["name"])', 'Dog(data["id"], data["name"], None, 3)'),
        ):
            assert before in text
            text = text.replace(before, after)
        file.write_text(text)
        return built_cpi(project, number)

    return build


def upgrade(cluster, name, checksum):
    """Upgrade a node in maintenance; the operation when it has ended."""
    node = cluster.nodes[name]
    reply = cluster.client.put(f"{API}/virtualnode/{node}/cpi/{checksum}")
    assert reply.status_code == HTTPStatus.ACCEPTED, reply.text
    return cluster.polled(
        f"/virtualnode/status/{reply.json()['requestId']}",
        lambda s: s["status"] in ("SUCCEEDED", "FAILED"),
    )


def set_state(cluster, name, state):
    reply = cluster.client.put(f"{API}/virtualnode/{cluster.nodes[name]}/state/{state}")
    assert reply.status_code == HTTPStatus.OK


def test_a_node_is_upgraded_with_its_dogs_or_stays_as_it_was(cluster, version):
    cluster.run("persistence_persist", {"id": "old", "name": "Rex"}, BOB)
    bad = cluster.upload(version("2.0.0", '"four"'))
    good = cluster.upload(version("3.0.0", "4"))
    refused = cluster.client.put(f"{API}/virtualnode/{cluster.nodes[BOB]}/cpi/{good}")
    assert refused.json()["details"]["code"] == "virtual-node-not-in-maintenance"

    set_state(cluster, BOB, "MAINTENANCE")
    failed = upgrade(cluster, BOB, bad)
    assert failed["status"] == "FAILED"
    assert "smoke_entities.Dog 'old' does not fit version 2" in failed["errorReason"]
    set_state(cluster, BOB, "ACTIVE")
    found = cluster.run("persistence_find", {"id": "old"}, BOB)
    assert found == "found dog id='old' name='Rex'"

    set_state(cluster, BOB, "MAINTENANCE")
    assert upgrade(cluster, BOB, good)["status"] == "SUCCEEDED"
    set_state(cluster, BOB, "ACTIVE")
    assert cluster.run("persistence_find", {"id": "old"}, BOB) == found
    cluster.run("persistence_persist", {"id": "new", "name": "Rover"}, BOB)
    assert cluster.run("persistence_query", {}, BOB) == "found one or more dogs"
    assert cluster.run("echo", {"echo_value": "still 1.0.0"}, ALICE) == "still 1.0.0"


@pytest.fixture(scope="module")
def diverging(tmp_path_factory, built_cpi):
    """The sample with one more host call before its sessions are opened."""
    project = tmp_path_factory.mktemp("project") / "smoke"
    shutil.copytree(SMOKE, project)
    file = project / "workflows" / "smoke_flows.py"
    before = "def start_sessions(flow: Smoke, data: Data) -> str:\n"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, before + "    flow.clock.now()\n"))
    line = text.splitlines().index(before.strip()) + 2
    return built_cpi(project, "4.0.0"), line


def upgraded(cluster, path, *, method="put"):
    """An upgrade or a rehearsal of CHARLIE when it has ended, with its report."""
    node = cluster.nodes[CHARLIE]
    reply = getattr(cluster.client, method)(f"{API}/virtualnode/{node}/cpi/{path}")
    assert reply.status_code == HTTPStatus.ACCEPTED, reply.text
    return cluster.polled(
        f"/virtualnode/upgrade/{reply.json()['requestId']}",
        lambda s: s["status"] in ("SUCCEEDED", "FAILED"),
    )


def cpi_version(cluster, name):
    found = cluster.client.get(f"{API}/virtualnode/{cluster.nodes[name]}").json()
    return found["cpiIdentifier"]["cpiVersion"], found["state"]


def test_open_flows_are_rehearsed_and_go_on_with_the_old_code_or_the_new(
    cluster, version, diverging
):
    """A flow of CHARLIE waits for BOB, who is paused, while CHARLIE gets other CPIs."""
    data, line = diverging
    other, migrating = cluster.upload(data), cluster.upload(version("5.0.0", "4"))
    cluster.run("persistence_persist", {"id": "old", "name": "Rex"}, CHARLIE)
    set_state(cluster, BOB, "PAUSED")
    paths = [
        cluster.start(CHARLIE, "start_sessions", {"sessions": BOB, "messages": "m1"})
        for _ in range(2)
    ]
    for path in paths:
        cluster.polled(f"{path}/history", lambda h: h.get("waiting") is not None)

    found = upgraded(cluster, f"{other}/check", method="post")
    assert (found["status"], found["processingStage"]) == ("SUCCEEDED", "DONE"), found
    for flow in found["report"]["flows"]:
        assert (flow["verdict"], flow["step"], flow["found"]) == ("diverges", 0, "flow.now")
        assert (flow["file"], flow["line"]) == ("smoke_flows.py", line)
    assert len(found["report"]["flows"]) == 2
    assert cpi_version(cluster, CHARLIE) == ("1.0.0", "ACTIVE")

    refused = upgraded(cluster, f"{migrating}?flows=finish")
    assert refused["status"] == "FAILED"
    assert "2 open flows would end with the old code" in refused["errorReason"]
    assert cpi_version(cluster, CHARLIE) == ("1.0.0", "ACTIVE")

    moved = upgraded(cluster, f"{migrating}?flows=migrate")
    assert moved["status"] == "SUCCEEDED", moved
    assert {flow["verdict"] for flow in moved["report"]["flows"]} == {"same"}
    (dogs,) = [e for e in moved["report"]["entities"] if e["type"] == "smoke_entities.Dog"]
    assert (dogs["change"], dogs["entities"] > 0) == ("migrated", True)
    assert cpi_version(cluster, CHARLIE) == ("5.0.0", "ACTIVE")

    finishing = upgraded(cluster, f"{other}?flows=finish")
    assert finishing["status"] == "FAILED", "the entities of 4.0.0 are older"
    assert "pets" not in finishing["errorReason"]

    set_state(cluster, BOB, "ACTIVE")
    for path in paths:
        status = cluster.ended(path)
        assert (status["flowStatus"], status["flowError"]) == ("COMPLETED", None)
    assert cluster.run("persistence_find", {"id": "old"}, CHARLIE).startswith("found dog")
