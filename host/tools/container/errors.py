"""What can be wrong with a container, or with the key to it."""

from host.domain.errors import InvalidInputError


class ContainerInvalidError(InvalidInputError):
    """The file is no container of the expected kind, or a newer release wrote it."""

    code = "container-invalid"


class ContainerDamagedError(InvalidInputError):
    """The container was cut or changed, or holds something else than its manifest says."""

    code = "container-damaged"


class ContainerKeyError(InvalidInputError):
    """The passphrase or private key does not open the container, or is none."""

    code = "container-key-wrong"
