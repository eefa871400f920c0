"""Forms: what was sent, and the fields that a question has. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PICKED_MAX = 100
"""Most rows that one form takes: more than a page of a list has."""
UPLOAD_BYTES_MAX = 64 * 1024 * 1024
"""Longest file that a form takes: it is in memory. The command line sends longer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a browser sent; `picked` are the rows of a list that were chosen."""

    texts: Mapping[str, str]
    picked: Sequence[str] = ()
    file: bytes | None = None
    file_name: str = ""

    def text(self, name: str) -> str:
        """A field; empty if it was not sent."""
        return self.texts.get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a question. `kind` is an input's type, `textarea`, `select` or `hidden`."""

    name: str
    label: str = ""
    kind: str = "text"
    value: str = ""
    hint: str = ""
    options: Sequence[str] = ()
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before something is done.

    Attributes:
        title: what will be done.
        says: what follows from it.
        button: names it once more; `risk` for what cannot be undone.
        back: where "Cancel" leads.
        problem: why the form is shown again.
        with_file: whether a field is a file.
    """

    title: str
    button: str
    back: str
    says: Sequence[str] = ()
    fields: Sequence[Field] = field(default=())
    is_risk: bool = False
    problem: str = ""
    with_file: bool = False
