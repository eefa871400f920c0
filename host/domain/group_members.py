"""Names of the processes that share out the work of flows."""

from dataclasses import dataclass

_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberName:
    """Of a process that runs flows: `<host>.<worker>.<process id>.<run>`, no part with a dot.

    The run is new with every start of a host: one host at a time holds a data directory, so that
    members of its name and of another run are dead. Of other hosts' members nobody here knows.
    """

    host: str
    worker: str
    pid: int
    run: str

    def __str__(self) -> str:
        return f"{self.host}.{self.worker}.{self.pid}.{self.run}"

    @staticmethod
    def parse(text: str) -> "MemberName | None":
        """Read a name; None for one that nothing of this form was called."""
        parts = text.split(".")
        if len(parts) != _PARTS or not all(parts) or not parts[2].isdecimal():
            return None
        return MemberName(host=parts[0], worker=parts[1], pid=int(parts[2]), run=parts[3])
