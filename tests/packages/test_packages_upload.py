"""Uploads of CPIs: what is refused at once, what is proved in the background, what is stored."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cpi.package.verify import read_package
from host.domain.errors import UnavailableError
from host.domain.ids import short_hash_of
from host.guests.code import CodeMismatchError, CodeRefusedError, DescriptorMismatchError
from host.nodes.packages.errors import (
    GroupOfOthersError,
    PackageDuplicateError,
    PackageUploadRefusedError,
)
from tests.packages.conftest import GROUP_ID

OTHER_GROUP = "6b3c2d6e-1c22-4d6e-9d3c-222222222222"


def refusal(bench: Any, data: bytes, **options: Any) -> PackageUploadRefusedError:
    with pytest.raises(PackageUploadRefusedError) as refused:
        bench.service.upload(data, **options)
    assert bench.service.all() == []
    assert bench.files() == []
    return refused.value


def failure(bench: Any, data: bytes, kind: type[Exception]) -> str:
    request_id = bench.upload(data)
    with pytest.raises(kind) as failed:
        bench.service.upload_status(request_id)
    assert bench.service.all() == []
    assert bench.files() == []
    return str(failed.value)


def test_a_component_cpi_is_stored(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    data = make.contract_cpi()
    request_id = bench.service.upload(data, "wat.cpi")
    assert bench.service.upload_status(request_id).status == "Validating CPI"
    assert bench.service.all() == []
    bench.executor.run_all()
    status = bench.service.upload_status(request_id)
    (record,) = bench.service.all()
    assert (status.status, status.cpi_checksum) == ("OK", short_hash_of(record.file_checksum))
    assert record.identity.name == "iou"
    assert record.cpks[0].contract_types == ("wat.Contract",)
    assert record.cpks[0].state_types == (("wat.State", "wat.Contract"),)
    assert bench.service.get(record.file_checksum) == record
    assert b"".join(bench.service.chunks(record.file_checksum)) == data


def test_a_cpi_without_cpks_is_stored(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    assert bench.service.upload_status(bench.upload(make.cpi())).status == "OK"


def test_nothing_is_accepted_before_a_certificate_is_trusted(bench: Any, make: Any) -> None:
    refused = refusal(bench, make.cpi())
    assert refused.details["check"] == "no-trust"
    assert refused.message == "Error validating CPI.  Trusted certificates not set"


def test_an_untrusted_signer_is_refused(bench: Any, make: Any, other_key: Any) -> None:
    bench.trust(other_key)
    assert refusal(bench, make.cpi()).details["check"] == "signer-not-trusted"


def test_a_tampered_cpi_is_refused(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    data = bytearray(make.contract_cpi())
    data[len(data) // 2] ^= 1
    assert refusal(bench, bytes(data)).code == "package-upload-refused"


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive at all"])
def test_what_is_no_archive_is_refused(bench: Any, key: Any, data: bytes) -> None:
    bench.trust(key)
    assert "Error validating CPI" in refusal(bench, data).message


def test_a_cpb_is_no_cpi(bench: Any, key: Any, make: Any) -> None:
    bench.trust(key)
    cpk = make.cpk({})
    assert refusal(bench, cpk).message.startswith("Error validating CPI.  ")


def test_too_large_a_file_is_refused(bench: Any, key: Any) -> None:
    bench.trust(key)
    assert refusal(bench, b"x" * 1_000_001).details["check"] == "upload-size"


def test_a_cpk_for_a_later_platform_is_refused(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    refused = refusal(bench, make.cpi(make.cpk({}, min_platform_version=50300)))
    assert refused.details["check"] == "platform-version"
    assert "lower than minimum platform version 50300" in refused.message


def test_a_cpk_without_code_is_refused(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    refused = refusal(bench, make.cpi(make.cpk({"a.class": b"\xca\xfe"})))
    assert refused.details["check"] == "cpk-descriptor-missing"


@pytest.mark.parametrize(
    ("lies", "part"),
    [
        ({"contracts": ({"states": []},)}, "contracts"),
        ({"states": ({"name": "a.S"},)}, "states"),
        ({"flows": ({"name": "a.F", "kind": "daemon"},)}, "flows"),
        ({"entities": ({"name": 5, "key": "id"},)}, "entities"),
    ],
)
def test_declarations_of_a_wrong_shape_are_refused(
    bench: Any, make: Any, key: Any, lies: dict[str, Any], part: str
) -> None:
    bench.trust(key)
    refused = refusal(bench, make.contract_cpi(lies=lies))
    assert refused.details["check"] == "cpk-declaration-invalid"
    assert f": {part}: " in refused.message


@pytest.mark.parametrize(
    ("lies", "code", "words"),
    [
        ({"queries": ({"name": "q", "where": 5},)}, "cpk-declaration-invalid", ": queries: "),
        ({"queries": ({"name": "q", "when": "x"},)}, "cpk-declaration-invalid", ": queries: "),
        (
            {"queries": ({"name": "q", "where": "WHERE visible_states.type == 'a'"},)},
            "query-declaration-invalid",
            "query 'q': where: position 28, at '=': expected",
        ),
        (
            {"queries": ({"name": "q", "orderBy": ({"expression": "created"},)},)},
            "query-declaration-invalid",
            "query 'q': orderBy[0]: position 1, at 'created': expected",
        ),
        (
            {"states": ({"name": "a.S", "contract": "a.C", "vault": {"indexes": (("a b",),)}},)},
            "cpk-declaration-invalid",
            "a.S: 'a b' cannot be indexed",
        ),
        (
            {"states": ({"name": "a.S", "contract": "a.C", "vault": {"indexes": ((),)}},)},
            "cpk-declaration-invalid",
            ": states: ",
        ),
    ],
)
def test_what_is_declared_for_vaults_is_checked(
    bench: Any, make: Any, key: Any, lies: dict[str, Any], code: str, words: str
) -> None:
    bench.trust(key)
    refused = refusal(bench, make.contract_cpi(lies=lies))
    assert refused.details["check"] == code
    assert words in refused.message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"$ref": "http://example.com/schema"},
        {"items": {"$ref": "file:///etc/passwd"}},
        {"$ref": "#/$defs/missing"},
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}},
    ],
)
def test_schemas_that_are_none_or_lead_elsewhere_are_refused(
    bench: Any, make: Any, key: Any, schema: dict[str, Any]
) -> None:
    """Those of flows, and those of entities, which led the host to files and servers."""
    bench.trust(key)
    entity = {"name": "a.E", "key": "id", "schema": schema}
    refused = refusal(bench, make.contract_cpi(lies={"entities": (entity,)}))
    assert refused.details["check"] == "cpk-declaration-invalid"
    flow = {
        "name": "a.F",
        "kind": "client-startable",
        "protocol": None,
        "versions": [],
        "initiating": False,
        "inputSchema": schema,
        "outputSchema": None,
    }
    refused = refusal(bench, make.contract_cpi(lies={"flows": (flow,)}))
    assert refused.details["check"] == "cpk-declaration-invalid"


@pytest.mark.parametrize(
    "names", [{"name": "cordbox:repair"}, {"name": "a.F", "protocol": "cordbox.repair"}]
)
def test_flows_under_the_names_of_the_platforms_own_are_refused(
    bench: Any, make: Any, key: Any, names: dict[str, Any]
) -> None:
    bench.trust(key)
    flow = {
        "kind": "responder",
        "protocol": "p",
        "versions": [1],
        "initiating": False,
        "inputSchema": None,
        "outputSchema": None,
        **names,
    }
    refused = refusal(bench, make.contract_cpi(lies={"flows": (flow,)}))
    assert refused.details["check"] == "cpk-declaration-invalid"
    assert "the platform's own" in refused.message


def test_two_cpks_that_declare_one_contract_are_refused(
    bench: Any, make: Any, key: Any, component: Any, component_entries: Any
) -> None:
    bench.trust(key)
    entries = component_entries(component())
    data = make.cpi(make.cpk(entries), make.cpk(entries, name="com.example.rival"))
    assert "contract wat.Contract is declared by two CPKs" in refusal(bench, data).message


def test_a_component_that_imports_more_than_its_world_is_refused_at_once(
    bench: Any, make: Any, key: Any, clock_import: str
) -> None:
    bench.trust(key)
    refused = refusal(bench, make.contract_cpi(imports=clock_import))
    assert refused.details["check"] == "cpk-code-refused"
    assert refused.details["sandboxCode"] == "world-mismatch"
    assert "wasi:clocks/monotonic-clock" in refused.message


def test_a_descriptor_that_lies_about_its_code_is_refused(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    lies = {"contracts": ({"name": "other.Contract", "states": ["wat.State"]},)}
    told = failure(bench, make.contract_cpi(lies=lies), DescriptorMismatchError)
    assert "[wat.Contract]" in told
    assert "[other.Contract]" in told


def test_code_that_describes_itself_by_nonsense_is_refused(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    told = failure(bench, make.contract_cpi(description=[1, 2]), CodeRefusedError)
    assert "lists of named objects" in told


def test_the_same_cpi_twice_is_a_conflict(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    bench.upload(make.contract_cpi())
    with pytest.raises(
        PackageDuplicateError, match=r"CPI iou, 1\.0\.0, SHA-256:\w+ already exists"
    ):
        bench.service.upload(make.contract_cpi())
    assert len(bench.service.all()) == 1


def test_two_uploads_at_once_store_one(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    bench.service.upload(make.contract_cpi())
    with pytest.raises(PackageDuplicateError, match="is being uploaded already"):
        bench.service.upload(make.contract_cpi())
    bench.executor.run_all()
    assert len(bench.service.all()) == 1


def test_of_many_uploads_in_parallel_one_wins(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    data = make.cpi()

    def attempt(_: int) -> str:
        try:
            return bench.service.upload(data)
        except PackageDuplicateError:
            return ""

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(16)))
    assert len([request_id for request_id in answers if request_id]) == 1
    bench.executor.run_all()
    assert len(bench.service.all()) == 1


def test_other_versions_and_groups_are_other_cpis(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    bench.upload(make.cpi())
    bench.upload(make.cpi(version="0.9", group_id=OTHER_GROUP))
    assert {r.identity.version for r in bench.service.all()} == {"1.0.0", "0.9"}


def test_a_forced_upload_replaces_the_same_cpi(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    bench.upload(make.cpi())
    (before,) = bench.service.all()
    bench.upload(make.contract_cpi(), force=True)
    (after,) = bench.service.all()
    assert after.file_checksum != before.file_checksum
    assert bench.service.get(before.file_checksum) == after
    assert len(bench.files()) == 2


def test_a_forced_upload_needs_a_stored_cpi_of_its_group(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    assert "No instance of same CPI" in refusal(bench, make.cpi(), force=True).message
    bench.upload(make.cpi())
    with pytest.raises(PackageUploadRefusedError, match="different group ID"):
        bench.service.upload(make.cpi(group_id=OTHER_GROUP), force=True)


def test_a_stopping_host_takes_no_upload(bench: Any, make: Any, key: Any) -> None:
    bench.trust(key)
    bench.executor.shutdown()
    with pytest.raises(UnavailableError, match="stopping"):
        bench.service.upload(make.cpi())


@pytest.mark.slow
def test_the_iou_sample_is_stored_with_its_flows(bench: Any, iou_cpi: bytes, key: Any) -> None:
    bench.trust(key)
    assert bench.service.upload_status(bench.upload(iou_cpi)).status == "OK"
    (record,) = bench.service.all()
    contract, workflow = record.cpks
    assert contract.contract_types == ("iou_contracts.IouContract",)
    assert "iou_flows.IssueIou" in {flow.name for flow in record.startable_flows()}
    assert workflow.capabilities == ("ledger", "membership", "persistence", "sessions")
    assert [entity.name for entity in workflow.entities] == ["iou_flows.CreditLimit"]


@pytest.mark.slow
def test_sources_that_give_another_image_are_refused_with_both_digests(
    bench: Any, make: Any, key: Any, iou: Any, repack: Any
) -> None:
    bench.trust(key)
    contract = iou.cpks[0]
    assert contract.descriptor.form == "python"
    other = "SHA-256:" + "0" * 64

    def lie(descriptor: Any) -> Any:
        return replace(descriptor, code_digest=other)

    message = failure(bench, make.cpi(repack(contract.file.path, lie)), CodeMismatchError)
    facts = contract.descriptor
    assert f"image of the sources {facts.source_digest} in the runtime {facts.runtime}" in message
    assert f"is {facts.code_digest}, the descriptor says {other}" in message


@pytest.mark.slow
def test_a_descriptor_names_sources_runtime_and_image_and_no_tool(iou: Any) -> None:
    for cpk in iou.cpks:
        (read,) = read_package(cpk.file.path.read_bytes()).cpks
        code = json.loads(read.entries["wasm/descriptor.json"])["code"]
        assert code["imageDigest"] == cpk.descriptor.code_digest
        assert code["sourceDigest"] == cpk.descriptor.source_digest
        assert code["runtime"] == cpk.descriptor.runtime
        assert "componentDigest" not in code
        assert set(cpk.descriptor.toolchain) == {"cordbox", "sdk"}


@pytest.mark.slow
def test_other_sources_than_the_descriptor_names_are_refused(
    bench: Any, make: Any, key: Any, iou: Any, repack: Any
) -> None:
    bench.trust(key)
    data = make.cpi(
        repack(
            iou.cpks[0].file.path,
            lambda descriptor: descriptor,
            **{"wasm/python/iou_contracts.py": b"x = 1\n"},
        )
    )
    refused = refusal(bench, data)
    assert refused.details["check"] == "cpk-code-mismatch"
    assert "the sources have digest" in refused.message


class TestGroupsOfOthers:
    """A group belongs to the signers of its first CPI."""

    @pytest.fixture
    def theirs(self, make: Any, other_key: Any) -> Any:
        return type(make)(key=other_key)

    @pytest.fixture
    def founded(self, bench: Any, make: Any, key: Any, other_key: Any) -> Any:
        bench.trust(key)
        bench.trust(other_key)
        bench.upload(make.cpi())
        return bench

    def test_others_are_refused(self, founded: Any, theirs: Any) -> None:
        with pytest.raises(GroupOfOthersError, match="was founded by the signers") as refused:
            founded.service.upload(theirs.cpi())
        ours, other = (refused.value.details[name] for name in ("founders", "signers"))
        assert (refused.value.code, refused.value.details["group"]) == (
            "group-of-others",
            GROUP_ID,
        )
        (record,) = founded.service.all()
        assert record.identity.signer_summary_hash == ours != other
        assert len(founded.files()) == 1

    def test_the_founders_upload_more(self, founded: Any, make: Any) -> None:
        request_id = founded.upload(make.cpi(version="2.0.0"))
        assert founded.service.upload_status(request_id).status == "OK"

    def test_another_group_is_free(self, founded: Any, theirs: Any) -> None:
        request_id = founded.upload(theirs.cpi(group_id=OTHER_GROUP))
        assert founded.service.upload_status(request_id).status == "OK"

    def test_others_are_let_in_by_force_and_found_nothing(self, founded: Any, theirs: Any) -> None:
        founders = founded.service.founders(GROUP_ID)
        request_id = founded.upload(theirs.cpi(), force=True)
        assert founded.service.upload_status(request_id).status == "OK"
        assert founded.service.founders(GROUP_ID) == founders
        with pytest.raises(GroupOfOthersError):
            founded.service.upload(theirs.cpi(version="2.0.0"))
        assert founded.upload(theirs.cpi(version="2.0.0"), force=True)

    def test_force_is_not_for_what_is_new_otherwise(self, founded: Any, make: Any) -> None:
        with pytest.raises(PackageUploadRefusedError, match="previous version"):
            founded.service.upload(make.cpi(version="2.0.0"), force=True)

    def test_of_two_at_once_one_founds_the_group(
        self, bench: Any, make: Any, theirs: Any, key: Any, other_key: Any
    ) -> None:
        bench.trust(key)
        bench.trust(other_key)
        first, second = bench.service.upload(make.cpi()), bench.service.upload(theirs.cpi())
        bench.executor.run_all()
        assert bench.service.upload_status(first).status == "OK"
        with pytest.raises(GroupOfOthersError):
            bench.service.upload_status(second)
        assert len(bench.service.all()) == len(bench.files()) == 1
