import io
import zipfile
from dataclasses import replace

import pytest

from cpi.errors import CpiError
from cpi.package.build import CpkSpec, build_cpk
from host.guests.walls import Door
from host.tools.audit.model import Trust, document
from host.tools.audit.page import page_of
from host.tools.audit.policy import Policy, judge
from host.tools.audit.text import amount, size, text_of
from sandbox.host_api import HOST_API
from sandbox.limits import Limits


def test_contract_of_a_cpi_imports_nothing(audit, sample):
    found = audit(sample("iou").cpi)
    contract, workflow = found.components
    assert (found.package_type, found.name, found.trust) == ("CPI", "iou", Trust.TRUSTED)
    assert (contract.world, contract.form, contract.imports) == ("contract", "python", ())
    assert {"verify", "describe"} <= contract.exports.keys()
    assert workflow.world == "workflow"
    assert {(i.interface, i.function) for i in workflow.imports} == {
        (interface, function) for interface, names in HOST_API.items() for function in names
    }


def test_doors_follow_the_declared_capabilities(audit, sample):
    (hostile,) = audit(sample("hostile").cpi).components
    doors = {fact.interface: fact for fact in hostile.imports}
    assert hostile.capabilities == ("external-messaging", "ledger", "persistence", "sessions")
    assert {name for name, fact in doors.items() if fact.door is Door.REFUSED} == {
        "signing", "crypto", "membership",
    }  # fmt: skip
    assert doors["log"].door is Door.ALWAYS
    assert doors["log"].quota["logBytesMax"] == 64 * 1024
    assert doors["signing"].quota == {}
    assert doors["signing"].reaches is None
    assert doors["sessions"].reaches
    assert any("other virtual nodes" in sentence for sentence in hostile.leaves)
    assert any("outside" in sentence for sentence in hostile.leaves)


def test_limits_are_the_smaller_of_both_sides(audit, component_cpk):
    cpk = component_cpk(facts={"limits": {"fuelMax": 1000, "memoryBytesMax": 1 << 40}})
    (found,) = audit(cpk, limits=Limits(memory_bytes_max=1 << 20)).components
    limits = {limit.name: limit for limit in found.limits}
    assert (limits["fuelMax"].asked, limits["fuelMax"].effective) == (1000, 1000)
    assert limits["memoryBytesMax"].effective == 1 << 20
    assert limits["wallMsMax"].asked is None


def test_body_comes_from_the_binary(audit, component_cpk):
    cpk = component_cpk(
        declarations="(memory 2 7) (table 3 9 funcref) (func (memory.fill 1 (i32.const 0) (i32.const 0) (i32.const 0)))"
        " (func (drop (i8x16.splat (i32.const 0)))) (func $s) (start $s)"
    )
    (found,) = audit(cpk).components
    assert found.refusal is None
    assert found.body.modules == 2
    assert (found.body.memories[1].minimum, found.body.memories[1].maximum) == (2 << 16, 7 << 16)
    assert (found.body.tables[0].minimum, found.body.tables[0].maximum) == (3, 9)
    assert set(found.body.features) == {"bulk-memory", "multi-memory", "simd"}
    assert found.body.start_functions == 1


def test_plain_component_uses_no_feature(audit, component_cpk):
    (found,) = audit(component_cpk()).components
    assert found.body.features == ()
    assert found.packed_size < found.body.size


def test_python_facts_name_runtime_and_sources(audit, sample):
    whole = audit(sample("hostile").cpk)
    (found,), (runtime,) = whole.components, whole.runtimes
    assert runtime.known
    assert (found.runtime, runtime.cpks) == (runtime.digest, (found.name,))
    assert (found.body, found.image_size % 65_536) == (None, 0)
    assert runtime.body.memories[0].minimum <= found.image_size
    assert runtime.body.functions > 1_000
    assert found.source_files > 5
    assert found.code_digest.startswith("SHA-256:")
    assert "sdk" in found.toolchain


