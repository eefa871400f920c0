"""Corda's FlowTests over REST, named as there; sources: corda-runtime-os, workers-smoketest."""

import uuid

import pytest
import structlog

from tests.smoke.conftest import ALICE, API, BOB, CHARLIE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BOTH = f"{BOB};{CHARLIE}"


@pytest.fixture
def dog():
    """The id of a dog that only one test knows."""
    return str(uuid.uuid4())


@pytest.fixture
def dogs():
    return [str(uuid.uuid4()) for _ in range(3)]


def test_start_rest_flow(cluster):
    path = cluster.start(ALICE, "echo", {"echo_value": "hello"})
    status = cluster.ended(path)
    assert (status["flowStatus"], status["flowError"]) == ("COMPLETED", None)
    result = cluster.client.get(f"{API}{path}/result").json()["json"]
    assert result == {"command": "echo", "result": "hello"}


def test_start_multiple_rest_flows_and_validate_they_complete(cluster):
    paths = [cluster.start(ALICE, "echo", {"echo_value": f"{n}"}) for n in range(5)]
    for number, path in enumerate(paths):
        assert cluster.ended(path)["flowStatus"] == "COMPLETED"
        result = cluster.client.get(f"{API}{path}/result").json()["json"]["result"]
        assert result == str(number)


def test_a_text_is_the_result_as_it_is(cluster):
    path = cluster.start(ALICE, None, {}, flow="smoke_flows.ReturnAStringFlow")
    assert cluster.ended(path)["flowResult"] == "string from my flow"


def test_calculator_formats_in_a_sub_flow(cluster):
    assert cluster.run("calculate", {"a": "10", "b": "20"}) == '{"result":30}'


def test_init_session_initiate_two_sessions(cluster):
    answer = cluster.run("start_sessions", {"sessions": BOTH, "messages": "m1;m2"})
    assert answer == f"{BOB}=echo:m1; {CHARLIE}=echo:m2"


def test_a_suspended_flow_goes_on_where_it_stood(cluster):
    """Its guest stays for the next step, which need not replay what it did before."""
    with structlog.testing.capture_logs() as lines:
        cluster.run("start_sessions", {"sessions": BOTH, "messages": "m1;m2"})
    runs = [line for line in lines if line["event"] == "guest-ran"]
    assert len(runs) > 3
    assert sum(line["replayed"] for line in runs) == 0


def test_init_session_a_node_may_open_a_session_to_itself(cluster):
    answer = cluster.run("start_sessions", {"sessions": ALICE, "messages": "m1"})
    assert answer == f"{ALICE}=echo:m1"


def test_flow_session_initiate_multiple_sessions_and_exercise_the_flow_messaging_apis(cluster):
    answer = cluster.run("flow_messaging_apis", {"sessions": BOTH})
    assert answer == ("echo:all; echo:all; echo:1; echo:2; echo:1; echo:2; smoke-test-protocol 1")


def test_flow_session_a_closed_session_receives_nothing_and_closes_again(cluster):
    assert cluster.run("close_sessions", {"sessions": BOB}) == "caught session-closed"


def test_subflow_create_an_initiated_session_and_pass_it_to_an_inline_subflow(cluster):
    data = {"sessions": BOTH, "messages": "m1;m2"}
    answer = cluster.run("subflow_passed_in_initiated_session", data)
    assert answer == f"{BOB}=echo:m1; {CHARLIE}=echo:m2"


def test_subflow_create_an_uninitiated_session_and_pass_it_to_an_inline_subflow(cluster):
    data = {"sessions": BOTH, "messages": "m1;m2"}
    answer = cluster.run("subflow_passed_in_non_initiated_session", data)
    assert answer == f"{BOB}=echo:m1; {CHARLIE}=echo:m2"


def test_subflow_an_initiating_subflow_speaks_its_own_protocol(cluster):
    answer = cluster.run("subflow_with_own_session", {"sessions": BOB, "messages": "m1"})
    assert answer == "sub-flow:m1:None"


