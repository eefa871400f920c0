"""Files with what `cordbox vnode location --output json` prints."""

import json
from pathlib import Path
from typing import TypeVar

from host.domain.errors import InvalidInputError
from host.tools.client.answers import shaped
from host.tools.client.cluster_facts import ClusterAnswerError

T = TypeVar("T")


class LocationFileError(InvalidInputError):
    """A file is not what `cordbox vnode location --output json` prints."""

    code = "location-file-invalid"


def read_location(file: Path, shape: type[T]) -> T:
    """The location in a file.

    Raises:
        LocationFileError: the file has another content.
        OSError: it cannot be read.
    """
    try:
        return shaped(json.loads(file.read_bytes()), shape, str(file))
    except (ValueError, ClusterAnswerError) as exc:
        raise LocationFileError(
            f"{file} is not what `cordbox vnode location --output json` prints: {exc}"
        ) from exc
