import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.tools.cordapps.requirements_lock import VendoringRefusedError, read_lock

ONE, TWO = "a1" * 32, "B2" * 32


def read(folder: Path, text: str) -> list[tuple[str, str, list[str]]]:
    (folder / "requirements.lock").write_text(text)
    found = read_lock(folder / "requirements.lock")
    return [(r.name, r.version, sorted(r.digests)) for r in found]


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(VendoringRefusedError) as refused:
        read(folder, text)
    assert refused.value.code == "cordapp-vendoring-refused"
    return refused.value.problems


def test_a_lock_as_pip_compile_writes_it(tmp_path: Path) -> None:
    text = f"""\
# made by a tool
Zope.Interface==7.0 \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{TWO}
    # via something

idna == 3.10 --hash=sha256:{ONE}  # via another
"""
    assert read(tmp_path, text) == [
        ("idna", "3.10", [ONE]),
        ("zope-interface", "7.0", sorted([ONE, TWO.lower()])),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("idna==3.10", "idna==3.10 has no --hash"),
        ("idna>=3 --hash=sha256:" + ONE, "expected name==version"),
        ("idna[extra]==3 --hash=sha256:" + ONE, "expected name==version"),
        ("idna==3 ; python_version > '3' --hash=sha256:" + ONE, "an environment marker"),
        ("idna==3 --hash=md5:" + ONE[:32], "expected --hash=sha256:"),
        ("idna==3 --hash=sha256:" + ONE[:-1], "expected --hash=sha256:"),
        ("--index-url https://example.com", "option '--index-url'"),
        ("-r other.txt", "option '-r'"),
        ("idna @ https://example.com/idna.whl", "expected name==version"),
        ("./idna.whl", "expected name==version"),
    ],
)
def test_a_line_that_pins_no_package_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    (problem,) = problems(tmp_path, f"# first\n\n{line}\n")
    assert problem.startswith("requirements.lock:3: ")
    assert reason in problem


def test_one_package_twice_is_refused(tmp_path: Path) -> None:
    text = f"a.b==1 --hash=sha256:{ONE}\nA-B==2 --hash=sha256:{ONE}\n"
    assert problems(tmp_path, text) == ("requirements.lock:2: a-b is pinned twice",)


def test_an_empty_lock_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, "# nothing\n") == ("requirements.lock: pins no package",)


def test_limits_of_a_lock(tmp_path: Path) -> None:
    many = "".join(f"p{n}==1 --hash=sha256:{ONE}\n" for n in range(51))
    assert problems(tmp_path, many) == ("requirements.lock: 51 packages, at most 50",)
    assert "larger than 262144 bytes" in problems(tmp_path, "#" * 262_145)[0]


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_bytes(b"\xff\xfe")
    for name, reason in (("x.lock", "is not UTF-8"), ("no.lock", "No such file")):
        with pytest.raises(VendoringRefusedError, match=reason):
            read_lock(tmp_path / name)


@pytest.mark.property
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300) | st.text(alphabet="a1=-.;#\\\\\n :[]", max_size=300))
def test_any_text_is_a_lock_or_refused(tmp_path: Path, text: str) -> None:
    with contextlib.suppress(VendoringRefusedError, UnicodeEncodeError):
        assert read(tmp_path, text)
