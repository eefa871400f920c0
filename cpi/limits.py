"""Limits of the resources that reading one package may take."""

from dataclasses import dataclass

from cpi.errors import ArchiveError, Code

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Limits of one package; sizes in bytes. The totals count nested archives too.

    Corda itself limits the upload to 200 000 000 bytes and nothing else.
    """

    archive_bytes_max: int = 200_000_000
    entries_max: int = 20_000
    name_bytes_max: int = 512
    directory_bytes_max: int = 16 * _MIB
    entry_bytes_max: int = 200_000_000
    total_bytes_max: int = 600_000_000
    ratio_max: int = 200
    """Unpacked to packed size of one deflated entry, above `ratio_free_bytes`."""
    ratio_free_bytes: int = 4 * _MIB
    manifest_bytes_max: int = 16 * _MIB
    manifest_main_bytes_max: int = _MIB // 4
    """Size limit of a manifest or signature file, in addition to `section_bytes_max` for each entry
    of its archive."""
    section_bytes_max: int = 4 * 1024
    signature_block_bytes_max: int = 256 * 1024
    signers_max: int = 16
    json_bytes_max: int = 4 * _MIB
    text_bytes_max: int = 32 * _MIB
    """Total of all manifests, signature files, signature blocks and JSON documents. Parsing a byte
    of these costs a hundred times as much as a byte of content, and they compress to almost
    nothing."""
    component_bytes_max: int = 128 * _MIB

    def manifest_bytes(self, entries: int) -> int:
        """Bytes that a manifest or signature file of an archive of `entries` entries may have."""
        allowed = self.manifest_main_bytes_max + entries * self.section_bytes_max
        return min(self.manifest_bytes_max, allowed)


DEFAULT_LIMITS = ArchiveLimits()


class Budget:
    """The remaining totals while one package and its nested archives are read."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._bytes = limits.total_bytes_max
        self._entries = limits.entries_max
        self._text = limits.text_bytes_max
        self._limits = limits

    def spend(self, *, entries: int, unpacked_bytes: int) -> None:
        """Count one archive, or code in a separate zstd frame.

        Raises:
            ArchiveError: the package as a whole holds more than its limits allow.
        """
        self._entries -= entries
        self._bytes -= unpacked_bytes
        if self._entries < 0:
            raise ArchiveError(
                Code.ARCHIVE_TOO_MANY_ENTRIES,
                f"package has more than {self._limits.entries_max} entries, nested ones included",
            )
        if self._bytes < 0:
            raise ArchiveError(
                Code.ARCHIVE_TOO_LARGE,
                f"package unpacks to more than {self._limits.total_bytes_max} bytes, "
                "nested archives included",
            )

    def spend_text(self, size: int) -> None:
        """Count bytes that will be parsed next.

        Raises:
            ArchiveError: the package as a whole exceeds the limit of parsed bytes.
        """
        self._text -= size
        if self._text < 0:
            raise ArchiveError(
                Code.ARCHIVE_TOO_LARGE,
                f"manifests, signatures and JSON documents of the package have more than "
                f"{self._limits.text_bytes_max} bytes, nested archives included",
            )
