import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpi.package.verify import read_package
from host.domain.packages import CodeWorld
from host.tools.cordapps.capability_use import undeclared_uses
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.requirements_lock import VendoringRefusedError
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import SourceRefusedError, collect_sources
from host.tools.cordapps.vendoring import import_paths, vendored_packages
from tests.support.properties import examples

RULES = SourceRules.of_default_runtime()


def plan_of(shelf: Any) -> CpkPlan:
    shelf.wheels.mkdir(exist_ok=True)
    return CpkPlan(
        world=CodeWorld.WORKFLOW,
        symbolic_name="com.example.app",
        version=1,
        source=shelf.folder / "src",
        modules=("app",),
        component=None,
        capabilities=(),
        vendor_lock=shelf.lock,
        vendor_wheels=shelf.wheels,
    )


def problems(shelf: Any) -> tuple[str, ...]:
    with pytest.raises(VendoringRefusedError) as refused:
        vendored_packages(plan_of(shelf))
    return refused.value.problems


def collected(shelf: Any, base: dict[str, str] | None = None, **own: str) -> dict[str, str]:
    folder = shelf.folder / "src"
    for name, text in own.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    modules = vendored_packages(plan_of(shelf)).modules
    return dict(
        collect_sources(folder, ("app",), rules=RULES, base=base or {}, vendored=modules).files
    )


def refusal(shelf: Any, base: dict[str, str] | None = None, **own: str) -> str:
    with pytest.raises(SourceRefusedError) as refused:
        collected(shelf, base, **own)
    return "\n".join(refused.value.problems)


def test_a_pure_wheel_gives_modules_a_record_and_its_licence(shelf: Any) -> None:
    files = {
        "money/__init__.py": "from money.sums import add\r\n",
        "money/sums.py": "def add(a, b):\n    return a + b\n",
        "money/py.typed": "",
        "money/not-a-module.py": "this is no Python",
        "money-1.0.dist-info/licenses/LICENSE.txt": "Do what you want.",
        "money-1.0.dist-info/entry_points.txt": "[console_scripts]",
    }
    wheel = shelf.put("money", files)
    found = vendored_packages(plan_of(shelf))
    assert dict(found.modules) == {
        "money/__init__.py": "from money.sums import add\n",
        "money/sums.py": files["money/sums.py"],
    }
    assert found.entries["wasm/licences/money-1.0/licenses/LICENSE.txt"] == b"Do what you want."
    (record,) = json.loads(found.entries["wasm/vendored.json"])["wheels"]
    assert (record["name"], record["version"], record["wheel"]) == ("money", "1.0", wheel.name)
    assert record["digest"].startswith("SHA-256:")
    assert set(found.entries) == {
        "wasm/vendored.json",
        "wasm/licences/money-1.0/licenses/LICENSE.txt",
    }


def test_vendored_modules_are_collected_and_checked_where_they_are_reached(shelf: Any) -> None:
    shelf.put(
        "money",
        {
            "money/__init__.py": "import json\n",
            "money/web.py": "import sqlite3\n",
            "money/fast.py": "try:\n    import _fast\nexcept ImportError:\n    _fast = None\n",
        },
    )
    found = collected(shelf, app="import money.fast\n")
    assert {"money/__init__.py", "money/web.py", "money/fast.py", "app.py"} <= found.keys()
    text = refusal(shelf, app="from money import web\n")
    assert text.startswith(
        "money/web.py:1: import of 'sqlite3', which no sandbox has (imported by app.py:1): "
    )


def test_a_module_that_nothing_reaches_may_be_of_another_python(shelf: Any) -> None:
    shelf.put("money", {"money/__init__.py": "", "money/old.py": "print 'two'\n"})
    found = collected(shelf, app="import money\n")
    assert undeclared_uses(plan_of(shelf), found) == ()
    assert "money/old.py:1: " in refusal(shelf, app="import money.old\n")


def test_a_package_that_the_lock_lacks_is_missed_where_it_is_imported(shelf: Any) -> None:
    shelf.put("money", {"money.py": "x = 1\nimport rounding\n"})
    assert "money.py:2: import of 'rounding'" in refusal(shelf, app="import money\n")


