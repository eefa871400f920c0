"""`cordbox package verify` against `jarsigner -verify`, as whole processes, in turn."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks import workshop
from benchmarks.measure import Measurement, paired_medians
from cpi.build import CpkSpec, build_cpk
from sample_cordapps.demo.processes import cordbox_path

_REPEATS = 7


def run() -> list[Measurement]:
    certificate = workshop.folder() / "signing.pem"
    certificate.write_bytes(workshop.key().certificate_chain[0].public_bytes(Encoding.PEM))
    iou = workshop.built(Path("sample_cordapps/iou")).cpks[0].file.path
    return [
        _compare("contract CPK of the IOU", iou, certificate),
        _compare("6 MB package, 200 entries", _large_package(), certificate),
    ]


def _compare(name: str, package: Path, certificate: Path) -> Measurement:
    ours = [cordbox_path(), "package", "verify", str(package), "--type", "CPK"]
    ours += ["--certificate", str(certificate), "--signature-only"]
    jarsigner = shutil.which("jarsigner")
    if jarsigner is None:
        seconds, _ = paired_medians(lambda: _run(ours), lambda: None, repeats=_REPEATS)
        return Measurement(name=name, value=seconds, unit="s", note="no jarsigner here")
    theirs = [jarsigner, "-verify", str(package)]
    mine, other = paired_medians(lambda: _run(ours), lambda: _run(theirs), repeats=_REPEATS)
    return Measurement(
        name=f"verify, whole process: {name}",
        value=mine,
        unit="s",
        against=f"jarsigner -verify ({other:.3f} s)",
        ratio=other / mine,
    )


def _run(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _large_package() -> Path:
    """Entries that no compressor can shrink, the same in every run."""
    entries = {
        f"data/{number:03}.bin": b"".join(
            hashlib.sha512(f"{number}-{block}".encode()).digest() for block in range(470)
        )
        for number in range(200)
    }
    spec = CpkSpec(
        symbolic_name="com.cordbox.bench",
        version="1.0.0",
        cordapp_kind="workflow",
        cordapp_name="bench",
        cordapp_version=1,
        vendor="Cordbox",
        licence="Apache-2.0",
        entries=entries,
        dependencies=(),
        attributes={},
    )
    path = workshop.folder() / "large.jar"
    path.write_bytes(build_cpk(spec, (workshop.key(),)))
    return path
