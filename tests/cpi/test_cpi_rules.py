"""Package rules that Corda's own tests do not cover, or on which its two code paths disagree."""

import pytest

from cpi.jar.signing import sign_entries
from cpi.package.model import PackageType
from tests.cpi import support
from tests.cpi.support import accept, alice, refusal, refuse, resigned

DEPENDENCIES = {"META-INF/CPKDependencies.json": b'{"formatVersion":"2.0","dependencies":[]}'}
CPK_MAIN = {
    "Corda-CPK-Format": "2.0",
    "Bundle-SymbolicName": "a.b",
    "Bundle-Version": "1.0.0",
    "Cordapp-Workflow-Name": "W",
    "Cordapp-Workflow-Version": "1",
    "Cordapp-Workflow-Vendor": "R3",
    "Cordapp-Workflow-Licence": "Apache",
}
CPI_MAIN = {"Corda-CPI-Format": "2.0", "Corda-CPI-Name": "n", "Corda-CPI-Version": "1"}


def cpk_with(changes: dict[str, str | None], entries: dict[str, bytes] | None = None) -> bytes:
    main = {k: v for k, v in {**CPK_MAIN, **changes}.items() if v is not None}
    return resigned(main, entries if entries is not None else DEPENDENCIES)


def test_the_base_of_the_cases_is_accepted() -> None:
    result = accept(cpk_with({}), PackageType.CPK)
    assert result.id is not None
    assert (result.id.name, result.id.version) == ("a.b", "1.0.0")
    assert result.cpks[0].min_platform_version == 50000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Corda-CPK-Format": "1.0"}, "package-format"),
        ({"Corda-CPK-Format": "2.1"}, "package-format"),
        ({"Corda-CPK-Format": "2.0 "}, "package-format"),
        ({"Corda-CPK-Format": ""}, "package-format"),
        ({"Corda-CPK-Format": None}, "package-format"),
        ({"Bundle-SymbolicName": None}, "manifest-attribute"),
        ({"Bundle-Version": None}, "manifest-attribute"),
        ({"Bundle-Version": " "}, "manifest-attribute"),
        ({"Bundle-Version": "1" * 256}, "manifest-attribute"),
        ({"Corda-CPK-Cordapp-Name": ""}, "manifest-attribute"),
        ({"Cordapp-Workflow-Name": None}, "manifest-attribute"),
        ({"Cordapp-Workflow-Vendor": None}, "manifest-attribute"),
        ({"Cordapp-Workflow-Licence": None}, "manifest-attribute"),
        ({"Cordapp-Workflow-Version": "one"}, "manifest-attribute"),
        ({"Cordapp-Workflow-Version": "1.0"}, "manifest-attribute"),
        ({"Cordapp-Workflow-Version": "99999999999"}, "manifest-attribute"),
        ({"Min-Platform-Version": "x"}, "manifest-attribute"),
        ({"Target-Platform-Version": "x"}, "manifest-attribute"),
        ({"Min-Platform-Version": "50300"}, "platform-version"),
        (
            {
                "Cordapp-Contract-Name": "C",
                "Cordapp-Contract-Version": "1",
                "Cordapp-Contract-Vendor": "R3",
                "Cordapp-Contract-Licence": "A",
            },
            "manifest-attribute",
        ),
    ],
)
def test_cpk_attributes(changes: dict[str, str | None], code: str) -> None:
    assert refuse(cpk_with(changes), PackageType.CPK) == [code]


def test_every_wrong_attribute_is_reported() -> None:
    codes = refuse(cpk_with({"Bundle-Version": None, "Cordapp-Workflow-Vendor": None}))
    assert codes == ["manifest-attribute", "manifest-attribute"]


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ({"x.txt": b"x"}, "dependencies-invalid"),
        (
            {"META-INF/cpkdependencies.json": DEPENDENCIES["META-INF/CPKDependencies.json"]},
            "dependencies-invalid",
        ),
        (
            {"META-INF/CPKDependencies.json": b'{"formatVersion":"2.0","dependencies":[],"x":1}'},
            "dependencies-invalid",
        ),
    ],
    ids=["missing", "other-case", "unknown-root-key"],
)
def test_cpk_dependencies_document(entries: dict[str, bytes], code: str) -> None:
    assert refuse(cpk_with({}, entries), PackageType.CPK) == [code]


@pytest.mark.parametrize(
    "channels",
    [
        b"",
        b"{}",
        b'{"channels":[{"name":"a"}]}',
        b'{"channels":[{"type":"SEND"}]}',
        b'{"channels":[{"name":"a","type":"RECEIVE"}]}',
        b'{"channels":[{"name":"","type":"SEND"}]}',
        b'{"channels":[{"name":"a b","type":"SEND"}]}',
        b'{"channels":[{"name":"a\\n","type":"SEND"}]}',
        b'{"channels":[{"name":"a","type":"SEND","x":1}]}',
        b'{"channels":[],"x":1}',
        b'{"channels":[],"channels":[]}',
    ],
)
def test_external_channels(channels: bytes) -> None:
    entries = {**DEPENDENCIES, "config/external-channels.json": channels}
    assert set(refuse(cpk_with({}, entries))) == {"external-channels-invalid"}


