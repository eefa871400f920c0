"""The contents of a verified package: unpacked on demand, and checked each time."""

from collections.abc import Iterator, Mapping, Sequence

from cpi.archive.reading import Archive


class EntryContents(Mapping[str, bytes]):
    """Contents by name. Reading one unpacks it and compares it with its verified digest."""

    __slots__ = ("_archive", "_names")

    def __init__(self, archive: Archive, names: Sequence[str]) -> None:
        """Offer the entries `names` of a verified archive, whose source must stay open."""
        self._archive = archive
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> bytes:
        """The content of an entry.

        Raises:
            KeyError: there is no such entry.
            ArchiveError: the file changed since it was verified.
        """
        if name not in self._names:
            raise KeyError(name)
        return self._archive.read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"EntryContents({list(self._names)!r})"

    def size(self, name: str) -> int:
        """The unpacked size of an entry in bytes, without reading it."""
        return self._archive.by_name[name].size if name in self._names else 0

    def start(self, name: str, size: int) -> bytes:
        """The content of an entry that exists, but no more than its first `size` bytes."""
        return self._archive.start(name, size)

    def digest(self, name: str) -> bytes:
        """The SHA-256 of an entry, without loading it into memory."""
        return self._archive.digest(name, "sha256")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of an entry in pieces; damage is detected after the last piece."""
        return self._archive.chunks(name)
