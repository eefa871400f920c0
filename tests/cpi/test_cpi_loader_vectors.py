"""Corda's own loader, manifest, hash, format and version cases, named as our fact sheet lists them."""

import hashlib

import pytest

from cpi.crypto.signer_hash import hashed_text, signer_summary_hash, summary_hash_of_names
from cpi.jar.manifest import encode_manifest, parse_manifest
from cpi.package.attributes import read_cpk_attributes
from cpi.package.model import PackageType
from cpi.package.verify import read_package
from cpi.package.versions import compare_versions
from tests.cpi import support
from tests.cpi.support import NOW, accept, refusal, refuse

CPK = {
    "Corda-CPK-Format": "2.0",
    "Bundle-SymbolicName": "test.cpk",
    "Bundle-Version": "1.0.0.0",
    "Cordapp-Workflow-Name": "Test",
    "Cordapp-Workflow-Version": "1",
    "Cordapp-Workflow-Vendor": "R3",
    "Cordapp-Workflow-Licence": "Unknown",
}
CONTRACT = {name.replace("Workflow", "Contract"): value for name, value in CPK.items()}


def attributes(main: dict[str, str], **changes: str | None):
    changed = {**main, **{k.replace("_", "-"): v for k, v in changes.items()}}
    kept = {name: value for name, value in changed.items() if value is not None}
    return read_cpk_attributes(
        parse_manifest(encode_manifest({"Manifest-Version": "1.0", **kept})).main
    )


# Loader


def test_l_cpi_01_loads_a_cpi() -> None:
    result = accept(support.cpi(), PackageType.CPI)
    assert (result.id.name, result.id.version) == ("testCpi", "1.0.0.0")
    assert result.group_policy == support.policy()
    assert [cpk.file_name for cpk in result.cpks] == [
        "testCpk1-1.0.0.0.jar",
        "testCpk2-1.0.0.0.jar",
    ]


def test_l_cpi_02_duplicate_cpks() -> None:
    members = {"a.jar": support.cpk(version="1"), "b.jar": support.cpk(version="2")}
    error = refusal(support.cpi(bundle=support.cpb(cpks=members)))
    assert error.code == "cpk-duplicate-name"
    assert error.message == "Multiple CPKs share the Corda-CPK-Cordapp-Name test.cpk"


def test_l_cpi_03_platform_below_the_minimum() -> None:
    member = support.cpk(min_platform_version=999999, target_platform_version=999999)
    assert refuse(support.cpi(bundle=support.cpb(cpks={"a.jar": member}))) == ["platform-version"]


def test_l_cpk_01_loads_a_cpk() -> None:
    (cpk,) = accept(support.cpk(), PackageType.CPK).cpks
    assert (cpk.id.name, cpk.id.version) == ("test.cpk", "1.0.0.0")
    assert len(cpk.libraries) == 3
    assert cpk.entries["config/external-channels.json"] == b'{"channels": []}'


def test_l_cpk_02_04_hashes_and_content_of_libraries() -> None:
    (cpk,) = accept(support.cpk()).cpks
    assert {name: cpk.entries[name] for name in cpk.libraries} == support.LIBRARIES
    for name, content in support.LIBRARIES.items():
        assert cpk.entries.digest(name) == hashlib.sha256(content).digest()
        assert cpk.entries.size(name) == len(content)
    assert cpk.entries.size("lib/none.jar") == 0


def test_l_cpk_03_hash_of_the_file() -> None:
    data = support.cpk()
    result = accept(data)
    expected = f"SHA-256:{hashlib.sha256(data).hexdigest().upper()}"
    assert result.file_checksum == result.cpks[0].file_checksum == expected
    (inner,) = accept(support.cpb(cpks={"a.jar": data})).cpks
    assert inner.file_checksum == expected


def test_l_cpk_05_11_signers_summary_hash() -> None:
    (cpk,) = accept(support.cpk()).cpks
    name = "C=IE,L=Dublin,O=Corda,OU=R3,CN=Alice"
    of_name = f"SHA-256:{hashlib.sha256(name.encode()).hexdigest().upper()}"
    expected = hashlib.sha256(of_name.encode()).hexdigest().upper()
    assert cpk.id.signer_summary_hash == f"SHA-256:{expected}"


