"""The settings of the plugin. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.secret import ConfigSecret
from host.settings.section import CordaKey, Section

HTTPS = r"^https://[^\s?#]+$"
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Asymmetric ones alone: a key that everybody may read must not verify what it could have made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Bootstrap settings: whom the host believes, and for whom that stands."""

    oidc_issuer: Annotated[
        str,
        Meta(
            pattern=HTTPS,
            max_length=500,
            description="Issuer of the identity provider, exactly as its tokens name it; its"
            " configuration is read from `/.well-known/openid-configuration` below it.",
        ),
    ]
    oidc_client_id: Annotated[
        str, Meta(min_length=1, max_length=255, description="This host's client id there.")
    ]
    oidc_audience: Annotated[
        Annotated[str, Meta(min_length=1, max_length=500)] | None,
        Meta(
            description="Audience that bearer tokens of REST have to name. Without it REST takes no"
            " tokens."
        ),
    ] = None
    oidc_public_url: Annotated[
        Annotated[str, Meta(pattern=r"^https://[^\s/?#]+$", max_length=500)] | None,
        Meta(
            description="The host's address as browsers have it, without a path: the provider sends"
            " them back to `/console/sign-in/callback` there. Without it nobody signs in to the"
            " console by the provider."
        ),
    ] = None
    oidc_label: Annotated[
        str, Meta(min_length=1, max_length=60, description="How people call the provider.")
    ] = "single sign-on"
    oidc_user_claim: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9_.:/-]+$",
            max_length=200,
            description="Claim with the login name of a user. Others than `sub` have to be ones"
            " that users of the provider cannot choose; `email` counts only if it is verified.",
        ),
    ] = "sub"
    oidc_groups_claim: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9_.:/-]+$", max_length=200)] | None,
        Meta(description="Claim with the names of a user's groups at the provider."),
    ] = None
    oidc_groups: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^=]{1,255}=[^=]{1,255}$", max_length=511)], ...],
        Meta(
            max_length=100,
            description="Groups of the provider and the cluster's groups that they stand for, such"
            " as `ops=Operators`: who is in one may sign in without being stored as a user, with"
            " the rights of that group. Without any, unknown users are refused.",
        ),
    ] = ()
    oidc_algorithms: Annotated[
        tuple[Algorithm, ...],
        Meta(min_length=1, max_length=9, description="Algorithms of signatures that are accepted."),
    ] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
    oidc_scopes: Annotated[
        tuple[Annotated[str, Meta(pattern="^[!#-\\[\\]-~]+$", max_length=100)], ...],
        Meta(max_length=20, description="Scopes that the console asks for, beside `openid`."),
    ] = ()
    oidc_ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM certificates of the authorities that issued the provider's; without"
            " it, those of the system."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse combinations that do not make sense."""
        if bool(self.oidc_groups) != (self.oidc_groups_claim is not None):
            raise SettingsInvalidError("oidc_groups and oidc_groups_claim must be given together")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderValues:
    """Section `oidc.provider`: how the provider is spoken to."""

    client_secret: Annotated[
        ConfigSecret | None,
        CordaKey("clientSecret"),
        Meta(
            description="The client's secret at the provider; none for a public client, which PKCE"
            " alone protects."
        ),
    ] = None
    clock_skew_seconds: Annotated[
        int,
        CordaKey("clockSkewSeconds"),
        Meta(ge=0, le=300, description="Seconds by which the clocks of both may differ."),
    ] = 60
    keys_seconds: Annotated[
        int,
        CordaKey("keysSeconds"),
        Meta(
            ge=60,
            le=86_400,
            description="Seconds after which the provider's keys are read again; they serve four"
            " times as long while it does not answer.",
        ),
    ] = 3600


PROVIDER = Section("oidc.provider", ProviderValues)
