"""Refusals of the key store."""

from host.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StorageError,
)


class PublicKeyInvalidError(InvalidInputError):
    """The text is no PEM public key of a scheme that this host knows."""

    code = "public-key-invalid"


class KeySchemeUnknownError(InvalidInputError):
    """No such key scheme."""

    code = "key-scheme-unknown"


class KeyAliasInvalidError(InvalidInputError):
    """An alias is 1 to 128 letters, digits, dots, hyphens and underscores."""

    code = "key-alias-invalid"


class KeyAliasExistsError(ConflictError):
    """The tenant has a key of this alias."""

    code = "key-alias-exists"


class SignatureSpecInvalidError(InvalidInputError):
    """The signature spec is unknown or does not fit the key."""

    code = "signature-spec-invalid"


class KeyNotFoundError(NotFoundError):
    """The tenant holds no such key."""

    code = "key-not-found"


class MasterKeyError(StorageError):
    """The master key is missing, unprotected, or not the one that the keys were wrapped with."""

    code = "master-key"


class KeyMaterialError(StorageError):
    """A wrapped key does not open: the stored bytes were changed or moved."""

    code = "key-material"


class MasterKeyGoneError(MasterKeyError):
    """A master key was destroyed after everything was wrapped under a newer one."""

    code = "master-key-gone"


class RotationInProgressError(ForbiddenError):
    """An earlier rotation of the tenant's wrapping key has not ended."""

    code = "key-rotation-in-progress"


class CsrInvalidError(InvalidInputError):
    """A certificate signing request cannot have this name or signature spec."""

    code = "csr-invalid"
