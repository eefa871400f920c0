"""Sign-in by an OpenID Connect provider: bearer tokens of REST, and the console in a browser.

Needs the extra `oidc`, and is loaded by `plugins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.runtime.hookspecs import hookimpl

if TYPE_CHECKING:
    from host.ports.clock import TwoClocks
    from host.ports.identity import IdentityProvider
    from host.settings import HostSettings
    from host.settings.live import LiveConfig
    from host.settings.plugged import PluginSettings

# What signatures need is an extra: every process of a host loads this module.


@hookimpl
def register_settings() -> PluginSettings:
    """The settings `oidc_…`, and the section `oidc.provider`."""
    from host.settings.plugged import PluginSettings  # noqa: PLC0415  # see above
    from plugins.oidc.settings import PROVIDER, OidcSettings  # noqa: PLC0415  # see above

    return PluginSettings(bootstrap=OidcSettings, sections=[PROVIDER])


@hookimpl
def register_identity_provider(
    settings: HostSettings, config: LiveConfig, clock: TwoClocks
) -> IdentityProvider:
    """The provider that `oidc_issuer` names."""
    from plugins.oidc.documents import Documents  # noqa: PLC0415  # see above
    from plugins.oidc.provider import OidcProvider  # noqa: PLC0415  # see above
    from plugins.oidc.settings import PROVIDER, OidcSettings  # noqa: PLC0415  # see above

    own = settings.plugin(OidcSettings)
    return OidcProvider(
        own, config.section(PROVIDER), config.opened, Documents(own.oidc_ca_file), clock
    )
