"""Refusals of uploads."""

from host.domain.errors import ConflictError, InvalidInputError


class PackageUploadRefusedError(InvalidInputError):
    """Verification refuses the file; nothing is stored.

    `details` carry the failed check (`check`) and, where one entry is at fault, its name (`entry`).
    """

    code = "package-upload-refused"


class PackageDuplicateError(ConflictError):
    """A CPI of this name, version and signer is stored already, or is being stored."""

    code = "package-duplicate"


class UploadUnknownError(InvalidInputError):
    """No upload has this request id, or it is so long ago that its outcome is forgotten."""

    code = "upload-unknown"