@pytest.mark.parametrize(
    "tag", ["cp311-cp311-manylinux_2_17_x86_64", "py3-none-win32", "py2-none-any"]
)
def test_a_wheel_that_is_not_pure_is_refused_by_name(shelf: Any, tag: str) -> None:
    wheel = shelf.put("fast_money", tag=tag)
    assert problems(shelf) == (
        f"fast-money 1.0 ({wheel.name}): is native code, which cannot run in a sandbox",
    )


@pytest.mark.parametrize(
    "name", ["m/_x.so", "m/_x.cpython-311-x86_64-linux-gnu.so", "m.PYD", "lib/a.so.1.2", "m.pyc"]
)
def test_native_code_in_a_wheel_that_claims_to_be_pure_is_refused(shelf: Any, name: str) -> None:
    wheel = shelf.put("money", {"money.py": "", name: b"\x7fELF"})
    (problem,) = problems(shelf)
    assert problem.startswith(f"money 1.0 ({wheel.name}): {name} is native or compiled code")


def test_the_pure_wheel_is_taken_where_there_are_native_ones_too(shelf: Any) -> None:
    shelf.put("money")
    (shelf.wheels / "money-1.0-cp311-cp311-win_amd64.whl").write_bytes(b"native")
    assert set(vendored_packages(plan_of(shelf)).modules) == {"money.py"}


def test_a_wheel_with_another_hash_is_refused(shelf: Any) -> None:
    wheel = shelf.put("money")
    wheel.write_bytes(wheel.read_bytes() + b" ")
    (problem,) = problems(shelf)
    assert problem.startswith(f"money 1.0 ({wheel.name}): SHA-256 ")
    assert problem.endswith("is not in the lock")


def test_a_wheel_that_is_not_there_is_refused(shelf: Any) -> None:
    shelf.put("money").unlink()
    assert problems(shelf) == ("money 1.0: wheels has no wheel of it",)


def test_another_version_does_not_count(shelf: Any) -> None:
    wheel = shelf.put("money")
    wheel.rename(wheel.with_name("money-1.1-py3-none-any.whl"))
    assert problems(shelf) == ("money 1.0: wheels has no wheel of it",)


def test_a_wheel_whose_metadata_is_of_another_package_is_refused(shelf: Any) -> None:
    source = shelf.put("other")
    data = source.read_bytes()
    source.unlink()
    shelf.lock.unlink()
    shelf.put("money", data=data)
    assert "other-1.0.dist-info: expected the folder of money 1.0" in problems(shelf)[0]


def test_metadata_that_names_another_package_than_its_folder_is_refused(shelf: Any) -> None:
    metadata = "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"
    shelf.put("money", {"money.py": "", "money-1.0.dist-info/METADATA": metadata})
    assert "METADATA says other 1.0" in problems(shelf)[0]


def test_a_wheel_that_two_unzip_programs_could_read_differently_is_refused(shelf: Any) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("money.py", "x = 1\n")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("money.py", "x = 2\n")
    shelf.put("money", data=out.getvalue())
    (problem,) = problems(shelf)
    assert problem.startswith("money 1.0 (money-1.0-py3-none-any.whl): ")
    assert "money.py" in problem


def test_modules_that_an_installer_would_move_are_refused(shelf: Any) -> None:
    shelf.put("money", {"money-1.0.data/purelib/money.py": "x = 1\n"})
    assert "an installer would move it" in problems(shelf)[0]


def test_two_wheels_with_one_path_are_refused(shelf: Any) -> None:
    shelf.put("money", {"common.py": "x = 1\n"})
    shelf.put("coins", {"common.py": "x = 2\n"})
    assert problems(shelf) == (
        "common.py: is in coins-1.0-py3-none-any.whl and in money-1.0-py3-none-any.whl",
    )


