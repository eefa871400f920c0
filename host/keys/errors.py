"""Refusals of the key store."""

from host.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StorageError,
)


class PublicKeyInvalidError(InvalidInputError):
    """The text is not a PEM public key of a supported scheme."""

    code = "public-key-invalid"


class KeySchemeUnknownError(InvalidInputError):
    """No such key scheme, or none of keys of this category."""

    code = "key-scheme-unknown"


class KeyAliasInvalidError(InvalidInputError):
    """An alias is 1 to 128 letters, digits, dots, hyphens and underscores, but not `.` or `..`."""

    code = "key-alias-invalid"


class KeyAliasExistsError(ConflictError):
    """The tenant has a key of this alias."""

    code = "key-alias-exists"


class KeyImportError(InvalidInputError):
    """A private key of an import is damaged, or is not that of its public key and scheme."""

    code = "key-import-invalid"


class SignatureSpecInvalidError(InvalidInputError):
    """The signature spec is unknown or does not fit the key."""

    code = "signature-spec-invalid"


class KeyNotFoundError(NotFoundError):
    """The tenant holds no such key."""

    code = "key-not-found"


class SealedInvalidError(InvalidInputError):
    """The sealed bytes do not open: changed, meant for another key, or their key is gone."""

    code = "sealed-invalid"


class MasterKeyError(StorageError):
    """The master key is missing, readable by others, or not the one that wraps the stored keys."""

    code = "master-key"


class KeyMaterialError(StorageError):
    """A wrapped key cannot be decrypted: the stored bytes were changed or moved."""

    code = "key-material"


class MasterKeyGoneError(MasterKeyError):
    """This master key was destroyed after all keys were rewrapped under a newer one."""

    code = "master-key-gone"


class RotationInProgressError(ForbiddenError):
    """An earlier rotation of the tenant's wrapping key has not ended."""

    code = "key-rotation-in-progress"


class CsrInvalidError(InvalidInputError):
    """A certificate signing request cannot have this name or signature spec."""

    code = "csr-invalid"
