"""Corda's own verifier tests, by the ids of its conformance list (V-CPK, V-CPB, V-CPI, V-DEP)."""

import base64
import hashlib
from collections.abc import Callable

import pytest

from cpi.errors import DependenciesError
from cpi.jar.signing import resign
from cpi.package.dependencies import encode_dependencies, parse_dependencies
from cpi.package.model import CpkDependency, PackageType
from tests.cpi import support
from tests.cpi.support import (
    accept,
    alice,
    bob,
    ca,
    cpk,
    drop_section,
    edit,
    refusal,
    refuse,
    replace_entry,
    resigned,
    root,
    root_signer,
)

LAYERS = {
    "CPK": (support.cpk, "META-INF/privatelib/library1.jar"),
    "CPB": (support.cpb, "testCpk1-1.0.0.0.jar"),
    "CPI": (support.cpi, "testCpbV2.cpb"),
}
Make = Callable[..., bytes]


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> tuple[PackageType, Make, str]:
    make, victim = LAYERS[request.param]
    return PackageType(request.param), make, victim


def test_v_cpk_01_v_cpb_01_v_cpi_01_valid(layer) -> None:
    kind, make, _ = layer
    result = accept(make(), kind)
    assert result.type is kind
    assert accept(make()).type is kind, "the type is found in the manifest too"


def test_v_cpk_02_v_cpb_02_v_cpi_02_not_signed(layer) -> None:
    kind, make, _ = layer
    unsigned = edit(make(), lambda es: [e for e in es if not e[0].endswith((".SF", ".EC"))])
    assert refuse(unsigned, kind) == ["not-signed"]


def test_v_cpk_03_v_cpb_05_v_cpi_03_no_manifest(layer) -> None:
    kind, make, _ = layer
    without = edit(make(), lambda es: [e for e in es if e[0] != "META-INF/MANIFEST.MF"])
    error = refusal(without, kind)
    assert error.code == "manifest-missing"
    assert "missing or is not the first entry" in error.message


def test_v_cpk_04_v_cpb_06_v_cpi_04_entry_deleted_from_manifest(layer) -> None:
    kind, make, victim = layer
    broken = replace_entry(make(), "META-INF/MANIFEST.MF", lambda raw: drop_section(raw, victim))
    error = refusal(broken, kind)
    assert error.code == "signature-invalid"
    assert error.message == f"no manifest section for signature file entry {victim}"


def test_v_cpk_05_v_cpb_07_v_cpi_05_entry_deleted_from_signature_file(layer) -> None:
    kind, make, victim = layer
    broken = replace_entry(make(), "META-INF/ALICE.SF", lambda raw: drop_section(raw, victim))
    error = refusal(broken, kind)
    assert error.code == "signature-invalid"
    assert "cannot verify signature block file META-INF/ALICE" in error.message


def test_v_cpk_06_v_cpb_08_v_cpi_06_entry_deleted_from_one_of_two_signature_files(layer) -> None:
    kind, make, victim = layer
    both = make(alice(), bob())
    assert len(accept(both, kind).signers) == 2
    broken = replace_entry(both, "META-INF/BOB.SF", lambda raw: drop_section(raw, victim))
    assert "META-INF/BOB" in refusal(broken, kind).message


def test_v_cpk_07_v_cpb_09_v_cpi_07_file_modified(layer) -> None:
    kind, make, victim = layer
    error = refusal(replace_entry(make(), victim, lambda raw: raw + b" "), kind)
    assert error.code == "digest-mismatch"
    assert error.message.startswith(f"SHA-256 digest error for {victim}: expected ")


def test_v_cpk_08_v_cpb_10_v_cpi_08_unsigned_file_added(layer) -> None:
    kind, make, _ = layer
    error = refusal(edit(make(), lambda es: [*es, ("added_file.txt", b"x")]), kind)
    assert error.code == "not-signed"
    assert "File added_file.txt is not signed" in error.message


def test_v_cpk_09_v_cpb_11_v_cpi_09_signed_file_added(layer) -> None:
    """Alice's signature stays, and Bob signs on top of one more file."""
    kind, make, _ = layer
    original = make()
    alices = [e for e in support.entries_of(original) if e[0].startswith("META-INF/ALICE")]
    more = edit(original, lambda es: [es[0], *es[3:], ("added_file.txt", b"x")])
    bobs = support.entries_of(resign(more, [bob()], keep_signatures=False))
    mixed = support.write_archive([bobs[0], *alices, *bobs[1:]])
    error = refusal(mixed, kind)
    assert error.code == "signer-mismatch"
    assert error.message.startswith("Mismatch between signers")


def test_v_cpk_10_v_cpb_12_v_cpi_10_file_deleted(layer) -> None:
    kind, make, victim = layer
    error = refusal(edit(make(), lambda es: [e for e in es if e[0] != victim]), kind)
    assert error.code == "entry-missing"
    assert error.message.startswith(f"Manifest entry found for missing file {victim}")


def test_v_cpb_03_signed_by_correct_root() -> None:
    result = accept(support.cpb(alice(), root_signer()), PackageType.CPB)
    assert len(result.signers) == 2


def test_v_cpb_04_signed_by_different_root() -> None:
    error = refusal(support.cpb(root_signer()), PackageType.CPB, trusted=(ca(1).certificate,))
    assert error.code == "signer-not-trusted"
    assert "CN=Corda Dev Root CA,OU=R3,O=Corda,L=Dublin,C=IE" in error.message
    assert "Path does not chain with any of the trust anchors" in error.message


