"""Sign-in by an identity provider: tokens and answers are judged on threads of their own.

A token that was accepted is remembered for a minute, so that a client's requests do not verify it
each time; its user is looked up for each request.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from host.access import User
from host.access.errors import ExternalUserRefusedError
from host.access.external import ExternalUsers
from host.adapters.http.admission import address_group
from host.domain.ids import EpochMs
from host.domain.printable import printable
from host.ports.clock import Clock
from host.ports.identity import Attempt, Identity, IdentityProvider, TokenRefusedError
from host.rest.fair_turns import FairTurns
from host.rest.requester import Requester

_AT_ONCE = 4
"""Tokens judged concurrently; each may wait for the provider's keys."""
_WAITING_MAX = 64
_REMEMBERED_MAX = 1024
_REMEMBERED_MS = 60_000
_NEVER = EpochMs(2**62)

_log = structlog.get_logger("cordbox.rest")
T = TypeVar("T")


class ExternalSignIn:
    """Signs in users of one provider. Used by one event loop.

    Args:
        provider: authenticates them.
        users: finds them.
        clock: the host's time.
    """

    def __init__(self, provider: IdentityProvider, users: ExternalUsers, clock: Clock) -> None:
        self._provider = provider
        self._users = users
        self._clock = clock
        self._turns = FairTurns(at_once=_AT_ONCE, waiting_max=_WAITING_MAX)
        self._threads: CapacityLimiter | None = None
        self._remembered: OrderedDict[bytes, tuple[EpochMs, Identity]] = OrderedDict()

    @property
    def label_for_browsers(self) -> str | None:
        """How people call the provider; None if they cannot sign in to the console by it."""
        return self._provider.label if self._provider.is_for_browsers else None

    def user_of(self, login_name: str, groups: tuple[str, ...]) -> User:
        """The user whom the provider has authenticated before.

        Raises:
            ExternalUserRefusedError: there is no such user any more.
        """
        return self._users.of(Identity(login_name=login_name, groups=groups, expires_at=_NEVER))

    async def bearer(self, token: str, who: Requester) -> User:
        """The user of a bearer token.

        Raises:
            TokenRefusedError, ExternalUserRefusedError, IdentityProviderAwayError: nobody.
            NoTurnError: many tokens of this address are judged already.
        """
        digest, now = hashlib.sha256(token.encode(errors="replace")).digest(), self._clock.now_ms()
        kept = self._remembered.get(digest)
        if kept is not None and now < kept[0]:
            return self._users.of(kept[1])
        identity, user = await self._judged(lambda: self._provider.of_token(token), who)
        until = EpochMs(min(identity.expires_at, now + _REMEMBERED_MS))
        self._remembered[digest] = (until, identity)
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return user

    async def url(self, attempt: Attempt) -> str:
        """Where a browser goes to sign in.

        Raises:
            IdentityProviderAwayError: the provider does not answer.
        """
        return await self._on_a_thread(lambda: self._provider.authorization_url(attempt))

    async def answered(
        self, answer: Mapping[str, str], attempt: Attempt, who: Requester
    ) -> tuple[User, tuple[str, ...]]:
        """The user whom the provider names in its answer, and the groups that count.

        Raises:
            TokenRefusedError, ExternalUserRefusedError, IdentityProviderAwayError: nobody.
        """
        identity, user = await self._judged(lambda: self._provider.of_answer(answer, attempt), who)
        return user, identity.groups

    async def _judged(self, judge: Callable[[], Identity], who: Requester) -> tuple[Identity, User]:
        def found() -> tuple[Identity, User]:
            identity = judge()
            return identity, self._users.of(identity)

        try:
            async with self._turns.turn(address_group(who.address), first=True):
                return await self._on_a_thread(found)
        except (TokenRefusedError, ExternalUserRefusedError) as error:
            _log.warning(
                "token-refused",
                code=error.code,
                reason=printable(error.message),
                address=who.address,
                rest_request=who.request_id,
            )
            raise

    async def _on_a_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = CapacityLimiter(_AT_ONCE)
        return await to_thread.run_sync(work, limiter=self._threads)
