"""The limits that a host with given settings allows one run."""

from host.settings import HostSettings
from sandbox.limits import Limits


def limits_of_settings(settings: HostSettings) -> Limits:
    """The limits of every run; a CPK's descriptor may lower them."""
    return Limits(
        fuel_max=settings.guest_fuel_max,
        memory_bytes_max=settings.guest_memory_bytes_max,
        wall_ms_max=settings.guest_wall_ms_max,
    )
