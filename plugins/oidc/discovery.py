"""The provider's configuration and keys, kept for a while, read again when an unknown key signs."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc.jwk import Key

from host.ports.clock import TwoClocks
from host.ports.identity import IdentityProviderAwayError
from plugins.oidc.documents import away
from plugins.oidc.tokens import Header, SigningKeys, signing_keys

_PATH = "/.well-known/openid-configuration"
_AGAIN_MS = 30_000
"""How soon keys may be read again for a key id that is unknown: anybody can invent one."""
_AFTER_FAILURE_MS = 5_000
_OLD_TIMES = 4
"""How many times as long keys serve while the provider does not answer."""


class Source(Protocol):
    def get(self, url: str) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the provider says of itself; URLs are https."""

    authorization_endpoint: str
    token_endpoint: str
    names_issuer: bool
    """Whether its answers to browsers name the issuer (RFC 9207)."""
    keys: SigningKeys


class Discovery:
    """Reads configuration and keys when they are needed. Thread-safe.

    Args:
        issuer: whose.
        source: where documents come from.
        clock: for the age of what was read.
        seconds: after which it is read again.
    """

    def __init__(
        self, issuer: str, source: Source, clock: TwoClocks, seconds: Callable[[], int]
    ) -> None:
        self._issuer = issuer
        self._source = source
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        """Not held while the provider is asked, which anybody's token may cause."""
        self._is_asking = False
        self._found: Configuration | None = None
        self._found_at = 0
        self._tried_at: int | None = None
        self._failure: IdentityProviderAwayError | None = None

    def configuration(self) -> Configuration:
        """What the provider says of itself.

        Raises:
            IdentityProviderAwayError: it cannot be read, and what was read is too old; or another
                thread reads it for the first time.
        """
        most = self._seconds() * 1000
        kept = self._kept(most)
        if kept is not None:
            return kept
        self._try(_AFTER_FAILURE_MS)
        kept = self._kept(_OLD_TIMES * most)
        if kept is not None:
            return kept
        with self._lock:
            raise self._failure or away(self._issuer, "its configuration was not read yet")

    def keys_for(self, header: Header) -> Sequence[Key]:
        """The keys by which a token with this header may be signed.

        Raises:
            IdentityProviderAwayError: the provider's keys cannot be had, or another thread reads
                them.
        """
        found = self.configuration().keys.of(header.key_id, header.algorithm)
        if found:
            return found
        if not self._try(_AGAIN_MS):
            raise away(self._issuer, "its keys are being read")
        with self._lock:
            read = self._found
        return () if read is None else read.keys.of(header.key_id, header.algorithm)

    def _kept(self, most_ms: int) -> Configuration | None:
        with self._lock:
            age = self._clock.steady_ms() - self._found_at
            return self._found if age < most_ms else None

    def _try(self, after_ms: int) -> bool:
        """Read again, unless that was tried a short while ago; not if another thread reads."""
        with self._lock:
            now = self._clock.steady_ms()
            if self._is_asking:
                return False
            if self._tried_at is not None and now - self._tried_at < after_ms:
                return True
            self._tried_at, self._is_asking = now, True
        try:
            self._keep(self._read(), now)
        except IdentityProviderAwayError as error:
            with self._lock:
                self._failure = error
        finally:
            with self._lock:
                self._is_asking = False
        return True

    def _keep(self, found: Configuration, now: int) -> None:
        with self._lock:
            self._found, self._found_at, self._failure = found, now, None

    def _read(self) -> Configuration:
        url = self._issuer.removesuffix("/") + _PATH
        document = self._source.get(url)
        if not isinstance(document, Mapping) or document.get("issuer") != self._issuer:
            raise away(url, "its configuration names another issuer")
        keys_url = _url(document, "jwks_uri", url)
        try:
            keys = signing_keys(self._source.get(keys_url))
        except ValueError as error:
            raise away(keys_url, "its keys are no JWK set") from error
        return Configuration(
            authorization_endpoint=_url(document, "authorization_endpoint", url),
            token_endpoint=_url(document, "token_endpoint", url),
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
            keys=keys,
        )


def _url(document: Mapping[str, Any], name: str, url: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.startswith("https://"):
        raise away(url, f"its {name} is no https URL")
    return value
