"""The package room's error tree, and the one list of codes that its refusals carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Stable identifiers of refusals and warnings; `docs/reference/errors.md` explains each."""

    # Archive layer
    ARCHIVE_INVALID = "archive-invalid"
    ARCHIVE_TOO_LARGE = "archive-too-large"
    ARCHIVE_TOO_MANY_ENTRIES = "archive-too-many-entries"
    ARCHIVE_RATIO = "archive-ratio"
    ARCHIVE_ZIP64 = "archive-zip64"
    ARCHIVE_SECOND_END = "archive-second-end-record"
    ARCHIVE_TRAILING = "archive-trailing-data"
    ARCHIVE_LAYOUT = "archive-layout"
    ARCHIVE_HEADER_MISMATCH = "archive-header-mismatch"
    ARCHIVE_ENCRYPTED = "archive-encrypted"
    ARCHIVE_METHOD = "archive-method"
    ARCHIVE_FLAGS = "archive-flags"
    ARCHIVE_EXTRA = "archive-extra-field"
    ARCHIVE_FILE_TYPE = "archive-file-type"
    ARCHIVE_NAME = "archive-entry-name"
    ARCHIVE_DUPLICATE = "archive-duplicate-entry"
    ARCHIVE_CORRUPT = "archive-corrupt"
    PACKAGE_CHANGED = "package-changed"
    # Manifest layer
    MANIFEST_MISSING = "manifest-missing"
    MANIFEST_SYNTAX = "manifest-syntax"
    MANIFEST_ATTRIBUTE = "manifest-attribute"
    # Signature layer
    NOT_SIGNED = "not-signed"
    SIGNATURE_INVALID = "signature-invalid"
    SIGNATURE_FORMAT = "signature-format"
    SIGNATURE_WEAK = "signature-weak-algorithm"
    SIGNATURE_MISPLACED = "signature-misplaced"
    SIGNATURE_RESERVED_NAME = "signature-reserved-name"
    SIGNATURE_STRAY_FILE = "signature-stray-file"
    SIGNER_MISMATCH = "signer-mismatch"
    DIGEST_MISMATCH = "digest-mismatch"
    ENTRY_MISSING = "entry-missing"
    SIGNER_NAME_TAKEN = "signer-name-taken"
    IDENTITY_CHANGED = "package-identity-changed"
    # Trust layer
    TRUST_NOT_SET = "trusted-certificates-missing"
    NOT_TRUSTED = "signer-not-trusted"
    CERTIFICATE_EXPIRED = "certificate-not-valid-now"
    CERTIFICATE_INVALID = "certificate-invalid"
    CERTIFICATE_USAGE = "certificate-usage"
    CERTIFICATE_EXPIRES_SOON = "certificate-expires-soon"
    CERTIFICATE_SELF_SIGNED = "certificate-self-signed"
    CERTIFICATE_CHAIN_INCOMPLETE = "certificate-chain-incomplete"
    CERTIFICATE_CHAIN_LENGTH = "certificate-chain-in-identity"
    KEY_WEAK = "key-weak"
    TIMESTAMP_INVALID = "timestamp-invalid"
    TIMESTAMP_MISSING = "timestamp-missing"
    TIMESTAMP_UNAVAILABLE = "timestamp-unavailable"
    # Package rules
    PACKAGE_TYPE = "package-type"
    PACKAGE_FORMAT = "package-format"
    PACKAGE_LAYOUT = "package-layout"
    PACKAGE_EMPTY = "package-empty"
    CPK_DUPLICATE = "cpk-duplicate-name"
    DEPENDENCIES_INVALID = "dependencies-invalid"
    DEPENDENCY_UNSATISFIED = "dependency-unsatisfied"
    EXTERNAL_CHANNELS = "external-channels-invalid"
    PLATFORM_VERSION = "platform-version"
    GROUP_POLICY = "group-policy-invalid"
    DESCRIPTOR = "descriptor-invalid"
    DESCRIPTOR_CODE = "descriptor-code-mismatch"
    # Keys
    KEYSTORE_INVALID = "keystore-invalid"
    KEYSTORE_PASSWORD = "keystore-password"  # noqa: S105 - a code, no password
    KEYSTORE_ALIAS = "keystore-alias-unknown"
    KEY_UNSUPPORTED = "key-unsupported"
    CERTIFICATE_UNREADABLE = "certificate-unreadable"
    # Files
    FILE_EXISTS = "file-exists"


MESSAGE_CHARACTERS_MAX = 8192
"""Names in packages and certificates may be megabytes long, so messages truncate them."""


def _bounded(message: str) -> str:
    if len(message) <= MESSAGE_CHARACTERS_MAX:
        return message
    end = f"… ({len(message)} characters)"
    return message[: MESSAGE_CHARACTERS_MAX - len(end)] + end


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One finding: `entry` is a path such as `app.cpb!/hello.jar!/META-INF/MANIFEST.MF`."""

    code: Code
    message: str
    entry: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", _bounded(self.message))

    def below(self, container: str) -> "Issue":
        """The same finding with its path relative to the archive that holds `container`."""
        entry = f"{container}!/{self.entry}" if self.entry else container
        return Issue(code=self.code, message=self.message, entry=entry)


class CpiError(Exception):
    """Root of every refusal of this room.

    Attributes:
        code: stable kebab-case identifier.
        message: one sentence that names the thing refused, what was expected and what was found.
        entry: the archive entry concerned, if it is one.
    """

    code: str = "cpi-error"

    def __init__(self, code: Code, message: str, *, entry: str | None = None) -> None:
        self.message = _bounded(message)
        super().__init__(self.message)
        self.code = code.value
        self.entry = entry

    @property
    def issues(self) -> tuple[Issue, ...]:
        """The findings; classes that collect findings have several."""
        return (Issue(code=Code(self.code), message=self.message, entry=self.entry),)


class ArchiveError(CpiError):
    """The bytes are not a ZIP archive that every reader reads in the same way."""


class ManifestError(CpiError):
    """A JAR manifest or signature file breaks the JAR specification."""


class SignatureError(CpiError):
    """A JAR signature is invalid, or was made over other bytes."""


class TrustError(CpiError):
    """A signer's certificate path does not lead to a trusted certificate."""


class DescriptorError(CpiError):
    """`wasm/descriptor.json` breaks its schema, or the package breaks the descriptor."""


class DependenciesError(CpiError):
    """`META-INF/CPKDependencies.json` breaks its schema or its rules."""


class KeystoreError(CpiError):
    """A keystore, key or certificate file cannot be used."""


class OutputExistsError(CpiError):
    """The output file exists already, and nothing is overwritten."""


class CollectedError(CpiError):
    """A refusal that reports every finding; the first one gives code, message and entry."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        first = issues[0]
        super().__init__(first.code, first.message, entry=first.entry)
        self._issues = tuple(issues)

    @property
    def issues(self) -> tuple[Issue, ...]:
        return self._issues

    def __str__(self) -> str:
        more = len(self._issues) - 1
        return self.message if not more else f"{self.message} (and {more} more)"


class PackageRefusedError(CollectedError):
    """A package breaks at least one rule of its type."""


class GroupPolicyError(CollectedError):
    """A group policy breaks its schema or a parser rule; entries are JSON paths."""
