"""The limits that a host with given settings allows one run."""

from host.guests.limits import limits_of_quota
from host.settings import HostSettings
from host.settings.default_quota import quota_of_settings
from sandbox.limits import Limits


def limits_of_settings(settings: HostSettings) -> Limits:
    """The limits of a run of a node without overrides; a CPK's descriptor may lower them."""
    return limits_of_quota(quota_of_settings(settings))