def cpi_of(entries: dict[str, bytes], **changes: str | None) -> bytes:
    main = {k.replace("_", "-"): v for k, v in changes.items()}
    return resigned({k: v for k, v in {**CPI_MAIN, **main}.items() if v is not None}, entries)


POLICY = "META-INF/GroupPolicy.json"


def test_a_cpi_without_cpb_is_valid() -> None:
    result = accept(cpi_of({POLICY: support.policy().encode()}))
    assert result.type is PackageType.CPI
    assert result.cpks == ()
    assert result.group_policy == support.policy()


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({POLICY: None, "x.txt": b"x"}, "package-layout"),
        ({POLICY: None, "META-INF/grouppolicy.json": b"{}"}, "package-layout"),
        ({"other/GroupPolicy.json": b"{}"}, "package-layout"),
        ({"sub/x.cpb": "cpb"}, "package-layout"),
        ({"X.CPB": "cpb"}, "package-layout"),
        ({"a.cpb": "cpb", "b.cpb": "cpb"}, "package-layout"),
        ({"a.cpb": b"no archive"}, "archive-invalid"),
        ({"a.cpb": "cpk"}, "package-format"),
        ({POLICY: b"{}"}, "group-policy-invalid"),
    ],
)
def test_cpi_layout(extra: dict[str, bytes | str | None], code: str) -> None:
    made = {"cpb": support.cpb(), "cpk": support.cpk()}
    entries = {POLICY: support.policy().encode(), **extra}
    contents = {n: made.get(c, c) for n, c in entries.items() if c is not None}
    assert code in refuse(cpi_of(contents), PackageType.CPI)


@pytest.mark.parametrize("attribute", ["Corda-CPI-Name", "Corda-CPI-Version", "Corda-CPI-Format"])
def test_cpi_attributes(attribute: str) -> None:
    broken = cpi_of({POLICY: support.policy().encode()}, **{attribute.replace("-", "_"): None})
    assert refuse(broken, PackageType.CPI)[0] in ("manifest-attribute", "package-format")
    if attribute == "Corda-CPI-Format":
        assert refuse(broken) == ["package-type"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"readme.txt": b"x"}, "package-empty"),
        ({"sub/a.jar": "cpk"}, "package-layout"),
        ({"a.JAR": "cpk"}, "package-layout"),
        ({"a.jar": "cpk", "b.jar": "cpk"}, "cpk-duplicate-name"),
        ({"a.jar": b"x"}, "archive-invalid"),
        ({"a.jar": "cpb"}, "package-format"),
    ],
)
def test_cpb_layout(members: dict[str, bytes | str], code: str) -> None:
    made = {"cpb": support.cpb(), "cpk": support.cpk()}
    entries = {n: made.get(c, c) for n, c in members.items()}
    main = {"Corda-CPB-Format": "2.0", "Corda-CPB-Name": "n", "Corda-CPB-Version": "1"}
    assert code in refuse(resigned(main, entries), PackageType.CPB)


def test_a_dependency_on_itself_is_refused() -> None:
    from cpi.package.model import CpkDependency

    cpk = support.cpk(
        symbolic_name="app", dependencies=(CpkDependency(name="app", version="1.0.0.0"),)
    )
    assert refuse(support.cpb(cpks={"a.jar": cpk})) == ["dependency-unsatisfied"]


def test_both_format_attributes_leave_the_type_open() -> None:
    both = resigned({**CPK_MAIN, **CPI_MAIN}, DEPENDENCIES)
    assert refuse(both) == ["package-type"]


def test_nested_findings_name_their_place() -> None:
    bundle = support.cpb(cpks={"a.jar": cpk_with({"Bundle-Version": None})})
    issues = refusal(support.cpi(bundle=bundle)).issues
    assert [i.entry for i in issues] == ["testCpbV2.cpb!/a.jar!/META-INF/MANIFEST.MF"]


def test_l_cpk_01_and_identities() -> None:
    result = accept(support.cpi())
    assert result.id is not None
    assert result.id.signer_summary_hash == result.cpi_signer_summary_hash
    assert result.cpi_signer_summary_hash != result.cpk_signer_summary_hash, "a chain of three"
    assert "certificate-chain-in-identity" in [w.code for w in result.warnings]
    cpk = result.cpks[0]
    assert cpk.libraries == tuple(sorted(support.LIBRARIES))
    assert cpk.entries["package/Cpk1.class"] == b"class"
    assert not any(name.startswith("META-INF/MANIFEST") for name in cpk.entries)
    assert cpk.id.signer_summary_hash == result.cpk_signer_summary_hash


def test_trusted_certificates_are_needed() -> None:
    assert refuse(support.cpk(), trusted=()) == ["trusted-certificates-missing"]


@pytest.mark.parametrize("entry", ["META-INF/SIG-X", "META-INF/sig-x.abcd", "META-INF/INDEX.LIST"])
def test_reserved_names(entry: str) -> None:
    unsigned = support.edit(support.cpk(), lambda es: [*es, (entry, b"x")])
    assert refuse(unsigned) == ["signature-reserved-name"]
    with pytest.raises(Exception, match="reserved for signatures"):
        sign_entries({}, {entry: b"x"}, [alice()])