def test_context_is_propagated_to_initiated_and_sub_flows(cluster):
    answer = cluster.run("context_propagation", {"sessions": BOB})
    assert answer == "value; sub-flow:hello:value; value; context-key-reserved"


def test_cpi_metadata_is_available_in_a_flow(cluster):
    identity = cluster.cpi["id"]
    answer = cluster.run("get_cpi_metadata").split("; ")[:3]
    assert answer == [
        identity["cpiName"],
        identity["cpiVersion"],
        identity["signerSummaryHash"],
    ]


def test_flow_fails_when_user_code_throws(cluster):
    status = cluster.ended(cluster.start(ALICE, "throw_error", {"error_message": "oh no"}))
    assert status["flowStatus"] == "FAILED"
    assert status["flowError"]["message"].startswith("oh no")
    assert status["flowResult"] is None


def test_flow_fails_when_the_command_is_unknown(cluster):
    status = cluster.ended(cluster.start(ALICE, "cheese"))
    assert status["flowStatus"] == "FAILED"
    assert status["flowError"]["message"].startswith("unknown command 'cheese' (at smoke_flows.py")


def test_platform_error_user_code_receives_platform_errors(cluster):
    data = {"x500": "O=Nobody, L=London, C=GB"}
    assert cluster.run("throw_platform_error", data) == "caught counterparty-unknown"


def test_session_error_the_initiator_receives_the_error_of_its_peer(cluster):
    data = {"sessions": BOB, "error_message": "cannot go on"}
    answer = cluster.run("throw_session_error", data)
    assert answer == "caught session-error: cannot go on"


def test_broken_protocol_nobody_answers(cluster):
    assert cluster.run("unanswered_protocol", {"x500": BOB}) == "caught session-error"


def test_persistence_persist_a_single_entity(cluster, dog):
    data = {"id": dog, "name": "dog"}
    assert cluster.run("persistence_persist", data) == f"dog '{dog}' saved"


def test_persistence_persist_multiple_entities(cluster, dogs):
    data = {"ids": ";".join(dogs), "name": "dog"}
    assert cluster.run("persistence_persist_bulk", data) == f"dogs [{', '.join(dogs)}] saved"


def test_persistence_persisting_twice_with_one_deduplication_id_saves_once(cluster, dog):
    data = {"id": dog, "name": "dog"}
    assert cluster.run("persistence_persist_once", data) == f"dog '{dog}' saved"


def test_persistence_persisting_an_entity_that_exists_fails_the_flow(cluster, dog):
    data = {"id": dog, "name": "dog"}
    cluster.run("persistence_persist", data)
    status = cluster.ended(cluster.start(ALICE, "persistence_persist", data))
    assert status["flowStatus"] == "FAILED"
    assert f"entity smoke_entities.Dog '{dog}' exists" in status["flowError"]["message"]


def test_persistence_merge_a_single_entity(cluster, dog):
    cluster.run("persistence_persist", {"id": dog, "name": "old"})
    assert cluster.run("persistence_merge", {"id": dog, "name": "new"}) == f"dog '{dog}' merged"
    assert cluster.run("persistence_find", {"id": dog}) == f"found dog id='{dog}' name='new'"


def test_persistence_merge_multiple_entities(cluster, dogs):
    data = {"ids": ";".join(dogs), "name": "new"}
    assert cluster.run("persistence_merge_bulk", data) == f"dogs [{', '.join(dogs)}] merged"


def test_persistence_find_a_single_entity(cluster, dog):
    cluster.run("persistence_persist", {"id": dog, "name": "Rex"})
    assert cluster.run("persistence_find", {"id": dog}) == f"found dog id='{dog}' name='Rex'"
    assert cluster.run("persistence_find", {"id": dog}, BOB) == "no dog found"


def test_persistence_find_multiple_entities(cluster, dogs):
    data = {"ids": ";".join(dogs), "name": "Rex"}
    cluster.run("persistence_persist_bulk", data)
    found = cluster.run("persistence_find_bulk", data)
    assert found == "; ".join(f"id='{dog}' name='Rex'" for dog in dogs)


