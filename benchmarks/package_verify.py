"""`cordbox package verify` against `jarsigner -verify`, as whole processes, in turn; its memory."""

import shutil
from pathlib import Path

from benchmarks import packages, workshop
from benchmarks.measure import Measurement, paired_medians
from sample_cordapps.demo.processes import cordbox_path

_REPEATS = 9
_CPI_MEGABYTES = (1, 20, 190)


def processes() -> list[Measurement]:
    """Whole processes beside jarsigner."""
    iou = workshop.built(Path("sample_cordapps/iou")).cpks[0].file.path
    return [
        _compare("contract CPK of the IOU", iou),
        _compare("6 MB, 200 entries", packages.cpk_file(megabytes=6)),
        _compare("60 MB, 200 entries", packages.cpk_file(megabytes=60)),
    ]


def memory() -> list[Measurement]:
    """Peak memory by the size of the CPI."""
    return [_memory(megabytes) for megabytes in _CPI_MEGABYTES]


def _words(package: Path) -> list[str]:
    trust = ["--certificate", str(packages.certificate())]
    return [cordbox_path(), "package", "verify", str(package), *trust]


def _compare(name: str, package: Path) -> Measurement:
    ours = [*_words(package), "--type", "CPK", "--signature-only"]
    jarsigner = shutil.which("jarsigner")
    if jarsigner is None:
        seconds, _ = paired_medians(lambda: packages.run(ours), lambda: None, repeats=_REPEATS)
        return Measurement(name=name, value=seconds, unit="s", note="no jarsigner here")
    theirs = [jarsigner, "-verify", str(package)]
    mine, other = paired_medians(
        lambda: packages.run(ours), lambda: packages.run(theirs), repeats=_REPEATS
    )
    return Measurement(
        name=f"verify, whole process: {name}",
        value=mine,
        unit="s",
        against=f"jarsigner -verify ({other:.3f} s)",
        ratio=other / mine,
    )


def _memory(megabytes: int) -> Measurement:
    package = packages.cpi_file(megabytes=megabytes)
    value = packages.peak_megabytes(_words(package))
    package.unlink()
    return Measurement(
        name=f"verify, peak memory: CPI of {megabytes} MB",
        value=value,
        unit="MB",
        note="all steps; goal: under 100 MB for 200 MB",
    )