def bundle_with(*dependencies: CpkDependency, library_keys=None) -> bytes:
    return support.cpb(
        cpks={
            "app.jar": support.cpk(symbolic_name="app", dependencies=dependencies),
            "lib.jar": support.cpk(*(library_keys or ()), symbolic_name="lib"),
        }
    )


@pytest.mark.parametrize(
    ("dependency", "reason"),
    [
        (CpkDependency(name="other", version="1.0.0.0"), "no CPK of that name"),
        (CpkDependency(name="lib", version="2.0"), "found version 1.0.0.0"),
    ],
    ids=["v_cpb_13_missing", "v_cpb_14_version"],
)
def test_v_cpb_13_14_dependency_not_satisfied(dependency, reason) -> None:
    error = refusal(bundle_with(dependency), PackageType.CPB)
    assert error.code == "dependency-unsatisfied"
    assert 'CPK "app.jar" has unsatisfied dependency' in error.message
    assert reason in error.message


def test_v_cpb_15_dependency_of_other_signer() -> None:
    dependency = CpkDependency(name="lib", version="1.0.0.0")
    assert accept(bundle_with(dependency), PackageType.CPB)
    error = refusal(bundle_with(dependency, library_keys=[bob()]), PackageType.CPB)
    assert "signed by other certificates" in error.message


def test_v_cpb_16_17_hash_dependency() -> None:
    digest = hashlib.sha256(support.cpk(symbolic_name="lib")).digest()
    right = CpkDependency(name="lib", version="1.0.0.0", hash_algorithm="SHA-256", file_hash=digest)
    wrong = CpkDependency(
        name="lib", version="1.0.0.0", hash_algorithm="SHA-256", file_hash=digest[::-1]
    )
    assert accept(bundle_with(right), PackageType.CPB)
    assert refuse(bundle_with(wrong), PackageType.CPB) == ["dependency-unsatisfied"]


def test_v_dep_01_parses_dependencies_in_order() -> None:
    digest = bytes(range(32))
    document = (
        b'{"formatVersion":"2.0","dependencies":['
        b'{"name":"net.acme.contract","version":"1.0.0","verifyFileHash":'
        b'{"algorithm":"SHA-256","fileHash":"' + base64.b64encode(digest) + b'"}},'
        b'{"name":"com.example.one","version":"2.0.0","verifySameSignerAsMe":true}]}'
    )
    parsed = parse_dependencies(document)
    assert parsed == (
        CpkDependency(
            name="net.acme.contract", version="1.0.0", hash_algorithm="SHA-256", file_hash=digest
        ),
        CpkDependency(name="com.example.one", version="2.0.0"),
    )
    assert encode_dependencies(parsed) == document


def test_v_dep_02_parses_empty_dependencies() -> None:
    assert parse_dependencies(b'{"formatVersion":"2.0","dependencies":[]}') == ()


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ('{"version":"1","verifySameSignerAsMe":true}', "$.dependencies[0]: 'name' is a required"),
        ('{"name":"n","verifySameSignerAsMe":true}', "$.dependencies[0]: 'version' is a required"),
        (
            '{"name":"n","version":"1","verifySameSignerAsMe":false}',
            "$.dependencies[0].verifySameSignerAsMe: False is not one of [True]",
        ),
        (
            '{"name":"n","version":"1","verifySameSignerAsMe":true,"type":"corda-api"}',
            "$.dependencies[0]: Additional properties",
        ),
        ('{"name":"n","version":"1"}', "$.dependencies[0]"),
        (
            '{"name":"n","version":"1","verifyFileHash":{"algorithm":"MD5","fileHash":""}}',
            "$.dependencies[0].verifyFileHash.algorithm: 'MD5' is none of",
        ),
        (
            '{"name":"n","version":"1","verifyFileHash":{"algorithm":"SHA-256","fileHash":"?"}}',
            "$.dependencies[0].verifyFileHash.fileHash",
        ),
    ],
    ids=["v_dep_03", "v_dep_04", "v_dep_05", "type", "no-rule", "algorithm", "base64"],
)
def test_v_dep_03_04_05_schema(item: str, path: str) -> None:
    with pytest.raises(DependenciesError) as refused:
        parse_dependencies(f'{{"formatVersion":"2.0","dependencies":[{item}]}}'.encode())
    assert "CPK dependencies document validation error(s)" in refused.value.message
    assert path in refused.value.message


def test_trust_is_checked_on_every_layer() -> None:
    stranger = support.self_signed("ec256")
    inner = support.cpb(cpks={"a.jar": support.cpk(stranger)})
    error = refusal(support.cpi(bundle=inner), trusted=(root().certificate,))
    assert error.code == "signer-not-trusted"
    assert error.entry == "testCpbV2.cpb!/a.jar"
    assert accept(support.cpi(bundle=inner), trusted=(root().certificate, stranger.anchor))


def test_a_signature_only_verification_takes_any_signed_jar() -> None:
    """It has no type, and passes for no package that it is not."""
    jar = resigned({}, {"a.txt": b"text"})
    result = accept(jar, signature_only=True)
    assert (result.type, result.id, result.cpks) == (None, None, ())
    assert refuse(jar) == ["package-type"]
    assert refuse(jar, PackageType.CPI, signature_only=True) == ["package-type"]
    assert refuse(cpk(), PackageType.CPI, signature_only=True) == ["package-type"]
    assert accept(cpk(), PackageType.CPK, signature_only=True).type is PackageType.CPK
    both = resigned({"Corda-CPK-Format": "2.0", "Corda-CPI-Format": "2.0"}, {"a.txt": b"text"})
    assert refuse(both, signature_only=True) == ["package-type"]
