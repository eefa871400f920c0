"""Refusals of settings."""

from host.domain.errors import InvalidInputError


class SettingsInvalidError(InvalidInputError):
    """A setting is unknown, or its value is not allowed."""

    code = "settings-invalid"