def test_l_cpk_06_no_manifest() -> None:
    data = support.edit(support.cpk(), lambda es: [e for e in es if e[0] != "META-INF/MANIFEST.MF"])
    assert refuse(data) == ["manifest-missing"]


def test_l_cpk_07_no_dependencies_listed() -> None:
    (cpk,) = accept(support.cpk(dependencies=())).cpks
    assert cpk.dependencies == ()


def test_l_cpk_08_a_dependency_without_a_rule() -> None:
    """Disabled in Corda for want of file hashes; here the rule is one of two, never none."""
    document = b'{"formatVersion":"2.0","dependencies":[{"name":"n","version":"1"}]}'
    data = support.resigned(CPK, {"META-INF/CPKDependencies.json": document})
    assert refuse(data) == ["dependencies-invalid"]


def test_l_cpk_09_tampered_archive() -> None:
    """Corda's loader throws a SecurityException; reading without judging trust refuses it too."""
    data = support.replace_entry(support.cpk(), "package/Cpk1.class", lambda _: b"tampered")
    assert refuse(data) == ["digest-mismatch"]
    with pytest.raises(Exception, match=r"digest error for package/Cpk1\.class"):
        read_package(data, at=NOW)


def test_l_cpk_10_no_archive() -> None:
    assert refuse(b"no jar file at all" * 10) == ["archive-invalid"]


# Manifest


@pytest.mark.parametrize(("main", "kind"), [(CONTRACT, "contract"), (CPK, "workflow")],
                         ids=["m_01_contract", "m_02_workflow"])  # fmt: skip
def test_m_01_02_default_attributes(main: dict[str, str], kind: str) -> None:
    found, issues = attributes(main)
    assert issues == []
    assert (found.symbolic_name, found.version, found.kind) == ("test.cpk", "1.0.0.0", kind)


def test_m_03_other_attributes() -> None:
    (cpk,) = accept(support.cpk(attributes={"Corda-Contract-Classes": "a.B,c.D", "X-Y": "z"})).cpks
    assert cpk.attributes["Corda-Contract-Classes"] == "a.B,c.D"
    assert cpk.attributes["X-Y"] == "z"


def test_m_04_default_platform_versions() -> None:
    found, _ = attributes(CPK)
    assert found.min_platform_version == 50000


@pytest.mark.parametrize(
    ("main", "attribute", "value"),
    [
        (CPK, "Bundle-SymbolicName", None),
        (CPK, "Bundle-Version", None),
        (CPK, "Min-Platform-Version", "five"),
        (CPK, "Target-Platform-Version", "five"),
        (CONTRACT, "Cordapp-Contract-Version", "one"),
        (CPK, "Cordapp-Workflow-Version", "one"),
    ],
    ids=["m_05", "m_06", "m_07", "m_08", "m_09", "m_10"],
)
def test_m_05_to_10_missing_and_no_integers(main: dict[str, str], attribute: str, value) -> None:
    found, issues = attributes(main, **{attribute.replace("-", "_"): value})
    assert found is None
    assert [issue.code for issue in issues] == ["manifest-attribute"]
    assert attribute in issues[0].message


# Hashes

ALICE = [[("CN", "Alice")], [("O", "R3")], [("L", "Dublin")], [("C", "IE")]]
BOB = [[("CN", "Bob")], [("O", "R3")], [("L", "Dublin")], [("C", "IE")]]


def test_h_01_names_are_hashed_sorted_and_hashed() -> None:
    hashes = [hashlib.sha256(hashed_text(name).encode()).digest() for name in (ALICE, BOB)]
    hashes.sort(key=lambda h: [b - 256 if b > 127 else b for b in h])
    text = "".join(f"SHA-256:{h.hex().upper()}" for h in hashes)
    expected = f"SHA-256:{hashlib.sha256(text.encode()).hexdigest().upper()}"
    assert summary_hash_of_names([ALICE, BOB]) == summary_hash_of_names([BOB, ALICE]) == expected


