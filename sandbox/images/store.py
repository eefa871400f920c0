"""The images of one host: made once for each pair of sources and runtime, kept sealed.

In the cache, below `images`: `HEX.image`, the image of that digest, and `known/KEY.json`, which
names the image of some sources and a runtime.
"""

import json
from collections.abc import Callable
from pathlib import Path

from sandbox.digests import digest_of, file_stem
from sandbox.errors import ComponentUnknownError
from sandbox.files import locked, private_directory, write_whole
from sandbox.images.format import decode
from sandbox.images.header import Header, ImageDamagedError, decode_header
from sandbox.images.image import Image, image_of
from sandbox.images.making import make_image
from sandbox.images.runtimes import Runtimes, content_of
from sandbox.python_source import PythonSource
from sandbox.seals import Seals

_VERSION = "1"
"""Of what an image depends on besides sources and runtime: the loader's limits and its argument."""

_FORM = "image, changed pieces"
"""What the seals are good for: a file of an earlier form is not opened, and is made anew."""


class ImageStore:
    """The images in a cache directory. Thread-safe, also against other processes."""

    def __init__(self, cache_dir: Path, runtimes: Runtimes) -> None:
        self._folder = private_directory(cache_dir / "images")
        self._known = private_directory(self._folder / "known")
        self._seals = Seals(self._folder, _FORM)
        self._runtimes = runtimes
        self._fresh: tuple[str, bytes] | None = None
        """Digest and memory of the image that was made last, until it is opened."""

    def make(self, source: PythonSource, runtime: str, progress: Callable[[str], None]) -> Header:
        """The image of some sources in a runtime, from the cache if it has been made here.

        Args:
            source: the Python sources.
            runtime: digest of the pinned runtime.
            progress: called with one sentence before the image is made.

        Raises:
            RuntimeUnknownError, RuntimeDamagedError: there is no such runtime, or it is damaged.
            LoadFailedError: the sources cannot be loaded; names file, line and exception.
        """
        key = digest_of(f"{_VERSION}\n{source.digest}\n{runtime}".encode())
        record = self._known / f"{file_stem(key)}.json"
        with locked(record.with_suffix(".lock")):
            header = self._recall(record)
            if header is not None and (header.source, header.runtime) == (source.digest, runtime):
                return header
            progress(f"loading {len(source.files)} Python files")
            files = self._runtimes.files(runtime)
            try:
                made = make_image(source, files)
            finally:
                files.close()
            self._seals.write(self.path(made.header.digest), made.file)
            write_whole(record, json.dumps({"image": made.header.digest}).encode())
            self._fresh = made.header.digest, made.memory
        return made.header

    def header(self, digest: str) -> Header | None:
        """The header of a stored image; None if there is none."""
        stored = self._stored(digest)
        return None if stored is None else stored[0]

    def open(self, digest: str) -> Image:
        """A stored image.

        Raises:
            ComponentUnknownError: it is not stored here, or is damaged.
        """
        stored = self._stored(digest)
        if stored is None:
            raise ComponentUnknownError(f"image {digest} is not stored here")
        header, data = stored
        initial = self._runtimes.code(header.runtime).initial
        base = content_of(initial)
        fresh, self._fresh = self._fresh, None
        if fresh is not None and fresh[0] == digest:
            return image_of(digest, fresh[1], initial, base)
        try:
            _, memory = decode(data, base)
        except ImageDamagedError as exc:
            raise ComponentUnknownError(f"image {digest} is damaged") from exc
        return image_of(digest, memory, initial, base)

    def path(self, digest: str) -> Path:
        """The file of the image of that digest.

        Raises:
            ComponentUnknownError: it is none.
        """
        stem = file_stem(digest)
        if stem is None:
            raise ComponentUnknownError(f"image {digest!r}: expected SHA-256:HEX")
        return self._folder / f"{stem}.image"

    def _stored(self, digest: str) -> tuple[Header, bytes] | None:
        file = self._seals.open(self.path(digest))
        if file is None:
            return None
        with file:
            data = file.read()
        try:
            header = decode_header(data)
        except ImageDamagedError:
            return None
        return (header, data) if header.digest == digest else None

    def _recall(self, record: Path) -> Header | None:
        try:
            digest: str = json.loads(record.read_bytes())["image"]
            return self.header(digest)
        except (FileNotFoundError, ValueError, KeyError, TypeError, ComponentUnknownError):
            return None
