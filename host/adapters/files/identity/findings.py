"""Problems of files of a data directory. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem.

    Attributes:
        code: stable, see docs/reference/errors.md.
        file: relative to the data directory.
        message: one sentence that names the file.
        expected, found: the compared values.
    """

    code: str
    file: str
    message: str
    expected: str
    found: str

    @property
    def entry(self) -> str:
        """The file, under the name by which reports of several findings identify their subject."""
        return self.file
