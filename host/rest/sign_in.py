"""Sign-in: cached credentials are accepted at once, all others are checked after their delay.

Checking a password is slow on purpose. Clients that guess have to wait, and cannot use up the
threads or turns of others; wrong passwords are logged with the user, the address and the request.
"""

import asyncio

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry, Counter

from host.access import (
    NotAuthenticatedError,
    SignInDelayedError,
    User,
    Users,
    canonical_login_name,
)
from host.access.delays import SignInDelays, delayed
from host.adapters.http.admission import address_group
from host.ports.identity import TokenRefusedError
from host.rest.external_sign_in import ExternalSignIn
from host.rest.fair_turns import FairTurns, NoTurnError
from host.rest.requester import Requester

_AT_ONCE = 2
"""Passwords that are checked concurrently; each check uses 32 MiB."""
_WAITING_MAX = 64
_WAITED_MS_MAX = 2_000
"""Shorter delays are waited for, so that a user who mistyped once need not retry by hand."""
_TRIES_MAX = 3
_BUSY_MS = 1_000
_NAME_CHARACTERS_MAX = 255

_log = structlog.get_logger("cordbox.rest")


class SignIn:
    """Checks credentials for one server.

    Each process that serves REST counts wrong passwords separately: n processes allow n times the
    guesses.
    """

    def __init__(
        self,
        delays: SignInDelays,
        registry: CollectorRegistry,
        external: ExternalSignIn | None = None,
    ) -> None:
        self._delays = delays
        self.external = external
        self._turns = FairTurns(at_once=_AT_ONCE, waiting_max=_WAITING_MAX)
        self._threads: CapacityLimiter | None = None
        self._refused = Counter(
            "cordbox_rest_sign_ins_refused",
            "Credentials that were wrong, and those that were not looked at.",
            ("reason",),
            registry=registry,
        )
        for reason in ("wrong", "delayed", "busy", "token"):
            self._refused.labels(reason)

    async def user(self, users: Users, login_name: str, password: str, who: Requester) -> User:
        """The user of a credential.

        Raises:
            NotAuthenticatedError: it is wrong.
            SignInDelayedError: too soon after wrong ones.
        """
        found = users.remembered(login_name, password)
        if found is not None:
            return found
        # No user has a longer name: invented names must not fill the memory.
        login_name = canonical_login_name(login_name)[: _NAME_CHARACTERS_MAX + 1]
        address = address_group(who.address)
        try:
            for _ in range(_TRIES_MAX):
                await self._wait(login_name, address)
                first = self._delays.is_new(login_name, address)
                async with self._turns.turn(address, first=first):
                    # Other attempts may have failed while this one waited for its turn.
                    if not self._delays.wait_ms(login_name, address):
                        return await self._check(users, login_name, password, who)
            raise delayed(max(self._delays.wait_ms(login_name, address), _BUSY_MS))
        except NoTurnError:
            self._refused.labels("busy").inc()
            raise delayed(_BUSY_MS) from None
        except SignInDelayedError:
            self._refused.labels("delayed").inc()
            _log.debug("sign-in-delayed", user=_printable(login_name), address=who.address)
            raise

    @property
    def takes_tokens(self) -> bool:
        """Whether bearer tokens are looked at."""
        return self.external is not None

    async def bearer(self, token: str, who: Requester) -> User:
        """The user of a bearer token.

        Raises:
            TokenRefusedError, ExternalUserRefusedError: nobody signs in by it.
            IdentityProviderAwayError: it cannot be judged now.
            SignInDelayedError: many tokens of this address are judged already.
        """
        if self.external is None:
            raise NotAuthenticatedError("User credentials must be Basic credentials.")
        try:
            return await self.external.bearer(token, who)
        except NoTurnError:
            self._refused.labels("busy").inc()
            raise delayed(_BUSY_MS) from None
        except (TokenRefusedError, NotAuthenticatedError):
            self._refused.labels("token").inc()
            raise

    async def _wait(self, login_name: str, address: str) -> None:
        wait = self._delays.wait_ms(login_name, address)
        if wait > _WAITED_MS_MAX:
            raise delayed(wait)
        if wait:
            await asyncio.sleep(wait / 1000)

    async def _check(self, users: Users, login_name: str, password: str, who: Requester) -> User:
        if self._threads is None:
            self._threads = CapacityLimiter(_AT_ONCE)
        address = address_group(who.address)
        try:
            user = await to_thread.run_sync(
                users.authenticate, login_name, password, limiter=self._threads
            )
        except NotAuthenticatedError:
            wait = self._delays.failed(login_name, address)
            self._refused.labels("wrong").inc()
            _log.warning(
                "sign-in-failed",
                user=_printable(login_name),
                address=who.address,
                rest_request=who.request_id,
                next_after_ms=wait,
            )
            raise
        self._delays.succeeded(login_name, address)
        return user


def _printable(name: str) -> str:
    """A name from an unauthenticated client, made safe for a log."""
    return "".join(c if c.isprintable() else "�" for c in name[:_NAME_CHARACTERS_MAX])
