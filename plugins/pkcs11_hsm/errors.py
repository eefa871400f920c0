"""Refusals of hardware keys."""

from host.domain.errors import HostError


class HardwareKeyError(HostError):
    """A hardware key cannot be used as requested."""

    code = "hsm-key-unusable"


class HardwareUriError(HardwareKeyError):
    """A `pkcs11:` URI breaks RFC 7512 or uses a part of it that is not supported."""

    code = "hsm-uri-invalid"


class HardwareUnavailableError(HardwareKeyError):
    """The PKCS#11 library cannot be loaded, or there is no such token."""

    code = "hsm-unavailable"


class HardwarePinError(HardwareKeyError):
    """The token refuses the PIN, or needs one."""

    code = "hsm-pin"


class HardwareKeyNotFoundError(HardwareKeyError):
    """The token has no such key, several of them, or no certificate for it."""

    code = "hsm-key-not-found"
