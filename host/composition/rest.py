"""The REST application over the host's services, and its certificate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from host.composition.base import Base
from host.composition.parts import Parts
from host.data_directory import DataDirectory
from host.flow.service import FlowService
from host.ports.clock import Clock
from host.rbac import Users
from host.rbac.administrator import ensure_administrator
from host.rest.app import create_app
from host.rest.observe import overview_route
from host.rest.services import RestServices
from host.rest.tls import ServerCertificate, own_certificate
from host.settings import HostSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The application, and the file of a password that was made for the user `admin`."""

    asgi: ASGIApp
    services: RestServices
    admin_password_file: Path | None


def make_rest(
    parts: Parts,
    *,
    given_password: str | None,
    probe: Callable[[], None],
    exposed: CollectorRegistry,
    overview: Callable[[], object],
) -> Rest:
    """Put the application together, and see that there is an administrator.

    Args:
        parts: what it serves.
        given_password: the administrator's.
        probe: raises a `HostError` when the host is not well.
        exposed: what `/metrics` shows.
        overview: what `/overview` shows.
    """
    base = parts.base
    users = Users(parts.database, clock=base.clock, entropy=base.entropy)
    admin_password_file = ensure_administrator(
        users,
        given_password=given_password,
        secrets=base.directory.secrets,
        entropy=base.entropy,
    )
    services = RestServices(
        packages=parts.packages,
        certificates=parts.packages.certificates,
        virtual_nodes=parts.nodes,
        flows=FlowService(units=parts.store, clock=base.clock, quotas=parts.quotas),
        membership=parts.registrations,
        members=parts.members,
        users=users,
        keys=parts.keys,
        quotas=parts.quotas,
        storage_bytes=parts.vaults.used_bytes,
    )
    asgi = create_app(
        services,
        max_content_length=base.settings.max_content_length,
        registry=base.registry,
        exposed=exposed,
        probe=probe,
        extra_routes=(overview_route(overview), *_plugged_routes(base)),
    )
    return Rest(asgi=asgi, services=services, admin_password_file=admin_password_file)


def server_certificate(
    settings: HostSettings, directory: DataDirectory, clock: Clock
) -> ServerCertificate:
    """The certificate of the settings, or else the host's own, made at its first start."""
    if settings.tls_certificate_file is None or settings.tls_private_key_file is None:
        return own_certificate(directory.tls, listen_host=settings.listen_host, clock=clock)
    return ServerCertificate(
        certificate_file=settings.tls_certificate_file,
        private_key_file=settings.tls_private_key_file,
    )


def _plugged_routes(base: Base) -> Sequence[BaseRoute]:
    plugged = base.plugins.hook.register_rest_routes(settings=base.settings)
    return tuple(chain.from_iterable(plugged))