def test_a_runtime_is_told_once_and_an_image_for_each_cpk(audit, sample):
    found = audit(sample("iou").cpi)
    text, page = text_of(found, ()), page_of(found, Policy(), ())
    contract, workflow = found.components
    assert [r.cpks for r in found.runtimes] == [(contract.name,), (workflow.name,)]
    for component in found.components:
        for told in (text, page):
            assert told.count(component.code_digest) == 1
            assert component.source_digest in told
            assert size(component.image_size) in told
    for runtime in found.runtimes:
        assert page.count(f"{amount(runtime.body.functions)} functions") == 1


@pytest.mark.parametrize("layer", ["cpk", "cpb", "cpi"])
def test_every_layer_is_audited(audit, sample, layer):
    found = audit(getattr(sample("hostile"), layer))
    assert found.package_type == layer.upper()
    assert [c.name for c in found.components] == ["com.cordbox.samples.hostile.workflows"]


def test_trust_is_told(audit, sample, other_key):
    cpi = sample("hostile").cpi
    unjudged = audit(cpi, trusted=())
    untrusted = audit(cpi, trusted=other_key.certificate_chain[:1])
    assert unjudged.trust is Trust.NOT_JUDGED
    assert untrusted.trust is Trust.UNTRUSTED
    assert len(untrusted.components) == 1
    assert judge(unjudged, Policy()) == ()
    assert {f.code for f in judge(untrusted, Policy())} == {"audit-signer-untrusted"}


def unsigned(data: bytes) -> bytes:
    """The same archive without its signature files, its members unsigned as well."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name.upper().endswith((".SF", ".EC", ".RSA")):
                continue
            content = old.read(name)
            new.writestr(name, unsigned(content) if name.endswith((".jar", ".cpb")) else content)
    return out.getvalue()


@pytest.mark.parametrize("layer", ["cpk", "cpb", "cpi"])
def test_unsigned_packages_are_audited_and_say_so(audit, sample, layer):
    data = getattr(sample("hostile"), layer)
    signed, found = audit(data), audit(unsigned(data))
    assert found.trust is Trust.NOT_VERIFIED
    assert found.trust_notes
    assert found.signers == ()
    (before,), (after,) = signed.components, found.components
    assert (after.imports, after.body) == (before.imports, before.body)
    assert "audit-package-refused" in {f.code for f in judge(found, Policy())}


def test_broken_descriptor_is_told(audit, key):
    spec = CpkSpec(
        symbolic_name="com.example.broken",
        version="1.0.0",
        cordapp_kind="contract",
        cordapp_name="com.example.broken",
        cordapp_version=1,
        vendor="Tests",
        licence="none",
        entries={"wasm/descriptor.json": b'{"descriptorVersion": 7}'},
    )
    found = audit(build_cpk(spec, (key,)))
    assert found.trust is Trust.NOT_VERIFIED
    assert [note.code for note in found.trust_notes] == ["descriptor-invalid"]
    assert [c.form for c in found.components] == ["none"]


def test_lying_descriptor_is_a_finding(audit, component_cpk):
    cpk = component_cpk(facts={"contracts": ({"name": "other.Contract", "states": []},)})
    found = audit(cpk)
    (component,) = found.components
    assert component.refusal.code == "cpk-descriptor-mismatch"
    assert component.imports is None
    assert [f.code for f in judge(found, Policy())] == ["audit-code-refused"]


def test_component_outside_its_world_is_a_finding(audit, component_cpk):
    clock = (
        '(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))'
    )
    (component,) = audit(component_cpk(imports=clock)).components
    assert component.refusal.code == "world-mismatch"
    assert "wasi:clocks" in component.refusal.message


def test_no_package_is_refused(audit):
    with pytest.raises(CpiError):
        audit(b"PK no archive")


def test_document_is_plain_and_camel_case(audit, component_cpk):
    told = document(audit(component_cpk()))
    assert told["auditVersion"] == 2
    assert told["components"][0]["codeDigest"].startswith("SHA-256:")
    assert told["components"][0]["body"]["memories"] == [{"minimum": 65536, "maximum": None}]


def test_audit_of_equal_bytes_is_equal(audit, component_cpk):
    first = audit(component_cpk())
    assert audit(component_cpk(), file="app.cpi").components[0].body == first.components[0].body
    assert replace(first, file="other").components == first.components
