"""A refusal as commands report it: each fault on its own, with the code of whoever refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a refusal; `facts` is what a host tells besides, by name."""

    code: str
    message: str
    entry: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> Sequence[str]:
        """Lines for a terminal; facts that the message has are left out."""
        more = (f"  {name}: {value}" for name, value in self.facts.items() if value)
        missing = (line for line in more if line.partition(": ")[2] not in self.message)
        return (f"error[{self.code}]: {self.message}", *missing)


def faults_of(error: Exception) -> Sequence[Fault]:
    """The faults of a refusal, at least one.

    An error may list them as `issues` (of packages: code, message and entry each) or as `problems`
    (texts); an error of a host's answer has the host's own code.
    """
    code = str(getattr(error, "answered_code", None) or getattr(error, "code", "error"))
    entry = getattr(error, "entry", None)
    issues = getattr(error, "issues", ())
    if len(issues) > 1:
        return [
            Fault(code=i.code, message=_located(i.message, i.entry), entry=i.entry) for i in issues
        ]
    problems = getattr(error, "problems", ())
    if len(problems) > 1:
        return [Fault(code=code, message=_located(text, entry), entry=entry) for text in problems]
    message = _located(str(getattr(error, "message", error)), entry)
    facts = getattr(error, "details", {}) if getattr(error, "answered_code", None) else {}
    return [Fault(code=code, message=message, entry=entry, facts=facts)]


def _located(message: str, entry: object) -> str:
    return f"{entry}: {message}" if entry and str(entry) not in message else message
