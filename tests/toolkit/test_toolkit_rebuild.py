import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cpi.archive.reading import read_archive
from cpi.crypto.keys import SigningKey
from cpi.errors import CpiError
from cpi.jar.signing import sign_entries
from cpi.package.build import build_cpb, build_cpi, build_cpk
from cpi.package.group_policy_generation import generate_static_policy
from host.cli import main
from host.guests.code import CodeRefusedError
from host.tools.cordapps.build import PreparedCordapp, prepare_cordapp, sign_cordapp
from host.tools.cordapps.code import COMPONENT_ENTRY
from host.tools.cordapps.project import load_project
from host.tools.packages.rebuild import RebuildVerdict, check_rebuild
from tests.packages.conftest import contract_component

pytestmark = pytest.mark.slow
SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
CONTRACT, WORKFLOW = "iou-contract-1.0.0.jar", "iou-workflow-1.0.0.jar"


@pytest.fixture(scope="session")
def prepared(sandbox: Any) -> PreparedCordapp:
    return prepare_cordapp(load_project(SAMPLES / "iou"), sandbox, lambda _: None)


@pytest.fixture
def check(sandbox: Any, tmp_path: Path) -> Callable[..., RebuildVerdict]:
    def checked(data: bytes | Path, project: Path = SAMPLES / "iou") -> RebuildVerdict:
        path = tmp_path / "package"
        path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())
        return check_rebuild(project, path, sandbox, lambda _: None)

    return checked


def told(verdict: RebuildVerdict) -> list[tuple[str, str]]:
    return [(found.kind, found.entry) for found in verdict.differences]


def cpi_of(cpb: bytes, key: SigningKey) -> bytes:
    policy = generate_static_policy(
        names=("O=Alice, L=London, C=GB",),
        group_id="6b3c2d6e-1c22-4d6e-9d3c-111111111111",
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
        trust_root=None,
    )
    return build_cpi(
        name="any", version="7", cpb=("any.cpb", cpb), group_policy=policy, keys=(key,)
    )


def test_every_kind_of_package_is_verified_without_its_key(
    iou: Any, check: Any, other_key: SigningKey
) -> None:
    cpi = cpi_of(iou.cpb.path.read_bytes(), other_key)
    for data in (iou.cpks[0].file.path, iou.cpks[1].file.path, iou.cpb.path, cpi):
        verdict = check(data)
        assert verdict.verified
        assert told(verdict) == []
    assert set(verdict.runtimes) == {"contract", "workflow"}


def test_other_signers_do_not_matter(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey, keystore: Any
) -> None:
    files = sign_cordapp(prepared, (other_key, keystore.key))
    assert check(files[prepared.cpb_name]).verified


def test_tests_beside_the_sources_do_not_matter(iou: Any, check: Any, iou_project: Path) -> None:
    (iou_project / "workflows" / "test_iou.py").write_text("raise SystemError('no source')\n")
    assert check(iou.cpb.path, iou_project).verified


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"wasm/python/iou_flows.py": b"# other"}, ("different", "wasm/python/iou_flows.py")),
        ({"wasm/python/iou_checks.py": None}, ("missing", "wasm/python/iou_checks.py")),
        ({"wasm/python/backdoor.py": b""}, ("extra", "wasm/python/backdoor.py")),
        ({"META-INF/notes.txt": b"hello"}, ("extra", "META-INF/notes.txt")),
    ],
)
def test_a_changed_entry_is_named(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey, change: Any, expected: Any
) -> None:
    """The package is signed after the change, as whoever changed it would do."""
    spec = prepared.cpks[1].spec
    entries = {**spec.entries, **change}
    kept = {name: data for name, data in entries.items() if data is not None}
    verdict = check(build_cpk(replace(spec, entries=kept), (other_key,)))
    assert told(verdict) == [expected]
    (found,) = verdict.differences
    assert (found.built is None) == (expected[0] == "extra")
    assert (found.found is None) == (expected[0] == "missing")


def test_the_manifest_and_the_descriptor_are_compared_by_content(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey
) -> None:
    spec = prepared.cpks[1].spec
    document = json.loads(spec.entries["wasm/descriptor.json"])
    spaced = json.dumps(document, indent=4).encode()
    same = replace(spec, entries={**spec.entries, "wasm/descriptor.json": spaced})
    assert check(build_cpk(same, (other_key,))).verified
    document["capabilities"] += ["signing"]
    document["limits"] = {"fuelMax": 7}
    changed = replace(
        spec,
        vendor="Mallory",
        attributes={**spec.attributes, "X-Note": "hello"},
        entries={**spec.entries, "wasm/descriptor.json": json.dumps(document).encode()},
    )
    assert sorted(told(check(build_cpk(changed, (other_key,))))) == [
        ("different", "META-INF/MANIFEST.MF#Cordapp-Workflow-Vendor"),
        ("different", "wasm/descriptor.json#$.capabilities"),
        ("extra", "META-INF/MANIFEST.MF#X-Note"),
        ("extra", "wasm/descriptor.json#$.limits.fuelMax"),
    ]


def test_differences_inside_a_cpi_are_named_by_their_whole_path(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey
) -> None:
    contract, workflow = prepared.cpks
    spec = replace(contract.spec, entries={**contract.spec.entries, "x.txt": b"x"})
    files = {
        CONTRACT: build_cpk(spec, (other_key,)),
        WORKFLOW: build_cpk(workflow.spec, (other_key,)),
        "third.jar": build_cpk(
            replace(contract.spec, symbolic_name="third", cordapp_name="third"), (other_key,)
        ),
    }
    cpb = build_cpb(name="iou", version="2", cpks=files, keys=(other_key,))
    assert told(check(cpi_of(cpb, other_key))) == [
        ("different", "any.cpb!/META-INF/MANIFEST.MF#Corda-CPB-Version"),
        ("extra", f"any.cpb!/{CONTRACT}!/x.txt"),
        ("extra", "any.cpb!/third.jar"),
    ]