def test_h_02_h_04_attribute_order_does_not_matter() -> None:
    assert hashed_text(ALICE) == hashed_text(ALICE[::-1]) == "C=IE,L=Dublin,O=R3,CN=Alice"


def test_h_03_a_renewed_certificate_gives_the_same_hash() -> None:
    leaf = support.alice().certificate_chain[0]
    renewed = support.certificate(
        leaf.subject.rfc4514_string(), support.bob().private_key, support.ca(1)
    )
    assert renewed.serial_number != leaf.serial_number
    assert signer_summary_hash([renewed]) == signer_summary_hash([leaf])


# Format versions: Corda parses many and then takes 2.0 alone; here 2.0 alone is taken at once.


@pytest.mark.parametrize(
    "value",
    [None, "", "1", ".1", "1.1.1", "0.0", "0.1", "0.01", "1.0", "1.1", "1.10", "2.1", "2.10",
     "1000.2000", "2147483647.2147483647", "2.0 ", "02.0", "2.00"],
)  # fmt: skip
@pytest.mark.parametrize("kind", list(PackageType))
def test_format_version(kind: PackageType, value: str | None) -> None:
    main = {
        PackageType.CPK: CPK,
        PackageType.CPB: {"Corda-CPB-Name": "a", "Corda-CPB-Version": "1"},
        PackageType.CPI: {"Corda-CPI-Name": "a", "Corda-CPI-Version": "1"},
    }[kind]
    entries = {
        PackageType.CPK: {"META-INF/CPKDependencies.json": b'{"formatVersion":"2.0","dependencies":[]}'},
        PackageType.CPB: {"a.jar": support.cpk()},
        PackageType.CPI: {"META-INF/GroupPolicy.json": support.policy().encode()},
    }[kind]  # fmt: skip
    name = f"Corda-{kind}-Format"
    assert accept(support.resigned({**main, name: "2.0"}, entries), kind)
    changed = (
        {**main, name: value} if value is not None else {k: v for k, v in main.items() if k != name}
    )
    assert refuse(support.resigned(changed, entries), kind) == ["package-format"]


# Versions

VERSIONS = [
    ("1.2", "1.0", 1), ("1.2", "1", 1), ("1.00", "1.0", 0), ("1.09", "1.09", 0),
    ("1.2", "1.09", -1), ("1.2", "1.10", -1), ("1.2", "1.100", -1), ("", "1.5", -1),
    ("", None, 1), ("asdfg-2019", "asdfg-2020", -1), ("5.9.12.arch1-1", "5.8.0.arch1-1", 1),
    ("5.9.12.arch1-1", "5.10.0.arch1-1", -1), ("5.10.0.arch1-1", "5.10.0.arch1-3", -1),
    ("5.10.0.arch1-10", "5.10.0.arch1-3", 1), ("20191220.6871bff-1", "20201120.bc9cd0b-1", -1),
    ("123", "124", -1), (":", "123", -1), ("123:", "124:", -1), ("123a", "123b", -1),
    ("123:1.2.3", "456:1.2.4", -1), ("bbb:1.2.3", "bbb:1.2.2", 1), ("bbb:1.2.3", "ccc:1.2.3", -1),
    ("abc:def-ghi", "abc:def-ghij", -1), ("123:1.2.3-abc", "123:1.2.3-abc", 0),
    ("123:1.2.3-abc", "123:1.3.4", -1), ("123:1.2.3-SNAPSHOT", "123:1.2.3", 0),
    ("1.2.3", "1.2.3-release", 0), (":-", "-release", 1), ("0:", "-release", 0),
    ("0", "-release", 1), ("", "", 0), ("5", "l", 1), (":", "r", 1), ("h", "!", -1),
    ("!", "8", -1), ("aaa:@@@@1.0", "aaa:@@1.0", 1), ("$$$$1.0", "££££1.0", 0), ("z:74", "zO:4", -1),
    ("02.67174.1", "2.3447.96465", 1), ("7-eHQwmPfK", "74-CCSnIoQ", -1),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "order"), VERSIONS)
def test_version_order(left: str | None, right: str | None, order: int) -> None:
    assert compare_versions(left, right) == order
    assert compare_versions(right, left) == -order
