"""What is wrong with a file of a data directory. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        code: stable, see docs/reference/errors.md.
        file: relative to the data directory.
        message: one sentence that names the file.
        expected, found: what was compared.
    """

    code: str
    file: str
    message: str
    expected: str
    found: str

    @property
    def entry(self) -> str:
        """The file, as reports of several findings name what they are about."""
        return self.file