def test_files_beside_the_cpks_are_found(iou: Any, check: Any, other_key: SigningKey) -> None:
    cpb = read_archive(iou.cpb.path.read_bytes())
    entries = {name: cpb.read(name) for name in (CONTRACT, WORKFLOW)}
    main = {
        "Corda-CPB-Format": "2.0",
        "Corda-CPB-Name": "iou",
        "Corda-CPB-Version": "1.0.0",
        "Corda-CPB-Upgrade": "false",
    }
    changed = sign_entries(main, {**entries, "config/app.conf": b"x"}, (other_key,))
    assert told(check(changed)) == [("extra", "config/app.conf")]
    assert check(sign_entries(main, entries, (other_key,))).verified


def test_a_package_of_another_project_is_told_by_its_name(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey
) -> None:
    spec = replace(prepared.cpks[0].spec, symbolic_name="com.example.other")
    (found,) = check(build_cpk(spec, (other_key,))).differences
    assert found.entry == "META-INF/MANIFEST.MF#Bundle-SymbolicName"
    assert found.found == "com.example.other"


def test_a_vendored_wheel_and_a_foreign_contract_are_rebuilt(
    iou_with_a_wheel: Path, build: Any, check: Any
) -> None:
    assert check(build(iou_with_a_wheel).cpb.path, iou_with_a_wheel).verified
    assert not check(build(SAMPLES / "iou").cpb.path, iou_with_a_wheel).verified


def test_a_foreign_contract_is_rebuilt(
    iou_on_a_foreign_contract: Path, build: Any, check: Any
) -> None:
    built = build(iou_on_a_foreign_contract)
    assert check(built.cpb.path, iou_on_a_foreign_contract).verified


def test_a_component_is_compared_unpacked(
    sandbox: Any, check: Any, other_key: SigningKey, tmp_path: Path
) -> None:
    (tmp_path / "contract.wasm").write_bytes(contract_component())
    (tmp_path / "cordapp.toml").write_text(
        '[cordapp]\nname = "wat"\nversion = "1.0.0"\nvendor = "x"\nlicence = "x"\n'
        '[contract]\nname = "com.example.wat"\ncomponent = "contract.wasm"\nversion = 1\n'
    )
    (cpk,) = prepare_cordapp(load_project(tmp_path), sandbox, lambda _: None).cpks
    packed = cpk.spec.entries[COMPONENT_ENTRY]
    other = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(contract_component())
    assert other != packed
    for component in (packed, other):
        entries = {**cpk.spec.entries, COMPONENT_ENTRY: component}
        data = build_cpk(replace(cpk.spec, entries=entries), (other_key,))
        assert check(data, tmp_path).verified
    (tmp_path / "contract.wasm").write_bytes(contract_component(refusal="no"))
    assert told(check(build_cpk(cpk.spec, (other_key,)), tmp_path)) == [
        ("different", "wasm/component.wasm.zst"),
        ("different", "wasm/descriptor.json#$.code.componentDigest"),
        ("different", "wasm/descriptor.json#$.code.size"),
    ]


def test_the_runtime_that_the_package_names_is_used(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey
) -> None:
    spec = prepared.cpks[0].spec
    document = json.loads(spec.entries["wasm/descriptor.json"])
    document["code"]["runtime"] = "SHA-256:" + "0" * 64
    changed = {**spec.entries, "wasm/descriptor.json": json.dumps(document).encode()}
    with pytest.raises(CodeRefusedError, match=r"runtime SHA-256:0000.* is not installed"):
        check(build_cpk(replace(spec, entries=changed), (other_key,)))


def test_a_package_that_differs_in_its_image_alone_is_told(
    prepared: PreparedCordapp, check: Any, other_key: SigningKey
) -> None:
    """Sources and runtime are the project's: the code that they give is not the one named."""
    spec = prepared.cpks[0].spec
    document = json.loads(spec.entries["wasm/descriptor.json"])
    made = document["code"]["imageDigest"]
    document["code"]["imageDigest"] = other = f"SHA-256:{'0' * 64}"
    changed = {**spec.entries, "wasm/descriptor.json": json.dumps(document).encode()}
    (found,) = check(build_cpk(replace(spec, entries=changed), (other_key,))).differences
    assert (found.kind, found.entry) == ("different", "wasm/descriptor.json#$.code.imageDigest")
    assert (found.built, found.found) == (made, other)


def test_a_package_whose_signature_does_not_hold_is_refused(iou: Any, check: Any) -> None:
    data = bytearray(iou.cpb.path.read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(CpiError):
        check(bytes(data))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as left:
        main(["cordapp", "rebuild", *words])
    return left.value.code, capsys.readouterr().out


def test_the_command_tells_by_text_json_and_exit_code(
    iou: Any, iou_with_a_wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(iou.cpb.path)
    code, out = run(capsys, str(SAMPLES / "iou"), "--check", file)
    assert code == 0
    assert out.startswith(f"VERIFIED {file}  CPB  {iou.cpb.digest}")
    code, out = run(capsys, str(iou_with_a_wheel), "--check", file)
    assert code == 1
    assert out.startswith(f"DIFFERENT {file}")
    assert f"missing: {WORKFLOW}!/wasm/vendored.json: built SHA-256:" in out
    words = (str(iou_with_a_wheel), "--check", file, "--output", "json")
    code, out = run(capsys, *words)
    answer = json.loads(out)
    assert (code, answer["verified"], answer["type"]) == (1, False, "CPB")
    assert {item["kind"] for item in answer["differences"]} == {"missing"}
