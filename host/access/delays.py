"""Increasing delays between password attempts, for each user and address. Pure.

After each wrong password, this user must wait 1, 2, 4 … 30 seconds at this address; and one address
has a limited number of wrong passwords over all user names. The same user at another address has a
separate delay, so an attacker cannot lock out the owner of an account.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from host.access.errors import SignInDelayedError
from host.domain.ids import EpochMs
from host.ports.clock import Clock

DELAY_MS_MIN = 1_000
DELAY_MS_MAX = 30_000
FORGOTTEN_MS = 15 * 60_000
"""The delay of a user and address is reset after this time without a wrong password."""
BUDGET = 60
"""Wrong passwords that one address may use up; each is restored after `BUDGET_MS`."""
BUDGET_MS = 1_000
_KEPT_FOR_NEW_NAMES = BUDGET // 2
"""The part of the budget reserved for users without a recent wrong password at the address."""
_REMEMBERED_MAX = 10_000

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class _Wrong:
    times: int
    at: EpochMs


@dataclass(frozen=True, slots=True)
class _Budget:
    left: float
    at: EpochMs


class SignInDelays:
    """The latest wrong passwords, for a limited number of users and addresses.

    Used by one thread.

    Args:
        clock: a monotonic clock (`SteadyClock`).
        remembered_max: pairs of user and address, and addresses, that are kept.
    """

    def __init__(self, clock: Clock, *, remembered_max: int = _REMEMBERED_MAX) -> None:
        self._clock = clock
        self._max = remembered_max
        self._wrong: OrderedDict[tuple[str, str], _Wrong] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def is_new(self, login_name: str, address: str) -> bool:
        """Whether this user has no recent wrong password at this address."""
        return self._known(login_name, address) is None

    def wait_ms(self, login_name: str, address: str) -> int:
        """Milliseconds until this user may try a password from this address; 0 means now."""
        return self._wait_ms(login_name, address, self._clock.now_ms())

    def _wait_ms(self, login_name: str, address: str, now: EpochMs) -> int:
        wrong = self._known(login_name, address)
        own = 0 if wrong is None else wrong.at + delay_ms(wrong.times) - now
        needed = 1 if wrong is None else _KEPT_FOR_NEW_NAMES + 1
        lacking = needed - self._left(address, now)
        return max(own, int(lacking * BUDGET_MS + 0.999), 0)

    def check(self, login_name: str, address: str) -> None:
        """Raise an error if this user has to wait.

        Raises:
            SignInDelayedError: names the remaining time.
        """
        wait = self.wait_ms(login_name, address)
        if wait:
            raise delayed(wait)

    def failed(self, login_name: str, address: str) -> int:
        """Record a wrong password; returns the milliseconds until the next may be tried."""
        now = self._clock.now_ms()
        before = self._known(login_name, address)
        times = 1 if before is None else before.times + 1
        _put(self._wrong, (login_name, address), _Wrong(times, now), self._max)
        left = max(self._left(address, now) - 1, 0)
        _put(self._budgets, address, _Budget(left, now), self._max)
        return self._wait_ms(login_name, address, now)

    def succeeded(self, login_name: str, address: str) -> None:
        """Record a correct password: it resets the user's delay at this address."""
        self._wrong.pop((login_name, address), None)

    def _known(self, login_name: str, address: str) -> _Wrong | None:
        wrong = self._wrong.get((login_name, address))
        if wrong is not None and self._clock.now_ms() - wrong.at >= FORGOTTEN_MS:
            return None
        return wrong

    def _left(self, address: str, now: EpochMs) -> float:
        budget = self._budgets.get(address)
        if budget is None:
            return BUDGET
        return min(budget.left + max(now - budget.at, 0) / BUDGET_MS, BUDGET)


def delay_ms(times: int) -> int:
    """How long to wait after this number of consecutive wrong passwords, from 1."""
    return min(DELAY_MS_MIN << min(times - 1, 10), DELAY_MS_MAX)


def delayed(wait_ms: int) -> SignInDelayedError:
    """The refusal of a user who has to wait."""
    seconds = max(-(-wait_ms // 1000), 1)
    return SignInDelayedError(
        f"Too many wrong passwords; try again in {seconds} seconds.", retryAfter=str(seconds)
    )


def _put(kept: OrderedDict[_K, _V], key: _K, value: _V, count_max: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > count_max:
        kept.popitem(last=False)
