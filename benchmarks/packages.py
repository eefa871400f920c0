"""Packages of a wanted size, the same in every run, and how whole processes are measured."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks import workshop
from cpi.archive.reading import read_archive
from cpi.archive.writing import write_archive
from cpi.jar.signatures import Role, role_of
from cpi.package.build import CpkSpec, build_cpb, build_cpi, build_cpk
from cpi.package.group_policy_generation import generate_static_policy

_BLOCK = 64
_PEAK = """
import os, resource, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def certificate() -> Path:
    """The certificate of the benchmarks' key, in a PEM file."""
    path = workshop.folder() / "signing.pem"
    path.write_bytes(workshop.key().certificate_chain[0].public_bytes(Encoding.PEM))
    return path


def cpk(*, megabytes: int, entries: int = 200) -> bytes:
    """A signed CPK of entries that no compressor can shrink."""
    blocks = megabytes * 1_000_000 // entries // _BLOCK
    contents = {f"data/{number:05}.bin": _noise(number, blocks) for number in range(entries)}
    spec = CpkSpec(
        symbolic_name=f"com.cordbox.bench{megabytes}",
        version="1.0.0",
        cordapp_kind="workflow",
        cordapp_name="bench",
        cordapp_version=1,
        vendor="Cordbox",
        licence="Apache-2.0",
        entries=contents,
        dependencies=(),
        attributes={},
    )
    return build_cpk(spec, (workshop.key(),))


def _noise(number: int, blocks: int) -> bytes:
    return hashlib.shake_128(str(number).encode()).digest(blocks * _BLOCK)


def cpk_file(*, megabytes: int) -> Path:
    path = workshop.folder() / f"{megabytes}.jar"
    if not path.exists():
        path.write_bytes(cpk(megabytes=megabytes))
    return path


def unsigned_file(*, megabytes: int) -> Path:
    """The CPK without its signature."""
    path = workshop.folder() / f"{megabytes}-unsigned.jar"
    archive = read_archive(cpk_file(megabytes=megabytes).read_bytes())
    kept = [
        (entry.name, archive.read(entry.name))
        for entry in archive.entries
        if role_of(entry.name) not in (Role.SIGNATURE_FILE, Role.BLOCK)
    ]
    path.write_bytes(write_archive(kept))
    return path


def cpi_file(*, megabytes: int) -> Path:
    """A CPI of one CPB of one CPK."""
    path = workshop.folder() / f"{megabytes}.cpi"
    policy = generate_static_policy(
        names=["O=Alice, L=London, C=GB"],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    keys = (workshop.key(),)
    bundle = build_cpb(
        name="bench", version="1", cpks={"bench.jar": cpk(megabytes=megabytes)}, keys=keys
    )
    path.write_bytes(
        build_cpi(
            name="bench", version="1", cpb=("bench.cpb", bundle), group_policy=policy, keys=keys
        )
    )
    return path


def run(words: Sequence[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)


def peak_megabytes(words: Sequence[str]) -> float:
    """The most memory that a process had resident, in MB of a million bytes."""
    # A child starts with its parent's peak on Linux, so a small process has to start it.
    measured = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PEAK, *words], check=True, capture_output=True
    )
    return int(measured.stdout) * 1024 / 1_000_000
