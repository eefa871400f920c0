"""The identity provider of the settings: verifies its tokens, and exchanges its codes."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from host.domain.ids import EpochMs
from host.ports.clock import TwoClocks
from host.ports.identity import Attempt, Identity, IdentityProviderAwayError
from host.ports.live import Live
from host.settings.secret import ConfigSecret
from plugins.oidc.discovery import Discovery
from plugins.oidc.documents import Documents, away
from plugins.oidc.settings import OidcSettings, ProviderValues
from plugins.oidc.tokens import (
    Header,
    check_access,
    check_id,
    expiry_of,
    groups_of,
    header_of,
    name_of,
    refused,
    verified,
)

CALLBACK = "/console/sign-in/callback"
_CODE_CHARACTERS_MAX = 4096
_REFUSED_STATUSES = frozenset({"400", "401", "403"})


class OidcProvider:
    """One provider. Thread-safe.

    Args:
        settings: whom the host believes.
        live: how the provider is spoken to.
        opened: gives the text of a secret.
        documents: asks the provider.
        clock: the host's time.
    """

    def __init__(
        self,
        settings: OidcSettings,
        live: Live[ProviderValues],
        opened: Callable[[ConfigSecret], str],
        documents: Documents,
        clock: TwoClocks,
    ) -> None:
        self._settings = settings
        self._live = live
        self._opened = opened
        self._documents = documents
        self._clock = clock
        self._groups = dict(each.split("=", 1) for each in settings.oidc_groups)
        self._discovery = Discovery(
            settings.oidc_issuer, documents, clock, lambda: live.get().keys_seconds
        )

    @property
    def label(self) -> str:
        return self._settings.oidc_label

    @property
    def is_for_browsers(self) -> bool:
        return self._settings.oidc_public_url is not None

    def of_token(self, token: str) -> Identity:
        """See `IdentityProvider`."""
        audience = self._settings.oidc_audience
        if audience is None:
            raise refused("audience", "REST takes no tokens without `oidc_audience`")
        header, claims = self._claims(token)
        check_access(header, claims, issuer=self._settings.oidc_issuer, audience=audience)
        return self._identity(claims)

    def authorization_url(self, attempt: Attempt) -> str:
        """See `IdentityProvider`."""
        challenge = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(("openid", *self._settings.oidc_scopes)),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        endpoint = self._discovery.configuration().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def of_answer(self, answer: Mapping[str, str], attempt: Attempt) -> Identity:
        """See `IdentityProvider`."""
        found = self._discovery.configuration()
        issuer = answer.get("iss")
        if (issuer is None and found.names_issuer) or issuer not in {
            None,
            self._settings.oidc_issuer,
        }:
            raise refused("issuer", "the answer is of another issuer")
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise refused("state", "the answer is to another sign-in")
        code = answer.get("code", "")
        if "error" in answer or not 0 < len(code) <= _CODE_CHARACTERS_MAX:
            raise refused("code", "the provider has not signed you in")
        token = self._exchanged(found.token_endpoint, code, attempt)
        header, claims = self._claims(token)
        check_id(
            header,
            claims,
            issuer=self._settings.oidc_issuer,
            client_id=self._settings.oidc_client_id,
            nonce=attempt.nonce,
        )
        return self._identity(claims)

    @property
    def _redirect_uri(self) -> str:
        return f"{self._settings.oidc_public_url}{CALLBACK}"

    def _exchanged(self, endpoint: str, code: str, attempt: Attempt) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        client_id, secret = self._settings.oidc_client_id, self._live.get().client_secret
        client = None
        if secret is None:
            form["client_id"] = client_id
        else:
            # Form-encoded before they are joined: RFC 6749, 2.3.1.
            client = (quote(client_id, safe=""), quote(self._opened(secret), safe=""))
        try:
            answer = self._documents.post(endpoint, form, client=client)
        except IdentityProviderAwayError as error:
            if error.details.get("status") in _REFUSED_STATUSES:
                raise refused("code", "the provider does not take its code back") from error
            raise
        token = answer.get("id_token") if isinstance(answer, Mapping) else None
        if not isinstance(token, str):
            raise away(endpoint, "its answer has no ID token")
        return token

    def _claims(self, token: str) -> tuple[Header, Mapping[str, Any]]:
        header = header_of(token, self._settings.oidc_algorithms)
        return header, verified(token, header, self._discovery.keys_for(header))

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        own, skew = self._settings, self._live.get().clock_skew_seconds
        expires = expiry_of(claims, self._clock.now_ms() // 1000, skew)
        return Identity(
            login_name=name_of(claims, own.oidc_user_claim),
            groups=groups_of(claims, own.oidc_groups_claim, self._groups),
            expires_at=EpochMs((expires + skew) * 1000),
        )
