"""Errors of containers and of their keys."""

from host.domain.errors import InvalidInputError, StorageError


class ContainerInvalidError(InvalidInputError):
    """The file is not a container of the expected kind, or was written by a newer release."""

    code = "container-invalid"


class ContainerDamagedError(InvalidInputError):
    """The container was truncated or changed, or does not match its manifest."""

    code = "container-damaged"


class ContainerKeyError(InvalidInputError):
    """The passphrase or private key is invalid, or does not open the container."""

    code = "container-key-wrong"


class TransferKeyDamagedError(StorageError):
    """The private key of this cluster for files of nodes was changed, or others can read it."""

    code = "transfer-key-damaged"
