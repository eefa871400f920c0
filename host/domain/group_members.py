"""Names of the processes that share the work of flows."""

from dataclasses import dataclass

_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberName:
    """Name of a process that runs flows: `<host>.<worker>.<pid>.<run>`, no part with a dot.

    Each start of a host has a new run: only one host at a time holds a data directory, so members
    with its name and another run are dead. Nothing is known about members of other hosts.
    """

    host: str
    worker: str
    pid: int
    run: str

    def __str__(self) -> str:
        return f"{self.host}.{self.worker}.{self.pid}.{self.run}"

    @staticmethod
    def parse(text: str) -> "MemberName | None":
        """Parse a name; None if it does not have this form."""
        parts = text.split(".")
        if len(parts) != _PARTS or not all(parts) or not parts[2].isdecimal():
            return None
        return MemberName(host=parts[0], worker=parts[1], pid=int(parts[2]), run=parts[3])
