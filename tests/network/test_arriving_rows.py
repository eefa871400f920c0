"""Rows of a node's file that are another's, or that nobody could read, reach no register."""

import json

import pytest
from sqlalchemy import select

from host.network.hosted import HOSTED_IDENTITY
from host.network.location.rows import ArrivingRows
from host.network.membership import network_tables as tables
from host.network.membership.tables import REGISTRATION
from host.ports.node_contents import NodeItemInvalidError
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE, BOB = member_name(0), member_name(1)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    made = Network(tmp_path_factory.mktemp("network"))
    made.join(ALICE, 0)
    made.join(BOB, 0)
    made.settle()
    yield made
    made.close()


@pytest.fixture
def check(network):
    cluster = network.clusters[0]
    return ArrivingRows(cluster.keys, cluster.access.public_keys).check


def _shown(value):
    return getattr(value, "name", None) or repr(value)


def _row(network, table, node):
    query = select(table).where(table.c.short_hash == node.short_hash)
    with network.clusters[0].database.read() as connection:
        return dict(connection.execute(query).mappings().first())


def _setup(node, **changes):
    keys = [{"key_id": "0123456789AB", "certificate_alias": None, "preferred": True}]
    whole = {"tls_tenant": "cluster", "tls_alias": "tls", "session_keys": json.dumps(keys)}
    return {"short_hash": node.short_hash, "version": 1, **whole, **changes}


def test_the_rows_of_a_member_and_of_an_mgm_are_taken(network, check):
    for table, node in (
        (tables.LOCAL_KEY, identity(ALICE)),
        (tables.NETWORK_REGISTRATION, identity(ALICE)),
        (tables.MGM_GROUP, identity(MGM)),
        (tables.MGM_RECIPIENT, identity(MGM)),
        (tables.NETWORK_REGISTRATION, identity(MGM)),
    ):
        check(node, table, _row(network, table, node))
    check(identity(ALICE), HOSTED_IDENTITY, _setup(identity(ALICE)))
    token = {"token_id": "t", "owner": ALICE, "status": "AVAILABLE", "ttl_at": None}
    check(identity(MGM), tables.MGM_TOKEN, token)
    check(identity(MGM), tables.MGM_RULE, {"kind": "STANDARD", "regex": ".*"})
    check(identity(MGM), tables.MGM_SUBJECT, {"subject": ALICE})
    request = {
        "registration_id": "r",
        "status": "NEW",
        "context": "{}",
        "sent_at": 1,
        "updated_at": 1,
    }
    check(identity(ALICE), REGISTRATION, request)


@pytest.mark.parametrize(
    "changes",
    [
        {"realm": "ab" * 32},
        {"group_id": "another"},
        {"name": ALICE},
        {"spec": "none"},
        {"policy": "[]"},
        {"policy": "{}"},
        {"mgm_key": "no key"},
        {"ecdh_key": None},
    ],
    ids=repr,
)
def test_a_node_is_mgm_of_its_own_group_alone(network, check, changes):
    row = _row(network, tables.MGM_GROUP, identity(MGM))
    with pytest.raises(NodeItemInvalidError, match="mgm_group"):
        check(identity(MGM), tables.MGM_GROUP, {**row, **changes})


def test_a_group_of_another_mgm_does_not_come_with_a_file(network, check):
    row = _row(network, tables.MGM_GROUP, identity(MGM))
    with pytest.raises(NodeItemInvalidError, match="not the virtual node's"):
        check(identity(ALICE), tables.MGM_GROUP, {**row, "short_hash": identity(ALICE).short_hash})


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        (tables.LOCAL_KEY, {"key_digest": "SHA-256:" + "0" * 64}),
        (tables.LOCAL_KEY, {"spec": "none"}),
        (tables.NETWORK_REGISTRATION, {"status": "SOON"}),
        (tables.NETWORK_REGISTRATION, {"side": "both"}),
        (tables.NETWORK_REGISTRATION, {"name": BOB}),
        (tables.NETWORK_REGISTRATION, {"member_context": b"{"}),
    ],
    ids=_shown,
)
def test_what_stops_the_work_of_others_is_refused(network, check, table, changes):
    row = _row(network, table, identity(ALICE))
    with pytest.raises(NodeItemInvalidError):
        check(identity(ALICE), table, {**row, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"session_keys": "{"},
        {"session_keys": "[]"},
        {"tls_tenant": identity(BOB).short_hash},
        {"short_hash": identity(BOB).short_hash},
        {"tls_tenant": None},
    ],
    ids=repr,
)
def test_a_setup_names_keys_and_certificates_of_its_node_or_cluster(check, changes):
    with pytest.raises(NodeItemInvalidError):
        check(identity(ALICE), HOSTED_IDENTITY, _setup(identity(ALICE), **changes))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (tables.MGM_TOKEN, {"token_id": "t", "owner": "x", "status": "AVAILABLE"}),
        (tables.MGM_TOKEN, {"token_id": "t", "owner": ALICE, "status": "x"}),
        (tables.MGM_RULE, {"kind": "x", "regex": "."}),
        (tables.MGM_SUBJECT, {"subject": None}),
        (tables.MGM_RECIPIENT, {"name": ALICE, "status": "x"}),
        (REGISTRATION, {"registration_id": "r", "status": "x", "context": "{}"}),
        (REGISTRATION, {"registration_id": "r", "status": "NEW", "context": "{"}),
        (REGISTRATION, {"registration_id": "r", "status": "NEW", "context": "[]"}),
    ],
    ids=_shown,
)
def test_other_rows_of_a_network_are_read_before_they_are_stored(check, table, row):
    with pytest.raises(NodeItemInvalidError):
        check(identity(MGM), table, row)
