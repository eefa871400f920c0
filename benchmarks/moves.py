"""Export and import of a node with a large vault: the work of both hosts, without the way between.

MOVED_STATES says how many unconsumed states the vault has; 400,000 are about 1 GiB of rows.
"""

import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import workshop
from benchmarks.ledger_vault import Vault, vault_of
from benchmarks.measure import BenchmarkError, Measurement
from host.adapters.files.container import Opener, Sealer, cluster_identity, recipient_of
from host.domain.ids import EpochMs
from host.keys.node_keys import NodeKeys
from host.network.location.export import FILE_NAME, Exporter
from host.network.location.import_ import Importer
from host.ports.node_contents import NodeContents
from host.runtime.wiring.schemas import VAULT_SCHEMAS
from host.vault.node_vault import NodeDatabase

_STATES = int(os.environ.get("MOVED_STATES", "40000"))
_MIB = 1024 * 1024
_GOALS = {"export": 20.0, "import": 10.0}


@dataclass(slots=True)
class _Work:
    """Seconds by the clock and of the processor, and MiB of memory that it took beyond before."""

    wall: float = 0.0
    cpu: float = 0.0
    grown: float = 0.0


@contextmanager
def _timed(work: _Work) -> Iterator[None]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    work.wall += time.perf_counter() - wall
    work.cpu += time.process_time() - cpu
    work.grown += (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024


def vault() -> list[Measurement]:
    """A vault is exported, erased, and imported again."""
    with vault_of("moves", notary=False) as made:
        made.grow(0, _STATES)
        return _moved(made)


def _moved(made: Vault) -> list[Measurement]:
    parts, holding = made.parts, made.node.holding
    secrets = parts.base.directory.secrets
    rows = NodeDatabase("vault", parts.vaults, VAULT_SCHEMAS)
    contents: Sequence[NodeContents] = (NodeKeys(parts.keys), rows)
    folder = workshop.folder() / "moves" / "transfer"
    exported, imported = _Work(), _Work()
    with _timed(exported):
        Exporter(contents, parts.keys, parts.public_keys).write(
            holding,
            folder,
            export_id="e",
            at=EpochMs(0),
            epoch=0,
            sealer=Sealer.to_recipient(recipient_of(cluster_identity(secrets))),
            report=_quiet,
        )
    rows.erase(holding)
    importer = Importer((rows,), parts.public_keys)
    with _timed(imported):
        unpacked = Importer(contents, parts.public_keys).read(
            folder / FILE_NAME,
            folder / "unpacked",
            opener=Opener(identities=cluster_identity(secrets)),
            admit=lambda _holding, _manifest: None,
            report=_quiet,
        )
        importer.load(unpacked, _quiet)
    section = next(each for each in unpacked.manifest.sections if each.name == "vault")
    if sum(1 for _ in rows.dump(holding)) == 0:
        raise BenchmarkError("nothing was imported")
    size = section.bytes / _MIB
    return [
        _figure("export", size, exported, (folder / FILE_NAME).stat().st_size / _MIB),
        _figure("import", size, imported, None),
    ]


def _figure(name: str, size: float, work: _Work, file: float | None) -> Measurement:
    rate, goal = size / work.cpu, _GOALS[name]
    written = "" if file is None else f", a file of {file:,.0f} MiB"
    return Measurement(
        name=f"{name} of a vault of {size:,.0f} MiB",
        value=rate,
        unit="MiB/s of processor time",
        against=f"the goal of {goal:.0f} MiB/s",
        ratio=rate / goal,
        note=f"{size / work.wall:,.1f} MiB/s by the clock, {work.cpu:,.1f} s of processor time,"
        f" {work.grown:,.0f} MiB of memory beyond before{written}",
    )


def _quiet(_stage: str, _done: int, _total: int) -> None:
    pass