def test_persistence_find_all_entities(cluster, dog):
    assert cluster.run("persistence_findall", {}, CHARLIE) == "no dog found"
    cluster.run("persistence_persist", {"id": dog, "name": "Rex"})
    assert cluster.run("persistence_findall") == "found one or more dogs"


def test_persistence_find_with_a_named_query(cluster, dogs):
    name = f"only {dogs[0]}"
    cluster.run("persistence_persist_bulk", {"ids": ";".join(dogs), "name": name})
    assert cluster.run("persistence_query") == "found one or more dogs"
    found = cluster.run("persistence_query_named", {"name": name})
    assert found == f"[{', '.join(sorted(dogs))}]"


def test_persistence_delete_a_single_entity(cluster, dog):
    cluster.run("persistence_persist", {"id": dog, "name": "Rex"})
    assert cluster.run("persistence_delete", {"id": dog}) == f"dog '{dog}' deleted"
    assert cluster.run("persistence_find", {"id": dog}) == "no dog found"


def test_persistence_delete_multiple_entities(cluster, dogs):
    data = {"ids": ";".join(dogs), "name": "Rex"}
    cluster.run("persistence_persist_bulk", data)
    assert cluster.run("persistence_delete_bulk", data) == f"dogs [{', '.join(dogs)}] deleted"
    assert cluster.run("persistence_find_bulk", data) == ""


def test_persistence_composite_key(cluster, dog):
    answer = cluster.run("persistence_composite_key", {"name": dog, "breed": "tabby"})
    assert answer == "found True, swapped False, after removal False"


def test_crypto_sign_and_verify_bytes(cluster):
    assert cluster.run("crypto_sign_and_verify") == "true"


def test_crypto_verify_invalid_signature(cluster):
    assert cluster.run("crypto_verify_invalid_signature") == "true"


@pytest.mark.parametrize("data", [{}, {"digest": "SHA-256"}])
def test_crypto_get_default_signature_spec(cluster, data):
    assert cluster.run("crypto_get_default_signature_spec", data) == "SHA256withECDSA"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "SHA256withECDSA; SHA384withECDSA; SHA512withECDSA"),
        ({"digest": "SHA-256"}, "SHA256withECDSA"),
    ],
)
def test_crypto_get_compatible_signature_specs(cluster, data, expected):
    assert cluster.run("crypto_get_compatible_signature_specs", data) == expected


def test_crypto_signing_service_finds_my_signing_keys(cluster):
    assert cluster.run("crypto_find_my_signing_keys") == "success"


def test_crypto_get_default_digest_algorithm(cluster):
    assert cluster.run("crypto_get_default_digest_algorithm") == "SHA-256"


def test_crypto_get_supported_digest_algorithms(cluster):
    found = cluster.run("crypto_get_supported_digest_algorithms")
    assert found == "SHA-256; SHA-256D; SHA-384; SHA-512"


def test_lookup_member_by_x500_name(cluster):
    assert cluster.run("lookup_member_by_x500_name", {"id": CHARLIE}) == CHARLIE
    nobody = {"id": "O=Nobody, L=London, C=GB"}
    assert cluster.run("lookup_member_by_x500_name", nobody) == "not found"


def test_json_serialisation(cluster):
    assert cluster.run("json_serialization") == "1.50 GBP; True"


def test_keys_are_rotated_while_flows_sign(cluster):
    """Not Corda's: wrapping and master keys change under running flows."""
    for tenant in (cluster.nodes[ALICE], "master"):
        flows = [cluster.start(ALICE, "crypto_sign_and_verify") for _ in range(3)]
        cluster.post(f"/wrappingkey/rotation/{tenant}")
        flows += [cluster.start(ALICE, "crypto_sign_and_verify") for _ in range(3)]
        cluster.polled(f"/wrappingkey/rotation/{tenant}", lambda s: s["status"] == "DONE")
        for path in flows:
            assert cluster.ended(path)["flowStatus"] == "COMPLETED"
    assert cluster.run("crypto_sign_and_verify") == "true"
