"""The registers against the files that they name: packages, and keys under the master key."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.files.regular_files import open_regular
from host.adapters.os.system import SystemEntropy
from host.domain.errors import HostError
from host.keys.master import MasterKeyFiles
from host.keys.rotation import signing_key_binding
from host.keys.wrapping import unwrap
from host.keys.wrapping_keys import MASTER_CHECK_BINDING, wrapping_key_binding
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.administrative.verification import verify_administrative_log
from host.ports.keys import MasterKeys
from host.runtime.wiring.administrative_reading import register_of
from host.tools.data_check.codes import CheckCode, finding

_FILE = "cluster.sqlite"
_SELECT_CPIS = (
    "SELECT file_checksum FROM cpi UNION SELECT file_checksum FROM cpi_replaced ORDER BY 1"
)
_PIECE_BYTES = 1024 * 1024


def packages(connection: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """Packages whose file is missing or differs."""
    for (checksum,) in connection.execute(_SELECT_CPIS):
        name = f"packages/{checksum.partition(':')[2]}.cpi"
        try:
            found = _checksum(folder / name)
        except OSError as exc:
            message = f"cannot be read: {exc.strerror}"
            yield finding(CheckCode.PACKAGE_MISSING, name, message, expected=checksum, found="none")
            continue
        if found != checksum:
            message = f"its checksum is {found}"
            yield finding(CheckCode.PACKAGE_DAMAGED, name, message, expected=checksum, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKeys:
    """The rows of the key store.

    Attributes:
        masters: generation, and a known text that is wrapped under it.
        wrapping: tenant, generation, generation of the master key, and the wrapped key.
        signing: tenant, identifier, generation of the wrapping key, and the wrapped key.
    """

    masters: Iterable[tuple[int, bytes]]
    wrapping: Iterable[tuple[str, int, int, bytes]]
    signing: Iterable[tuple[str, str, int, bytes]]


def keys(connection: sqlite3.Connection, folder: Path, passphrase: str | None) -> Iterator[Finding]:
    """Keys that cannot be unwrapped with the current master key, down to each private key."""
    masters = MasterKeyFiles(folder / "secrets", passphrase=passphrase, entropy=SystemEntropy())
    rows = WrappedKeys(
        masters=connection.execute("SELECT generation, wrapped FROM key_master"),
        wrapping=connection.execute(
            "SELECT tenant, generation, master_generation, wrapped FROM key_wrapping"
        ),
        signing=connection.execute(
            "SELECT tenant, key_id, wrapping_generation, wrapped FROM key_signing ORDER BY 1, 2"
        ),
    )
    return unusable_keys(rows, masters, _FILE)


def unusable_keys(rows: WrappedKeys, masters: MasterKeys, place: str) -> Iterator[Finding]:
    """Keys that cannot be unwrapped, as findings in `place`."""
    opened: dict[int, bytes] = {}
    for generation, wrapped in rows.masters:
        what = f"master key {generation}"
        try:
            key = masters.get(generation)
            unwrap(key, wrapped, bound_to=MASTER_CHECK_BINDING)
        except HostError as exc:
            yield _unusable(place, what, exc)
        else:
            opened[generation] = key
    wrapping: dict[tuple[str, int], bytes] = {}
    for tenant, generation, master, wrapped in rows.wrapping:
        what = f"wrapping key {generation} of {tenant}"
        if master in opened:
            try:
                wrapping[tenant, generation] = unwrap(
                    opened[master], wrapped, bound_to=wrapping_key_binding(tenant)
                )
            except HostError as exc:
                yield _unusable(place, what, exc)
        elif opened:
            yield _unusable(place, what, f"its master key {master} is not there")
    yield from _signing_keys(rows, wrapping, place)


def _signing_keys(
    rows: WrappedKeys, wrapping: Mapping[tuple[str, int], bytes], place: str
) -> Iterator[Finding]:
    for tenant, key_id, generation, wrapped in rows.signing:
        under = wrapping.get((tenant, generation))
        # If its wrapping key is missing, only that was reported.
        if under is not None:
            try:
                unwrap(under, wrapped, bound_to=signing_key_binding(tenant, key_id))
            except HostError as exc:
                yield _unusable(place, f"key {key_id} of {tenant}", exc)


def administrative_log(folder: Path, key: bytes | None) -> Iterator[Finding]:
    """The chain of administrative acts, verified with the key of the audit logs if it exists."""
    with register_of(folder) as register:
        yield from bad_acts(register, key, _FILE)


def bad_acts(register: AdministrativeRegister, key: bytes | None, place: str) -> Iterator[Finding]:
    """The first entry of an administrative log that is wrong, as a finding in `place`."""
    verified = verify_administrative_log(register, key=key)
    problem = verified.problem
    if problem is not None:
        yield finding(
            problem.code,
            place,
            f"administrative log, entry {problem.seq}: {problem.message}",
            expected="a log that verifies",
            found=f"{verified.entries} good entries",
        )


def _unusable(place: str, what: str, reason: HostError | str) -> Finding:
    text = reason if isinstance(reason, str) else reason.message
    return finding(
        CheckCode.KEY_UNUSABLE,
        place,
        f"{what} cannot be used: {text}",
        expected="a key that opens",
        found=text,
    )


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return "SHA-256:" + digest.hexdigest().upper()