@pytest.mark.parametrize(
    ("path", "own", "reason"),
    [
        ("app.py", {"app": ""}, "app.py: a vendored package has the name of the own app.py"),
        ("app/x.py", {"app": ""}, "app/x.py: a vendored package has the name of the own app.py"),
        ("json/x.py", {"app": ""}, "hides 'json.x' of the runtime"),
        ("cordapp/x.py", {"app": ""}, "cordapp/x.py: the name 'cordapp' belongs to the SDK"),
        ("shared.py", {"app": ""}, "shared.py: a vendored package differs from what the CPK's dep"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    shelf: Any, path: str, own: dict[str, str], reason: str
) -> None:
    shelf.put("money", {path: "x = 1\n"})
    assert reason in refusal(shelf, {"shared.py": "x = 2\n"}, **own)


def test_sizes_are_limited(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put("money", {"money.py": "#" * 600_000})
    assert "money.py: 600000 bytes, at most 524288" in problems(shelf)[0]
    monkeypatch.setattr("host.tools.cordapps.wheels.WHEEL_BYTES_MAX", 100)
    assert any("larger than 100 bytes" in problem for problem in problems(shelf))


def test_a_file_with_another_name_than_a_wheels_is_refused(shelf: Any) -> None:
    shelf.put("money")
    (shelf.wheels / "money.whl").write_bytes(b"")
    assert problems(shelf) == ("money.whl: is not named as a wheel: name-version-tags.whl",)


def test_every_problem_is_told_at_once(shelf: Any) -> None:
    shelf.put("money").unlink()
    shelf.put("coins", tag="cp311-cp311-linux_x86_64")
    assert len(problems(shelf)) == 2


def test_plain_python_finds_what_the_sandbox_gets(shelf: Any) -> None:
    wheel = shelf.put("money")
    (shelf.wheels / "unlisted-1.0-py3-none-any.whl").write_bytes(b"")
    assert import_paths(plan_of(shelf)) == (shelf.folder / "src", wheel)


@pytest.mark.property
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(150))
@given(
    place=st.floats(0, 1, exclude_max=True),
    change=st.binary(max_size=4),
    metadata=st.just(b"Name: money\nVersion: 1.0\n") | st.binary(max_size=60),
)
def test_a_damaged_wheel_is_refused_or_still_a_wheel(
    shelf: Any, place: float, change: bytes, metadata: bytes
) -> None:
    shelf.lock.unlink(missing_ok=True)
    files = {"money.py": "x = 1\n" * 50, "money-1.0.dist-info/METADATA": metadata}
    data = bytearray(shelf.put("money", files).read_bytes())
    at = int(place * len(data))
    data[at : at + len(change)] = change
    shelf.lock.unlink()
    shelf.put("money", data=bytes(data))
    with contextlib.suppress(VendoringRefusedError):
        assert set(vendored_packages(plan_of(shelf)).modules) == {"money.py"}


@pytest.mark.slow
def test_a_vendored_module_makes_the_same_code_as_an_own_one(
    iou_with_a_wheel: Path, iou: Any, build: Callable[..., Any]
) -> None:
    built = build(iou_with_a_wheel)
    assert built.cpks[1].descriptor == iou.cpks[1].descriptor
    (cpk,) = read_package(built.cpks[1].file.path.read_bytes()).cpks
    assert "wasm/python/iou_checks.py" in cpk.entries
    assert cpk.entries["wasm/licences/iou-checks-1.0/LICENSE"] == b"Do."
    assert b"iou_checks-1.0-py3-none-any.whl" in cpk.entries["wasm/vendored.json"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_build_warns_of_later_imports_and_packs_no_unreached_module(
    iou_project: Path, build: Callable[..., Any]
) -> None:
    workflows = iou_project / "workflows"
    flows = workflows / "iou_flows.py"
    flows.write_text(flows.read_text() + "\n\ndef _never() -> None:\n    import doctest\n")
    (workflows / "iou_tool.py").write_text("import doctest\n")
    toml = iou_project / "cordapp.toml"
    toml.write_text(toml.read_text().replace("[workflow]", '[workflow]\nunreached = ["iou_tool"]'))
    built = build(iou_project)
    (warning,) = built.warnings
    line = len(flows.read_text().splitlines())
    assert warning.startswith(f"iou_flows.py:{line}: import of 'doctest', which no sandbox has: ")
    (cpk,) = read_package(built.cpks[1].file.path.read_bytes()).cpks
    assert "wasm/python/iou_tool.py" in cpk.entries
