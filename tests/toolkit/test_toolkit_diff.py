"""`cordbox package diff`: each kind of difference is told, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cpi.package.descriptor import CodeDescriptor, dump_descriptor
from cpi.package.model import CpkDependency
from cpi.package.verify import read_package
from host.cli import main
from host.tools.packages.diff import AREAS, differences
from tests.cpi import support

DIGEST = "SHA-256:" + "AB" * 32


def descriptor(**changes) -> bytes:
    values = {
        "world": "workflow",
        "world_version": "1.0.0",
        "form": "python",
        "code_digest": DIGEST,
        "runtime": DIGEST,
        "source_digest": DIGEST,
        "entry_modules": ("app",),
        "flows": ({"name": "app.Pay", "kind": "client-startable"},),
        "contracts": ({"name": "app.Contract"},),
        "capabilities": ("ledger",),
        **changes,
    }
    return dump_descriptor(CodeDescriptor(**values))


def cpk(*keys, code: bytes | None = None, source: bytes = b"x = 1\n", **changes) -> bytes:
    entries = {"wasm/descriptor.json": code or descriptor(), "wasm/python/app.py": source}
    return support.cpk(*keys, **{"entries": entries, **changes})


def bundle(member: bytes, policy: str | None = None) -> bytes:
    whole = support.cpb(cpks={"app.jar": member})
    if policy is None:
        return support.cpi(bundle=whole)
    return support.resigned(
        {"Corda-CPI-Format": "2.0", "Corda-CPI-Name": "testCpi", "Corda-CPI-Version": "1.0.0.0"},
        {"META-INF/GroupPolicy.json": policy.encode(), "testCpbV2.cpb": whole},
    )


BASE = bundle(cpk())


def changed_areas(left: bytes, right: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for difference in differences(read_package(left), read_package(right)):
        assert difference.left != difference.right
        found.setdefault(difference.area, []).append(difference.path)
    assert list(found) == [area for area in AREAS if area in found]
    return found


def test_the_same_package_differs_in_nothing() -> None:
    assert differences(read_package(BASE), read_package(bytes(BASE))) == ()
    assert differences(read_package(BASE + b"trailing"), read_package(BASE)) == ()


@pytest.mark.parametrize(
    ("member", "area", "path"),
    [
        (lambda: cpk(version="2"), "identity", "test.cpk/version"),
        (lambda: cpk(cordapp_kind="contract", code=descriptor(world="contract")), "identity", "test.cpk/kind"),
        (lambda: cpk(support.bob()), "signers", "test.cpk/CN=Bob,OU=R3,O=Corda,L=Dublin,C=IE"),
        (lambda: cpk(symbolic_name="other"), "cpks", "other"),
        (lambda: cpk(source=b"x = 2\n"), "entries", "test.cpk/entries/wasm/python/app.py"),
        (lambda: cpk(code=descriptor(flows=())), "flows", "test.cpk/flow app.Pay"),
        (
            lambda: cpk(code=descriptor(flows=({"name": "app.Pay", "kind": "responder"},))),
            "flows",
            "test.cpk/flow app.Pay",
        ),
        (lambda: cpk(code=descriptor(contracts=())), "declarations", "test.cpk/contract app.Contract"),
        (lambda: cpk(code=descriptor(capabilities=("ledger", "keys"))), "capabilities", "test.cpk/keys"),
        (lambda: cpk(code=descriptor(runtime="SHA-256:" + "CD" * 32)), "code", "test.cpk/runtime"),
        (lambda: cpk(code=descriptor(limits={"fuelMax": 5})), "code", "test.cpk/limit fuelMax"),
    ],
)  # fmt: skip
def test_what_differs_is_told(member: Callable[[], bytes], area: str, path: str) -> None:
    assert path in changed_areas(BASE, bundle(member()))[area]


def test_dependencies_differ() -> None:
    library = cpk(symbolic_name="library")
    alone = support.cpb(cpks={"a.jar": cpk(), "b.jar": library})
    needing = cpk(dependencies=(CpkDependency(name="library", version="1.0.0.0"),))
    found = changed_areas(alone, support.cpb(cpks={"a.jar": needing, "b.jar": library}))
    assert found["dependencies"] == ["test.cpk/library 1.0.0.0 (same signer)"]


def test_the_policy_is_compared_by_json_path() -> None:
    policy = json.loads(support.policy())
    policy["groupId"] = "11111111-2222-4333-8444-555555555555"
    del policy["protocolParameters"]["staticNetwork"]["members"][1]
    found = changed_areas(bundle(cpk(), support.policy()), bundle(cpk(), json.dumps(policy)))
    assert "$.groupId" in found["policy"]
    assert "$.protocolParameters.staticNetwork.members[1].name" in found["policy"]
    reordered = json.dumps(dict(reversed(json.loads(support.policy()).items())), indent=3)
    found = changed_areas(bundle(cpk(), support.policy()), bundle(cpk(), reordered))
    assert "policy" not in found


def run(capsys, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def test_the_command(tmp_path: Path, capsys) -> None:
    one, two = tmp_path / "one.cpi", tmp_path / "two.cpi"
    one.write_bytes(BASE)
    two.write_bytes(bundle(cpk(source=b"x = 2\n")))
    assert run(capsys, "package", "diff", one, one) == (0, "the same\n", "")
    code, out, _ = run(capsys, "package", "diff", one, two)
    assert code == 1
    assert "entries:\n  - test.cpk/entries/wasm/python/app.py: SHA-256:" in out
    assert "  + test.cpk/entries/wasm/python/app.py: SHA-256:" in out
    code, out, _ = run(capsys, "package", "diff", one, two, "--output", "json")
    document = json.loads(out)
    assert (code, document["same"], document["sameBytes"]) == (1, False, False)
    assert {d["area"] for d in document["differences"]} == {"entries"}
    two.write_bytes(BASE + b"trailing")
    assert run(capsys, "package", "diff", one, two)[:2] == (0, "the same content in other bytes\n")
    two.write_bytes(BASE[:-40])
    code, _, err = run(capsys, "package", "diff", one, two)
    assert (code, err.startswith("error[archive-")) == (1, True)
    assert run(capsys, "package", "diff", one)[0] == 2
    assert run(capsys, "package", "diff", one, tmp_path / "none")[0] == 2
