"""The archive-level behaviour matrix of our fact sheet (2.11), one row a test.

Each row is a mutation of a correctly signed CPK, with Corda's verdict and ours. Ours is Corda's,
and stricter where the row says so.
"""

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cpi import support
from tests.cpi.support import accept, edit, refuse

MANIFEST, SF, BLOCK = "META-INF/MANIFEST.MF", "META-INF/ALICE.SF", "META-INF/ALICE.EC"
Entries = list[tuple[str, bytes]]
BASE = support.cpk()
FILE = "package/Cpk1.class"


def move(name: str, to: int) -> Callable[[Entries], Entries]:
    def moved(entries: Entries) -> Entries:
        chosen = next(e for e in entries if e[0] == name)
        rest = [e for e in entries if e[0] != name]
        return [*rest[:to], chosen, *rest[to:]] if to >= 0 else [*rest, chosen]

    return moved


def both(*changes: Callable[[Entries], Entries]) -> bytes:
    data = BASE
    for change in changes:
        data = edit(data, change)
    return data


def renamed(**names: str) -> bytes:
    table = {MANIFEST: names.get("manifest"), SF: names.get("sf"), BLOCK: names.get("block")}
    return edit(BASE, lambda es: [(table.get(n) or n, c) for n, c in es])


def added(name: str, content: bytes = b"x", at: int | None = None) -> bytes:
    return edit(
        BASE, lambda es: [*es[:at], (name, content), *es[at:]] if at is not None else [*es, (name, content)]
    )  # fmt: skip


def written(*, method: int = zipfile.ZIP_DEFLATED, stream: bool = False, prefix: bytes = b"",
            directory: str | None = None, twice: bytes | None = None) -> bytes:  # fmt: skip
    """The package as Python's zipfile writes it; to a stream it writes data descriptors."""

    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return not stream

        def seek(self, *place: int) -> int:
            if stream:
                raise OSError("a stream")
            return super().seek(*place)

        def tell(self) -> int:
            if stream:
                raise OSError("a stream")
            return super().tell()

    out = Stream()
    out.write(prefix)
    with zipfile.ZipFile(out, "w", method) as archive:
        if directory is not None:
            archive.mkdir(directory)
        for name, content in support.entries_of(BASE):
            archive.writestr(name, content)
        if twice is not None:
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(FILE, twice)
    return out.getvalue()


def cut(data: bytes, name: str) -> bytes:
    return support.replace_entry(data, MANIFEST, lambda raw: support.drop_section(raw, name))


def extended(raw: bytes) -> bytes:
    return raw + b"Name: ghost.txt\r\nSHA-256-Digest: AAAA\r\n\r\n"


def main_changed(raw: bytes) -> bytes:
    return raw.replace(b"-Vendor: R3", b"-Vendor: R4")


ACCEPTED: dict[str, Callable[[], bytes]] = {
    "block before .SF": lambda: both(move(BLOCK, 1)),
    "META-INF/ first, then manifest": lambda: written(directory="META-INF"),
    "lower-case manifest": lambda: renamed(manifest="meta-inf/manifest.mf"),
    "lower-case signature files": lambda: renamed(sf="META-INF/alice.sf", block="META-INF/alice.ec"),
    "all stored": lambda: written(method=zipfile.ZIP_STORED),
    "deflated with data descriptor": lambda: written(stream=True),
    "trailing bytes": lambda: BASE + b"trailing",
    "stray .RSA": lambda: added("META-INF/STRAY.RSA"),
    "stray .SF": lambda: added("META-INF/STRAY.SF"),
    "stray .SF in front": lambda: added("META-INF/STRAY.SF", at=1),
}  # fmt: skip

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "signature last": (lambda: both(move(SF, -1), move(BLOCK, -1)), "signature-misplaced"),
    "signature in the middle": (lambda: both(move(SF, 5), move(BLOCK, 5)), "signature-misplaced"),
    "manifest second": (lambda: both(move(MANIFEST, 1)), "manifest-missing"),
    "another directory first": (lambda: written(directory="other"), "manifest-missing"),
    "stored with data descriptor": (
        lambda: written(method=zipfile.ZIP_STORED, stream=True), "archive-flags"),
    "bytes before the first header": (lambda: written(prefix=b"#!/bin/sh\n"), "archive-layout"),
    "unsigned file": (lambda: added("extra.txt"), "not-signed"),
    "file missing": (lambda: edit(BASE, lambda es: [e for e in es if e[0] != FILE]), "entry-missing"),
    "file modified": (lambda: support.replace_entry(BASE, FILE, lambda _: b"y"), "digest-mismatch"),
    "manifest entry without file": (
        lambda: support.replace_entry(BASE, MANIFEST, extended), "entry-missing"),
    "main attribute modified": (
        lambda: support.replace_entry(BASE, MANIFEST, main_changed), "signature-invalid"),
    "manifest section deleted": (lambda: cut(BASE, FILE), "signature-invalid"),
    "duplicate, same bytes": (lambda: written(twice=b"class"), "archive-duplicate-entry"),
    "duplicate, other bytes": (lambda: written(twice=b"other"), "archive-duplicate-entry"),
    "INDEX.LIST": (lambda: added("META-INF/INDEX.LIST"), "signature-reserved-name"),
    "unsigned block in a folder": (lambda: added("META-INF/sub/x.EC"), "not-signed"),
    "unsigned SIG-EVIL.abc": (lambda: added("META-INF/SIG-EVIL.abc"), "signature-reserved-name"),
    # Corda accepts the next two; readers disagree on them, so they are refused here.
    "unsigned SIG-EVIL": (lambda: added("META-INF/SIG-EVIL"), "signature-reserved-name"),
    "unsigned SIG-EVIL.abcd": (lambda: added("META-INF/SIG-EVIL.abcd"), "signature-reserved-name"),
}  # fmt: skip

LAXER_IN_JAVA = (
    "signature last",
    "signature in the middle",
    "manifest second",
    "stored with data descriptor",
    "bytes before the first header",
    "unsigned file",
    "file missing",
    "manifest entry without file",
    "INDEX.LIST",
    "unsigned block in a folder",
    "unsigned SIG-EVIL",
    "unsigned SIG-EVIL.abcd",
)


@pytest.mark.parametrize("row", ACCEPTED)
def test_what_the_matrix_accepts(row: str) -> None:
    result = accept(ACCEPTED[row]())
    assert dict(result.cpks[0].entries) == dict(accept(BASE).cpks[0].entries)


@pytest.mark.parametrize("row", REFUSED)
def test_what_the_matrix_refuses(row: str) -> None:
    make, code = REFUSED[row]
    assert refuse(make())[0] == code


@pytest.mark.slow
@pytest.mark.parametrize("row", LAXER_IN_JAVA)
def test_jarsigner_alone_would_not_notice(row: str, tmp_path: Path) -> None:
    jarsigner = shutil.which("jarsigner")
    if jarsigner is None:
        pytest.skip("no jarsigner here")
    path = tmp_path / "a.jar"
    path.write_bytes(REFUSED[row][0]())
    done = subprocess.run([jarsigner, "-verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, "jar verified" in done.stdout) == (0, True)
