"""The operators' console at `/console`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.runtime.hookspecs import hookimpl

if TYPE_CHECKING:  # Every process of a host loads its plugins, one of them serves REST.
    from starlette.routing import BaseRoute

    from host.rest.gate import Gate


@hookimpl
def register_rest_routes(gate: "Gate") -> "Sequence[BaseRoute]":
    """Everything below `/console`."""
    from host.console.app import console_routes  # noqa: PLC0415  # as above

    return console_routes(gate)
