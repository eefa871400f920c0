"""Member names against Java: its own classes, and with a network Corda's `MemberX500Name` itself.

Corda 5.2 runs on Java 17, and the short hash of a node is made of the text that Java writes.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest
from asn1crypto import core

from cpi.crypto.name_text import NameTextError
from cpi.crypto.subject_names import subject_name
from cpi.package.member_names import MemberNameError, member_name_text, read_member_name
from tests.domain.generated_names import names
from tests.domain.test_domain_x500 import JAVA
from tests.support.maven import MavenUnavailableError, fetch_artifacts

ORACLE = Path(__file__).parent / "java" / "MemberNameOracle.java"
CORDA = "net.corda:corda-base:5.2.0.52"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIXED = [
    *JAVA,
    *(f"O=A, L=B, C={one}{two}" for one in LETTERS for two in LETTERS),
    "C=GB, L=London, O=a\\=b\\\\",
    "C=GB, L=London, O=a\\,b\\\\",
    "C=GB, L=London, O=\\=a\\,b\\\\",
    "CN=A\\3D\\\\, OU=X, O=Y, L=C, C=GB",
    "O=\\41\\\\\\, x, L=C, C=GB",
    "O=\\\\, L=\\\\, C=GB",
]


class Attribute(core.Sequence):
    _fields: ClassVar = [("type", core.ObjectIdentifier), ("value", core.Any)]


class Part(core.SetOf):
    _child_spec = Attribute


class Name(core.SequenceOf):
    _child_spec = Part


java = shutil.which("java")
pytestmark = pytest.mark.skipif(java is None, reason="java is not installed")


def judged_by_java(texts: list[str], *words: str, corda: Path | None = None) -> list[list[str]]:
    lines = "".join(f"{_hex(text)}\n" for text in texts)
    options = ["-Xshare:auto", *(["-cp", str(corda)] if corda else [])]
    done = subprocess.run(
        [java or "", *options, ORACLE, *words, *(["corda"] if corda else [])],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    rows = [line.split(" ") for line in done.stdout.splitlines()]
    assert len(rows) == len(texts)
    return rows


def read_here(text: str) -> str | None:
    try:
        return member_name_text(read_member_name(text))
    except MemberNameError:
        return None


def fault(text: str, row: list[str]) -> str | None:
    """How this reader's verdict differs from Java's, but for what `cpi.package.member_names` names."""
    here, theirs = read_here(text), _text(row[1]) if row[0] == "OK" else None
    if here == theirs:
        return None
    if theirs is None:
        quoted_end = re.search(r'\\\\" *\n*(?:[,;]|\Z)', text) is not None
        return None if quoted_end else f"Java refuses, here {here!r}"
    if here is not None:
        return f"Java says {theirs!r}, here {here!r}"
    if re.search(r"[\x00-\x1f\x7f\ufffd]", theirs) or re.search(r"[\ud800-\udfff]", text):
        return None
    reads_its_own_text = row[2] == row[1]
    return f"Java says {theirs!r}, and reads it back" if reads_its_own_text else None


def test_ten_thousand_names_are_read_and_written_as_java_does() -> None:
    texts = [*FIXED, *names(10_000, seed=11)]
    rows = judged_by_java(texts)
    faults = [(t, found) for t, row in zip(texts, rows, strict=True) if (found := fault(t, row))]
    assert not faults, faults[:20]
    accepted = sum(read_here(text) is not None for text in texts)
    assert len(texts) * 0.2 < accepted < len(texts) * 0.8


def subject_here(text: str) -> list[list[tuple[str, str]]] | None:
    try:
        name = subject_name(text)
    except NameTextError:
        return None
    return [[(each.oid.dotted_string, each.value) for each in rdn] for rdn in name.rdns]


def subject_of(der: str) -> list[list[tuple[str, str]]]:
    name = Name.load(bytes.fromhex(der))
    return [[(each["type"].dotted, _string(each["value"])) for each in part] for part in name]


def _string(value: core.Any) -> str:
    encodings = {
        19: "ascii",
        20: "latin-1",
        22: "ascii",
        27: "ascii",
        28: "utf-32-be",
        30: "utf-16-be",
    }
    parsed = value.parse()
    return parsed.contents.decode(encodings.get(parsed.tag, "utf-8"), "replace")


def test_subjects_of_certificates_are_read_as_java_does() -> None:
    texts = ["CN=a+OU=b, O=c", "CN=a\\+b, O=c", "DC=x, DC=y", "T=Dr., CN=a", *names(2_000, seed=13)]
    faults, accepted = [], 0
    for text, row in zip(texts, judged_by_java(texts, "encoded"), strict=True):
        here = subject_here(text)
        accepted += here is not None
        if here is not None and row[0] == "NO" and not re.search(r'\\\\" *\n*(?:[,;+]|\Z)', text):
            faults.append((text, "Java refuses", here))
        # Values that a certificate's attribute cannot hold are refused here; Java encodes them.
        if here is not None and row[0] == "OK" and _sorted(here) != _sorted(subject_of(row[1])):
            faults.append((text, subject_of(row[1]), here))
    assert not faults, faults[:10]
    assert accepted > 500


def _sorted(name: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    return [sorted(part) for part in name]


@pytest.mark.network
def test_the_rules_of_the_comparison_are_those_of_corda(tmp_path: Path) -> None:
    try:
        (jar,) = fetch_artifacts([CORDA], tmp_path)
    except MavenUnavailableError as error:
        pytest.skip(str(error))
    texts = [*FIXED, *names(10_000, seed=12)]
    ours, theirs = judged_by_java(texts), judged_by_java(texts, corda=jar)
    differ = [
        t
        for t, one, other in zip(texts, ours, theirs, strict=True)
        if one[:2] != other[:2] and one[0] + other[0] != "NONO"
    ]
    assert not differ, differ[:20]
    faults = [(t, found) for t, row in zip(texts, theirs, strict=True) if (found := fault(t, row))]
    assert not faults, faults[:20]


def _hex(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").hex()


def _text(units: str) -> str:
    return bytes.fromhex(units).decode("utf-16-be", "surrogatepass")
