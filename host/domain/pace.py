"""How long a user of something shared rests after each use, so that others find it free. Pure.

Turns alone do not keep a node with much work from others: their turns begin at once, but whatever
is used by all of its work (processors, the one interpreter of a process, the writer of a file) is
busy when they come. So while others use it now and then, each use by a node with more work to come
is followed by a rest in proportion to its length. Who is alone never rests.
"""

from typing import Generic, TypeVar

SHARED_S = 2.0
"""How long a user counts as active after a use."""

User = TypeVar("User")


class Pace(Generic[User]):
    """Mutable, not thread-safe.

    Args:
        factor: the rest, in lengths of the use before it.
        rest_max_s: maximum rest, so that an outage during a use does not prolong it.
    """

    def __init__(self, *, factor: float, rest_max_s: float) -> None:
        self._factor = factor
        self._rest_max_s = rest_max_s
        self._active: dict[User, float] = {}

    def rest_s(self, user: User, begun: float, ended: float) -> float:
        """Note a use; returns for how many seconds the user is to rest if it has more work.

        Args:
            user: whose use it was.
            begun: when the use began, in seconds of a monotonic clock.
            ended: when it ended.
        """
        self._active.pop(user, None)
        self._active[user] = ended
        if len(self._active) > 2:  # of the others, the one that was active last is enough
            del self._active[next(iter(self._active))]
        others = (at for name, at in self._active.items() if name != user)
        if not any(ended - at < SHARED_S for at in others):
            return 0.0
        return min(self._factor * (ended - begun), self._rest_max_s)
