"""A register of nodes for tests of their databases."""

from collections.abc import Mapping, Sequence

from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.ports.vaults import DatabaseProblem


class EveryNode:
    """The port `VaultRegister`: every node exists, and what was made is noted."""

    def __init__(self) -> None:
        self._made: set[ShortHash] = set()

    def is_made(self, short_hash: ShortHash) -> bool:
        return short_hash in self._made

    def note_made(self, short_hash: ShortHash) -> None:
        self._made.add(short_hash)

    def noted(self, short_hash: ShortHash) -> int:
        del short_hash
        return 0

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        """Nothing is asked of it."""

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        """Nothing is asked of it."""

    def problems(self) -> Sequence[DatabaseProblem]:
        return ()

    def made(self) -> Sequence[ShortHash]:
        return sorted(self._made)
