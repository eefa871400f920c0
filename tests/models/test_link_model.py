"""The handshake and the nonces of links, searched for attacks by Maude.

Maude is a program of its own (Debian's package `maude`); without it these tests are skipped.
CORDBOX_MODELS=whole searches also from the beginnings with four sessions (`make prove-link`).
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_SECONDS = 600
_QUICK = ("small", "stolenSmall", "again")
_WHOLE = ("crossed", "doubled", "stolen")
_BEGINNINGS = (*_QUICK, *_WHOLE) if os.environ.get("CORDBOX_MODELS") == "whole" else _QUICK

pytestmark = pytest.mark.skipif(shutil.which("maude") is None, reason="Maude is not installed")


def _has_solution(directory: Path, file: str, search: str, left_out: Sequence[str] = ()) -> bool:
    """Whether Maude finds a state of the search, in the protocol without the parts `left_out`."""
    script = directory / "search.maude"
    flags = "\n".join(f"  eq off('{part}) = true ." for part in left_out)
    script.write_text(
        f"fmod FLAGS is\n  protecting QID .\n  op off : Qid -> Bool .\n{flags}\n"
        f"  eq off(Q:Qid) = false [owise] .\nendfm\nload {_HERE / file}\nsearch [1] in {search} .\n"
    )
    done = subprocess.run(
        ["maude", "-no-banner", "-no-advise", "-batch", str(script)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    assert "Warning" not in done.stderr, done.stderr
    is_found = "Solution 1" in done.stdout
    assert is_found != ("No solution." in done.stdout), done.stdout
    return is_found


def _attack(directory: Path, beginning: str, left_out: Sequence[str] = ()) -> bool:
    search = f"CLAIMS : {beginning} =>* Z:Net such that bad(Z:Net)"
    return _has_solution(directory, "link.maude", search, left_out)


@pytest.mark.parametrize("beginning", _BEGINNINGS)
def test_no_attack_on_the_handshake_is_found(tmp_path: Path, beginning: str) -> None:
    assert not _attack(tmp_path, beginning)


def test_both_sides_can_be_established(tmp_path: Path) -> None:
    """Else no attack would be found in rules that let nobody finish."""
    view = "ae, T1:Term, T2:Term, D:Term, P3:Terms, P4:Terms"
    search = f"CLAIMS : small =>* < K:Know | i3(a, b, {view}) r2(b, a, {view}) S:Sessions >"
    assert _has_solution(tmp_path, "link.maude", search)


@pytest.mark.parametrize(
    ("part", "beginning"),
    [
        ("role", "small"),
        ("hash", "small"),
        ("said", "small"),
        ("mode", "small"),
        ("fresh", "again"),
    ],
)
def test_an_attack_is_found_where_a_part_is_left_out(
    tmp_path: Path, part: str, beginning: str
) -> None:
    assert _attack(tmp_path, beginning, [part])


@pytest.mark.parametrize("parts", [["salt"], ["fin"], ["aead"], ["fin", "aead"], ["salt", "fin"]])
def test_salts_confirmation_and_encryption_are_second_walls(
    tmp_path: Path, parts: list[str]
) -> None:
    """The claims of the model hold without them: docs/explanation/links.md says what they are for."""
    assert not any(_attack(tmp_path, beginning, parts) for beginning in ("small", "again"))


@pytest.mark.parametrize(("left_out", "is_found"), [([], False), (["lane"], True)])
def test_a_nonce_is_used_twice_only_where_lanes_are_reused(
    tmp_path: Path, left_out: list[str], *, is_found: bool
) -> None:
    search = "LANES : start =>* Z:Net such that bad(Z:Net)"
    assert _has_solution(tmp_path, "lanes.maude", search, left_out) is is_found
