"""Outcomes of a run that was not ended by an error."""

from dataclasses import dataclass
from typing import TypeAlias

from sandbox.limits import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The export returned.

    Attributes:
        value: the text of `ok` or `err`; None where the type has none.
        is_error: the value is the `err`. A Python guest whose `describe` fails answers
            `{"error": {"type", "message", "trace"}}`, which counts as an error, too.
        receipt: canonical JSON.
    """

    value: str | None
    is_error: bool
    usage: Usage
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A host call raised `SuspendRun`."""

    usage: Usage
    receipt: str


Outcome: TypeAlias = Returned | Suspended
