"""Refusals of uploads."""

from host.domain.errors import ConflictError, InvalidInputError


class PackageUploadRefusedError(InvalidInputError):
    """Verification refuses the file; nothing is stored.

    `details` hold the failed check (`check`) and, if it concerns one entry, its name (`entry`).
    """

    code = "package-upload-refused"


class PackageDuplicateError(ConflictError):
    """A CPI of this name, version and signer is stored already, or is being stored."""

    code = "package-duplicate"


class GroupOfOthersError(ConflictError):
    """The CPI's group was founded by other signers; only a forced upload is accepted.

    `details` name the group (`group`), its founders (`founders`) and the CPI's signers (`signers`),
    both by their signer summary hashes.
    """

    code = "group-of-others"


class UploadInterruptedError(ConflictError):
    """The process that worked on an upload has ended; nothing was stored, and it is not resumed."""

    code = "upload-interrupted"


class UploadUnknownError(InvalidInputError):
    """No upload has this request id, or its outcome is no longer stored."""

    code = "upload-unknown"
