"""The CPIs of a moving node: its own, and the others of its line that flows and ledger may name."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec

from host.domain.ids import Checksum, HoldingIdentity
from host.domain.packages import CpiRecord
from host.nodes.packages.service import PackageService
from host.nodes.packages.uploaded import UploadedFile
from host.ports.directory import VirtualNodes
from host.ports.node_contents import NodeItemInvalidError

_BEGIN, _MORE = "cpi", "more"
_Item = tuple[str, str, bytes]
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Item] = msgspec.msgpack.Decoder(_Item)


class NodeCpis:
    """`NodeContents` of CPIs: they are uploaded where they are not stored, with all checks.

    Args:
        packages: the stored CPIs.
        nodes: the nodes here.
        wait: waits a moment for an upload.
    """

    name = "cpi"
    version = 1

    def __init__(
        self, packages: PackageService, nodes: VirtualNodes, wait: Callable[[], None]
    ) -> None:
        self._packages = packages
        self._nodes = nodes
        self._wait = wait

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        for cpi in self._of(holding):
            yield _encoder.encode((_BEGIN, cpi.file_checksum, b""))
            for chunk in self._packages.chunks(cpi.file_checksum):
                yield _encoder.encode((_MORE, "", chunk))

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version, holding
        with tempfile.TemporaryFile() as file:
            checksum: Checksum | None = None
            for kind, named, data in chain(map(_read, items), [(_BEGIN, "", b"")]):
                if kind == _MORE:
                    file.write(data)
                    continue
                if checksum is not None and self._packages.get(checksum) is None:
                    self._upload(UploadedFile(file, f"CPI {checksum}"), checksum)
                file.seek(0)
                file.truncate()
                checksum = Checksum(named) if named else None

    def erase(self, holding: HoldingIdentity) -> None:
        """Nothing: a CPI that has a row is never deleted."""

    def may_run(self, holding: HoldingIdentity, checksum: str) -> bool:
        """Whether flows of a node may run a CPI: none that is here, and of another line."""
        found = self._packages.get(Checksum(checksum))
        return found is None or found in self._of(holding)

    def _of(self, holding: HoldingIdentity) -> Iterator[CpiRecord]:
        node = self._nodes.get(holding.short_hash)
        own = None if node is None else self._packages.get(node.cpi_checksum)
        if own is None:
            return
        for each in self._packages.all():
            if _line(each) == _line(own) and each.file_checksum != own.file_checksum:
                yield each
        yield own

    def _upload(self, file: UploadedFile, checksum: Checksum) -> None:
        request = self._packages.upload(file)
        while self._packages.upload_status(request).cpi_checksum is None:
            self._wait()
        if self._packages.get(checksum) is None:
            raise NodeItemInvalidError(f"the CPI in the file is not {checksum}")


def _line(cpi: CpiRecord) -> tuple[str, str, str]:
    return cpi.identity.name, cpi.identity.signer_summary_hash, cpi.group_id


def _read(item: bytes) -> _Item:
    try:
        return _decoder.decode(item)
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError("an item of CPIs is malformed") from exc
