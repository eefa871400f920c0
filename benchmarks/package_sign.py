"""`cordbox package sign` against `jarsigner`, as whole processes, in turn.

Ours signs, verifies the finished package as `verify` would, and only then puts it in place.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import packages, workshop
from benchmarks.measure import Measurement, paired_medians
from cpi.crypto.keystore_creation import create_keystore
from sample_cordapps.demo.processes import cordbox_path

_REPEATS = 7
_PASSWORD = "benchmark"


def small() -> list[Measurement]:
    """Sign 6 MB."""
    return [_compare(6)]


def large() -> list[Measurement]:
    """Sign 60 MB."""
    return [_compare(60)]


def _compare(megabytes: int) -> Measurement:
    source = packages.unsigned_file(megabytes=megabytes)
    signed, keystore = workshop.folder() / "signed.jar", _keystore()
    store = ["--keystore", str(keystore), "--storepass", _PASSWORD, "--key", "bench"]
    ours = [cordbox_path(), "package", "sign", str(source), "--file", str(signed), *store]
    name = f"sign, whole process: {megabytes} MB, 200 entries"
    jarsigner = shutil.which("jarsigner")
    if jarsigner is None:
        seconds, _ = paired_medians(lambda: _sign(ours, signed), lambda: None, repeats=_REPEATS)
        return Measurement(name=name, value=seconds, unit="s", note="no jarsigner here")
    theirs = [jarsigner, "-keystore", str(keystore), "-storepass", _PASSWORD]
    theirs += ["-signedjar", str(signed), str(source), "bench"]
    mine, other = paired_medians(
        lambda: _sign(ours, signed), lambda: _sign(theirs, signed), repeats=_REPEATS
    )
    return Measurement(
        name=name,
        value=mine,
        unit="s",
        against=f"jarsigner ({other:.3f} s)",
        ratio=other / mine,
        note="ours verifies the result too; goal of 6 MB: 6 times",
    )


def _keystore() -> Path:
    path = workshop.folder() / "bench.p12"
    if not path.exists():
        path.write_bytes(
            create_keystore(
                password=_PASSWORD,
                alias="bench",
                distinguished_name="CN=Bench, O=Cordbox, L=London, C=GB",
            )
        )
    return path


def _sign(words: Sequence[str], target: Path) -> None:
    target.unlink(missing_ok=True)
    packages.run(words)
