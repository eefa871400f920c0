"""Irregular wheels: which are refused, and what is taken of the others."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from host.domain.packages import CodeWorld
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.requirements_lock import VendoringRefusedError
from host.tools.cordapps.vendoring import Vendored, vendored_packages
from tests.toolkit.conftest import wheel_bytes

Files = dict[str, str | bytes]
INFO = "money-1.0.dist-info"


def vendored(shelf: Any, *, plan: dict[str, Any] | None = None) -> Vendored:
    (shelf.folder / "src").mkdir(exist_ok=True)
    return vendored_packages(
        CpkPlan(
            world=CodeWorld.WORKFLOW,
            symbolic_name="com.example.app",
            version=1,
            source=shelf.folder / "src",
            modules=("app",),
            component=None,
            capabilities=(),
            vendor_lock=shelf.lock,
            vendor_wheels=shelf.wheels,
            **(plan or {}),
        )
    )


def refusal(shelf: Any) -> str:
    with pytest.raises(VendoringRefusedError) as refused:
        vendored(shelf)
    return "\n".join(refused.value.problems)


def changed(change: Callable[[Files], None], files: Files | None = None) -> bytes:
    """A good wheel whose entries were changed after RECORD was written."""
    data = wheel_bytes("money", "1.0", files or {"money.py": "x = 1\n"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries: Files = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def record(old: str, new: str) -> Callable[[Files], None]:
    def change(entries: Files) -> None:
        text = bytes(entries[f"{INFO}/RECORD"]).decode()  # type: ignore[arg-type]
        assert old in text
        entries[f"{INFO}/RECORD"] = text.replace(old, new)

    return change


def put(name: str, content: str) -> Callable[[Files], None]:
    def change(entries: Files) -> None:
        entries[name] = content

    return change


def without(name: str) -> Callable[[Files], None]:
    def change(entries: Files) -> None:
        del entries[name]

    return change


MODULE_ROW = "money.py,sha256="
REFUSED: dict[str, tuple[Callable[[Files], None], str]] = {
    "a changed module": (put("money.py", "x = 2\n"), "money.py: has sha256 "),
    "an added module": (put("more.py", ""), f"more.py: {INFO}/RECORD does not list it"),
    "an added licence": (put(f"{INFO}/LICENSE", ""), f"{INFO}/LICENSE: {INFO}/RECORD does not"),
    "a lost module": (without("money.py"), f"money.py: {INFO}/RECORD lists it, but the wheel lacks"),
    "no RECORD": (without(f"{INFO}/RECORD"), f"{INFO}/RECORD is missing"),
    "no WHEEL": (without(f"{INFO}/WHEEL"), f"{INFO}/WHEEL is missing"),
    "no METADATA": (without(f"{INFO}/METADATA"), f"{INFO}/METADATA is missing"),
    "a wrong size": (record(",6\n", ",7\n"), "money.py: has 6 bytes, RECORD says 7"),
    "a weak digest": (record(MODULE_ROW, "money.py,md5="), "money.py: RECORD has digest md5"),
    "no digest": (lambda e: e.update({f"{INFO}/RECORD": "money.py,,\n"}), "money.py: RECORD has digest none"),
    "a listing of two columns": (put(f"{INFO}/RECORD", "money.py,\n"), f"{INFO}/RECORD:1: expected path"),
    "no table": (put(f"{INFO}/RECORD", '"money.py\n'), f"{INFO}/RECORD: is no table of files"),
    "two listings": (record(MODULE_ROW, "money.py,sha256=a,6\nmoney.py,sha256="), f"{INFO}/RECORD:4: money.py is listed twice"),
    "two dist-info folders": (put("coins-1.0.dist-info/METADATA", ""), "2 folders *.dist-info, expected one"),
    "a format to come": (put(f"{INFO}/WHEEL", "Wheel-Version: 2.0\n"), f"{INFO}/WHEEL has format '2.0', expected 1.x"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_wheel_that_contradicts_its_own_record_is_refused(
    shelf: Any, change: Callable[[Files], None], reason: str
) -> None:
    shelf.put("money", data=changed(change))
    assert f"money 1.0 (money-1.0-py3-none-any.whl): {reason}" in refusal(shelf)


def test_a_huge_record_is_refused_unread(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.tools.cordapps.wheel_record.RECORD_BYTES_MAX", 10)
    shelf.put("money")
    assert "bytes, at most 10" in refusal(shelf)


@pytest.mark.parametrize("signed", ["RECORD.jws", "RECORD.p7s"])
def test_signatures_of_a_record_need_not_be_listed(shelf: Any, signed: str) -> None:
    shelf.put("money", data=changed(put(f"{INFO}/{signed}", "{}")))
    assert set(vendored(shelf).modules) == {"money.py"}


def test_the_dist_info_folder_of_another_package_is_refused(shelf: Any) -> None:
    shelf.put("money", data=wheel_bytes("coins", "1.0", {"money.py": ""}))
    assert "coins-1.0.dist-info: expected the folder of money 1.0" in refusal(shelf)


@pytest.mark.parametrize("label", ["Fast_Money-1.0.post1", "fast.money-1.0_post1"])
def test_spellings_of_one_name_and_version_are_one(shelf: Any, label: str) -> None:
    name, version = label.split("-")
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.post1\n"
    files = {"money.py": "", f"{label}.dist-info/METADATA": text}
    shelf.put("fast_money", data=wheel_bytes(name, version, files), version="1.0.post1")
    assert set(vendored(shelf).modules) == {"money.py"}


@pytest.mark.parametrize(
    ("needed", "fits"),
    [
        (">=3.8", True),
        (">=3.8,<4", True),
        ("<3", False),
        (">=3.15", False),
        ("<3.14", False),
        ("no specifier", True),
    ],
)
def test_a_package_for_other_versions_of_python_is_refused(
    shelf: Any, needed: str, fits: bool
) -> None:
    metadata = f"Metadata-Version: 2.1\nName: money\nVersion: 1.0\nRequires-Python: {needed}\n"
    shelf.put("money", {"money.py": "", f"{INFO}/METADATA": metadata})
    if fits:
        assert set(vendored(shelf).modules) == {"money.py"}
    else:
        assert f"needs Python {needed}, a sandbox has 3.14." in refusal(shelf)


def test_commands_headers_and_data_of_installations_are_left_out(shelf: Any) -> None:
    shelf.put(
        "money",
        {
            "money.py": "",
            "money-1.0.data/scripts/money": "#!python\n",
            "money-1.0.data/headers/money.h": "",
            "money-1.0.data/data/share/money.txt": "",
            f"{INFO}/entry_points.txt": "[console_scripts]\nmoney = money:main\n",
            f"{INFO}/top_level.txt": "money\n",
            "money-nspkg.pth": "import sys",
        },
    )
    assert set(vendored(shelf).modules) == {"money.py"}


@pytest.mark.parametrize("folder", ["purelib", "platlib"])
def test_modules_that_an_installer_would_move_are_refused(shelf: Any, folder: str) -> None:
    shelf.put("money", {f"money-1.0.data/{folder}/money.py": "x = 1\n"})
    assert "an installer would move it" in refusal(shelf)


def test_a_file_that_changes_an_import_path_is_refused(shelf: Any) -> None:
    shelf.put("money", {"money.py": "", "money.pth": "import money"})
    assert "money.pth: would change an installation's import path" in refusal(shelf)


def test_two_wheels_share_a_namespace_package(shelf: Any) -> None:
    extend = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    shelf.put("one", {"shared/__init__.py": extend, "shared/one.py": "", "bare/a.py": ""})
    shelf.put("two", {"shared/__init__.py": extend, "shared/two.py": "", "bare/b.py": ""})
    assert {"shared/one.py", "shared/two.py", "bare/a.py", "bare/b.py"} <= set(
        vendored(shelf).modules
    )


@pytest.mark.parametrize("path", ["Money.py", "money/__init__.py", "MONEY/__init__.py"])
def test_two_modules_of_one_name_are_refused(shelf: Any, path: str) -> None:
    shelf.put("coins", {path: ""})
    shelf.put("money", {"money.py": ""})
    assert "has the name of the module" in refusal(shelf)


def test_a_module_beside_a_package_of_its_name_is_left_out_as_python_does(shelf: Any) -> None:
    shelf.put("money", {"money.py": "x = 1\n", "money/__init__.py": "x = 2\n"})
    assert dict(vendored(shelf).modules) == {"money/__init__.py": "x = 2\n"}


def test_names_that_differ_by_case_in_one_wheel_are_refused(shelf: Any) -> None:
    shelf.put("money", {"money/a.py": "", "Money/a.py": ""})
    assert "money 1.0 (money-1.0-py3-none-any.whl): " in refusal(shelf)
