"""Packages verified from their file: the same verdicts, little memory, and no second truth."""

import hashlib
import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.archive.reading import read_archive
from cpi.archive.sources import CHUNK_BYTES, BytesSource, Window, chunks_of
from cpi.errors import ArchiveError, PackageRefusedError
from cpi.limits import ArchiveLimits
from cpi.package.build import CpkSpec, build_cpk
from cpi.package.descriptor import CodeDescriptor, dump_descriptor
from cpi.package.files import open_package
from cpi.package.verify import verify_package
from tests.cpi import support
from tests.cpi.support import NOW, accept, alice, refusal, root

MIB = 1024 * 1024
_VERIFY = """
import resource, sys
from datetime import datetime
from pathlib import Path
from cpi.crypto.certificates import load_pem_certificates
from cpi.package.files import open_package
from cpi.package.verify import verify_package
trusted = load_pem_certificates(Path(sys.argv[2]).read_bytes(), source="trusted")
with open_package(Path(sys.argv[1])) as source:
    result = verify_package(source, package_type=None, trusted=trusted,
                            at=datetime.fromisoformat(sys.argv[3]))
    print(len(result.cpks[0].entries), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def packed_nested(data: bytes) -> bytes:
    """The same archive, each entry deflated, nested archives too."""
    entries = support.entries_of(data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("nested", ["stored", "deflated"])
def test_a_file_is_judged_like_its_bytes(tmp_path: Path, nested: str) -> None:
    bundle = support.cpb()
    if nested == "deflated":
        bundle = packed_nested(bundle)
    data = support.cpi(bundle=bundle)
    if nested == "deflated":
        data = packed_nested(data)
    path = tmp_path / "a.cpi"
    path.write_bytes(data)
    in_memory = accept(data)
    with open_package(path) as source:
        from_file = accept(source)
        assert from_file == in_memory
        assert dict(from_file.cpks[0].entries) == dict(in_memory.cpks[0].entries)
    broken = bytearray(data)
    broken[len(broken) // 2] ^= 1
    path.write_bytes(broken)
    with open_package(path) as source:
        assert refusal(source).issues == refusal(bytes(broken)).issues


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jar"
    path.write_bytes(support.cpk())
    with open_package(path) as source:
        os.truncate(path, path.stat().st_size - 1)
        assert [i.code for i in refusal(source).issues] == ["package-changed"]
    path.write_bytes(support.cpk())
    with open_package(path) as source:
        os.utime(path, ns=(0, 0))
        assert [i.code for i in refusal(source).issues] == ["package-changed"]


def test_what_is_read_later_is_what_was_verified(tmp_path: Path) -> None:
    """A CRC-32 can be kept by whoever changes a file; the digest that was signed cannot."""
    path = tmp_path / "a.jar"
    path.write_bytes(support.cpk(entries={"x.txt": b"\0" * 4096, "y.txt": b"y"}))
    with open_package(path) as source:
        entries = accept(source).cpks[0].entries
        assert entries["y.txt"] == b"y"
        archive = read_archive(path.read_bytes())
        at = archive.by_name["y.txt"].data_offset
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"z")
        with pytest.raises(ArchiveError):
            entries["y.txt"]
    with pytest.raises(KeyError):
        entries["nothing"]


def test_a_changed_entry_with_its_old_crc_is_refused() -> None:
    data = bytearray(support.cpk(entries={"y.txt": b"y" * 8}))
    archive = read_archive(bytes(data))

    class Changing(BytesSource):
        changed = False

        def read_at(self, offset: int, size: int) -> bytes:
            read = super().read_at(offset, size)
            return read.replace(b"y" * 8, twin) if self.changed else read

    twin = _crc_twin(b"y" * 8)
    source = Changing(bytes(data))
    entries = accept(source).cpks[0].entries
    Changing.changed = True
    with pytest.raises(ArchiveError) as refused:
        entries["y.txt"]
    assert refused.value.code == "package-changed"
    assert archive.read("y.txt") == b"y" * 8


def _crc_twin(data: bytes) -> bytes:
    """Other bytes of the same CRC-32: the generator polynomial, bits reflected, is added."""
    message = int.from_bytes(data, "little")
    twins = ((message ^ (0x1DB710641 << shift)).to_bytes(8, "little") for shift in range(31))
    return next(twin for twin in twins if zlib.crc32(twin) == zlib.crc32(data))


def test_a_window_ends_where_it_ends() -> None:
    window = Window(Window(BytesSource(b"0123456789"), 2, 6), 1, 3)
    assert window.read_at(0, 10) == b"345"
    assert window.read_at(2, 10) == b"5"
    assert window.read_at(3, 1) == b""
    with pytest.raises(ArchiveError, match="the bytes end at 3"):
        list(chunks_of(window, 0, 4))


def test_a_large_directory_is_refused() -> None:
    with pytest.raises(ArchiveError, match="central directory has") as refused:
        read_archive(support.cpk(), limits=ArchiveLimits(directory_bytes_max=100))
    assert refused.value.code == "archive-too-large"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("META-INF/CPKDependencies.json", "dependencies-invalid"),
        ("wasm/descriptor.json", "descriptor-invalid"),
        ("config/external-channels.json", "external-channels-invalid"),
    ],
)
def test_documents_above_the_limit_are_not_held(entry: str, code: str) -> None:
    main = {
        "Corda-CPK-Format": "2.0",
        "Bundle-SymbolicName": "a",
        "Bundle-Version": "1",
        "Cordapp-Workflow-Name": "a",
        "Cordapp-Workflow-Version": "1",
        "Cordapp-Workflow-Vendor": "a",
        "Cordapp-Workflow-Licence": "a",
    }
    noise = os.urandom(6 * MIB)
    entries = {
        "META-INF/CPKDependencies.json": b'{"formatVersion":"2.0","dependencies":[]}',
        entry: noise,
    }
    data = support.resigned(main, entries)
    error = refusal(data)
    assert error.code == code
    assert "more than 4194304 bytes" in error.message


def test_unpacking_holds_no_more_than_a_piece() -> None:
    """A highly compressed entry of 40 MiB passes through, and is never held."""
    spec = CpkSpec(
        symbolic_name="a",
        version="1",
        cordapp_kind="workflow",
        cordapp_name="a",
        cordapp_version=1,
        vendor="a",
        licence="a",
        entries={f"zeros/{n}": _half_noise(n) for n in range(3)},
    )
    archive = read_archive(packed_nested(build_cpk(spec, [alice()])))
    tracemalloc.start()
    try:
        for name in archive.by_name:
            archive.digest(name, "sha256")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB + 4 * CHUNK_BYTES


def _half_noise(number: int) -> bytes:
    return hashlib.shake_128(str(number).encode()).digest(200_000) + bytes(13 * MIB)


def test_a_component_is_unpacked_block_by_block() -> None:
    wasm = bytes(60 * MIB)
    packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(wasm)
    descriptor = CodeDescriptor(
        world="workflow",
        world_version="1.0.0",
        form="component",
        code_digest=f"SHA-256:{hashlib.sha256(wasm).hexdigest().upper()}",
        component_path="wasm/component.wasm.zst",
        component_size=len(wasm),
    )
    entries = {
        "wasm/descriptor.json": dump_descriptor(descriptor),
        "wasm/component.wasm.zst": packed,
    }
    data = support.cpk(entries=entries)
    del wasm
    tracemalloc.start()
    try:
        assert accept(data).cpks[0].descriptor == descriptor
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB
    for wrong in (packed + b"\0", packed[:-1], packed[:-4] + bytes(4)):
        changed = support.cpk(entries={**entries, "wasm/component.wasm.zst": wrong})
        assert support.refuse(changed) == ["descriptor-code-mismatch"]


@pytest.mark.slow
def test_a_package_of_190_mb_takes_less_than_100_mb_of_memory(tmp_path: Path) -> None:
    member = support.cpk(entries={f"data/{n:03}.bin": os.urandom(1_000_000) for n in range(186)})
    bundle = support.cpb(cpks={"large.jar": member})
    path = tmp_path / "large.cpi"
    path.write_bytes(support.cpi(bundle=bundle))
    trusted = tmp_path / "root.pem"
    trusted.write_bytes(root().certificate.public_bytes(Encoding.PEM))
    # A process starts with the peak of the one that started it, so a small one goes between.
    script = (
        "import os, sys; p = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); "
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))"
    )
    words = [sys.executable, "-c", _VERIFY, str(path), str(trusted), NOW.isoformat()]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    entries, kibibytes = map(int, done.stdout.split())
    assert entries == 187
    assert path.stat().st_size > 186_000_000
    assert kibibytes * 1024 < 100_000_000


def test_signature_only_needs_no_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.jar"
    path.write_bytes(support.cpk())
    script = (
        "import sys\nfrom pathlib import Path\nfrom cpi.package.files import open_package\n"
        "from cpi.package.verify import verify_package\nfrom cpi.errors import PackageRefusedError\n"
        "try:\n    with open_package(Path(sys.argv[1])) as s:\n"
        "        verify_package(s, package_type=None, trusted=[], signature_only=True)\n"
        "except PackageRefusedError as e:\n    print(e.code)\n"
        "print('jsonschema' in sys.modules, 'cpi.package.layers' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.split() == ["trusted-certificates-missing", "False", "False"]


def test_an_unread_source_is_refused_whole() -> None:
    with pytest.raises(PackageRefusedError):
        verify_package(BytesSource(b""), package_type=None, trusted=[], at=NOW)
