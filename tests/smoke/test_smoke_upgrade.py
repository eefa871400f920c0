"""A node with stored entities gets the next version of its CPI, over REST."""

import shutil
from http import HTTPStatus

import pytest

from tests.smoke.conftest import ALICE, API, BOB, SMOKE

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
