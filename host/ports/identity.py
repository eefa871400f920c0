"""An identity provider: it says who somebody is, and which groups of the host's they are in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import HostError, UnavailableError
from host.domain.ids import EpochMs


class TokenRefusedError(HostError):
    """The bearer token is not one by which a user may sign in; the message says why."""

    code = "token-refused"


class IdentityProviderAwayError(UnavailableError):
    """The identity provider does not answer as it should, so nobody can sign in by it now."""

    code = "identity-provider-unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an identity provider has authenticated.

    Attributes:
        login_name: the name of a user of the host, as the provider's claim has it.
        groups: names of the host's groups that stand for those of the provider.
        expires_at: from when on the token says nothing.
    """

    login_name: str
    groups: tuple[str, ...]
    expires_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What ties a browser's way to the provider and back together.

    Attributes:
        state: has to come back with the answer.
        nonce: has to be in the ID token.
        verifier: the PKCE verifier (RFC 7636), known to the host and the browser alone.
    """

    state: str
    nonce: str
    verifier: str


class IdentityProvider(Protocol):
    """Authenticates users elsewhere. Thread-safe; calls may take seconds."""

    @property
    def label(self) -> str:
        """How people call the provider."""
        ...

    @property
    def is_for_browsers(self) -> bool:
        """Whether people may sign in to the console by it."""
        ...

    def of_token(self, token: str) -> Identity:
        """The user of a bearer token.

        Raises:
            TokenRefusedError: it is not for this host, has expired, or is no token.
            IdentityProviderAwayError: the provider's keys cannot be had.
        """
        ...

    def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser is sent.

        Raises:
            IdentityProviderAwayError: the provider cannot be asked.
        """
        ...

    def of_answer(self, answer: Mapping[str, str], attempt: Attempt) -> Identity:
        """The user that the provider has authenticated for `attempt`.

        Args:
            answer: the query by which the browser came back.
            attempt: as it was sent.

        Raises:
            TokenRefusedError: the answer is another one's, or a refusal, or its token is wrong.
            IdentityProviderAwayError: the provider cannot be asked.
        """
        ...
