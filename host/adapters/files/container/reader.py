"""Reads containers: the content of sections is streamed, and verified at the end of each.

Callers must not use the streamed content before `read_container` has returned: only then is it
known that nothing was truncated or changed.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyrage
import zstandard

from host.adapters.files.container.errors import ContainerDamagedError, ContainerKeyError
from host.adapters.files.container.format import (
    MAGIC_BYTES,
    MANIFEST,
    MANIFEST_BYTES_MAX,
    Header,
    Manifest,
    Records,
    Section,
    decode_manifest,
    take_header,
)
from host.adapters.files.container.keys import Opener
from host.adapters.files.container.writer import Progress

_WINDOW_BYTES_MAX = 8 * 1024 * 1024

Accept = Callable[[Manifest], None]
"""Checks the manifest before anything else is unpacked; raises an error to refuse it."""


class Target(Protocol):
    """The target of a section's content; closed at its end."""

    def write(self, data: bytes, /) -> object: ...

    def close(self) -> None: ...


OpenTarget = Callable[[Section], Target]


def read_header(stream: BinaryIO, magic: bytes) -> Header:
    """The public header of a container, readable without a key.

    Raises:
        ContainerInvalidError: another file.
        ContainerDamagedError: it ends early.
    """
    return take_header(stream, magic)[0]


def read_container(
    stream: BinaryIO,
    *,
    magic: bytes,
    opener: Opener,
    accept: Accept,
    open_target: OpenTarget,
    progress: Progress,
    may_add: bool = False,
    manifest_bytes_max: int = MANIFEST_BYTES_MAX,
) -> Manifest:
    """Unpack a container; returns its manifest after everything was verified.

    With `may_add` it may be one that adds to another; `accept` judges what it adds to. A manifest
    is kept in memory: `manifest_bytes_max` is for kinds that have few sections.

    Raises:
        ContainerInvalidError: another file.
        ContainerKeyError: the key does not open it.
        ContainerDamagedError: it was truncated or changed.
    """
    header, digest = take_header(stream, magic)
    identities = opener.identities(header)
    unpacking = _Unpacking(
        digest,
        accept,
        open_target,
        progress,
        may_add=may_add,
        manifest_bytes_max=manifest_bytes_max,
    )
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    # Its pieces are always small, so excess content is detected early.
    pipe = unpacker.stream_writer(cast("BinaryIO", unpacking), closefd=False)
    try:
        pyrage.decrypt_io(stream, pipe, identities)
    except pyrage.DecryptError as exc:
        if "No matching keys" in str(exc):
            raise ContainerKeyError(
                "the private key does not open the container"
                if header.identity is None
                else "the container is encrypted with a passphrase, none was given"
            ) from exc
        raise ContainerDamagedError(f"the encrypted part is damaged: {exc}") from exc
    except (OSError, zstandard.ZstdError) as exc:
        if unpacking.failure is not None:
            raise unpacking.failure from None
        raise ContainerDamagedError(f"the encrypted part is cut or changed: {exc}") from exc
    finally:
        unpacking.close()
    return unpacking.whole()


class _Unpacking:
    """Takes the unpacked bytes, as a writable stream."""

    def __init__(
        self,
        header_digest: str,
        accept: Accept,
        open_target: OpenTarget,
        progress: Progress,
        *,
        may_add: bool,
        manifest_bytes_max: int,
    ) -> None:
        self._manifest_bytes_max = manifest_bytes_max
        self._header_digest = header_digest
        self._accept = accept
        self._open_target = open_target
        self._progress = progress
        self._may_add = may_add
        self._records = Records()
        self._manifest_bytes = bytearray()
        self._manifest: Manifest | None = None
        self._expected: Iterator[Section] = iter(())
        self._section: Section | None = None
        self._target: Target | None = None
        self._digest = hashlib.sha256()
        self._left = 0
        self._number = 0
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.failure is not None:  # what else the streams above write does not replace it
            raise self.failure
        try:
            for section, number, content in self._records.feed(data):
                self._take(section, number, content)
        except BaseException as exc:
            self.failure = exc
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        target, self._target = self._target, None  # closed once, even if that fails
        if target is not None:
            target.close()

    def whole(self) -> Manifest:
        """The manifest of a container that was read to its end.

        Raises:
            ContainerDamagedError: something is missing.
        """
        if self._manifest is None and self._manifest_bytes:
            self._begin()
        if self._manifest is None:
            raise ContainerDamagedError("the container has no manifest")
        if self._section is not None or not self._records.is_between:
            name = "a record" if self._section is None else f"section {self._section.name}"
            raise ContainerDamagedError(f"{name} is incomplete or missing")
        return self._manifest

    def _take(self, section: str, number: int, content: bytes) -> None:
        if section == MANIFEST and self._manifest is None:
            is_long = len(self._manifest_bytes) + len(content) > self._manifest_bytes_max
            if number != self._number or is_long or not content:
                raise ContainerDamagedError("the manifest is too long, or out of order")
            self._manifest_bytes += content
            self._number += 1
            return
        if self._manifest is None:
            self._begin()
        expected = self._section
        if expected is None or (section, number) != (expected.name, self._number) or not content:
            raise ContainerDamagedError(f"a record of {section[:64]!r} is not expected here")
        if len(content) > self._left:
            raise ContainerDamagedError(f"section {section} is longer than {expected.bytes} bytes")
        assert self._target is not None, section  # noqa: S101  # open while a section is expected
        self._target.write(content)
        self._digest.update(content)
        self._left -= len(content)
        self._number += 1
        self._progress(len(content))
        if not self._left:
            self._end_section(expected)
            self._next()

    def _begin(self) -> None:
        manifest = decode_manifest(bytes(self._manifest_bytes), may_add=self._may_add)
        if manifest.header != self._header_digest:
            raise ContainerDamagedError("the header was changed: the manifest knows another")
        self._accept(manifest)
        self._manifest = manifest
        self._expected = iter(manifest.sections)
        self._next()

    def _next(self) -> None:
        """Expect the next section; those without content have no records."""
        for section in self._expected:
            self._section, self._left, self._number = section, section.bytes, 0
            self._digest = hashlib.sha256()
            self._target = self._open_target(section)
            if section.bytes:
                return
            self._end_section(section)
        self._section = None

    def _end_section(self, section: Section) -> None:
        self.close()
        if self._digest.hexdigest() != section.digest:
            raise ContainerDamagedError(
                f"section {section.name}: expected digest {section.digest},"
                f" found {self._digest.hexdigest()}"
            )


def identity_of_file(file: Path, passphrase: str) -> str:
    """The private key that a passphrase opens in the header of a container of any kind.

    Raises:
        ContainerInvalidError, ContainerDamagedError: another file.
        ContainerKeyError: the passphrase does not open it.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        magic = stream.read(MAGIC_BYTES)
        stream.seek(0)
        header = read_header(stream, magic)
    (found,) = Opener(passphrase=passphrase).identities(header)
    return str(found)
