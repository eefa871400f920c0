"""Cause and remedy of each code of `cpi.errors.Code`, for the reference of error codes."""

from collections.abc import Mapping

from cpi.errors import Code

_DAMAGED = "Copy or download the file again; if it stays so, have its maker build it again."
_REBUILD = "Have its maker build the package again with `cordbox cordapp build` or `package`."
_SIGN_AGAIN = "Sign the package again with `cordbox package sign`."

ERROR_CODES: Mapping[str, tuple[str, str]] = {
    Code.ARCHIVE_INVALID: ("The file is no ZIP archive, or a broken one.", _DAMAGED),
    Code.ARCHIVE_TOO_LARGE: (
        "The archive, or what an entry unpacks to, is larger than allowed.",
        "Leave out what the package does not need, or split it into several CPKs.",
    ),
    Code.ARCHIVE_TOO_MANY_ENTRIES: (
        "The archive has more entries than allowed.",
        "Leave out files that the package does not need.",
    ),
    Code.ARCHIVE_RATIO: (
        "An entry unpacks to far more than its size, as a decompression bomb does.",
        "Do not use the file unless its maker can explain it; store such an entry uncompressed.",
    ),
    Code.ARCHIVE_ZIP64: (
        (
            "The archive has ZIP64 structures of which readers take different numbers: they are"
            " damaged, not needed, or have a data descriptor."
        ),
        "Write the archive without ZIP64, for example with `zip -fz-`, or build it with Cordbox.",
    ),
    Code.ARCHIVE_SECOND_END: (
        "More than one end-of-central-directory record could be read.",
        _REBUILD,
    ),
    Code.ARCHIVE_TRAILING: (
        "Bytes follow the archive's end; refused if they hold a ZIP record, a warning otherwise.",
        _DAMAGED,
    ),
    Code.ARCHIVE_LAYOUT: (
        "Bytes belong to no entry, entries overlap, or they stand in another order than listed.",
        _REBUILD,
    ),
    Code.ARCHIVE_HEADER_MISMATCH: (
        "An entry's local header differs from the central directory.",
        _REBUILD,
    ),
    Code.ARCHIVE_ENCRYPTED: ("An entry is encrypted.", "Build the archive without encryption."),
    Code.ARCHIVE_METHOD: (
        "An entry is compressed by another method than STORED and DEFLATED.",
        "Build the archive with one of these methods.",
    ),
    Code.ARCHIVE_FLAGS: ("An entry has general purpose flags that are not allowed.", _REBUILD),
    Code.ARCHIVE_EXTRA: ("An extra field could change what an entry means.", _REBUILD),
    Code.ARCHIVE_FILE_TYPE: (
        "An entry is a symbolic link, a device or another special file.",
        "Put regular files in place of links and special files.",
    ),
    Code.ARCHIVE_NAME: (
        (
            "An entry's name is unsafe: absolute, with `..`, a drive, a backslash or a control"
            " character, or not UTF-8."
        ),
        "Rename the file and build the archive again.",
    ),
    Code.ARCHIVE_DUPLICATE: (
        "Two entries have one name, perhaps except for letter case or Unicode form.",
        "Remove or rename one of the two.",
    ),
    Code.ARCHIVE_CORRUPT: (
        "An entry's checksum, size or compressed data is wrong.",
        _DAMAGED,
    ),
    Code.PACKAGE_CHANGED: (
        "The file was changed by another program while it was being verified or read.",
        "Run the command again when nothing writes the file.",
    ),
    Code.MANIFEST_MISSING: (
        "There is no manifest, or it is not the first entry.",
        "Build the package with Cordbox, Corda's tools or `jar`.",
    ),
    Code.MANIFEST_SYNTAX: (
        "The manifest or a signature file breaks the JAR specification.",
        _REBUILD,
    ),
    Code.MANIFEST_ATTRIBUTE: (
        "A manifest attribute is missing or has a value that is not allowed.",
        "Set the attribute that the message names, and sign again.",
    ),
    Code.NOT_SIGNED: ("The package, or a file in it, is not signed.", _SIGN_AGAIN),
    Code.SIGNATURE_INVALID: (
        (
            "A signature is not the one of its key over these bytes: of a package's signature file,"
            " or of a transaction, where it may also be repeated or by a key that is no signatory."
        ),
        "Get the package from its maker again; sign the transaction with the signatories' keys.",
    ),
    Code.SIGNATURE_FORMAT: (
        "A signature block is damaged, or of a form that is not accepted.",
        "Sign with `cordbox package sign` or `jarsigner`.",
    ),
    Code.SIGNATURE_WEAK: (
        "A digest or signature algorithm is disabled, such as SHA-1.",
        "Sign again with SHA-256 or better.",
    ),
    Code.SIGNATURE_MISPLACED: (
        "A signature file does not directly follow the manifest.",
        _SIGN_AGAIN,
    ),
    Code.SIGNATURE_RESERVED_NAME: (
        "The archive has a `SIG-*` file or an `INDEX.LIST`, which are not accepted.",
        "Remove the file and sign again.",
    ),
    Code.SIGNATURE_STRAY_FILE: (
        "A signature block has no signature file (a warning).",
        "Remove the block, or sign again.",
    ),
    Code.SIGNER_MISMATCH: (
        "Not every signer covers every file.",
        "Let each signer sign the whole package, after the last change to it.",
    ),
    Code.DIGEST_MISMATCH: ("A file was changed after signing.", _SIGN_AGAIN),
    Code.ENTRY_MISSING: ("The manifest lists a file that the archive does not have.", _DAMAGED),
    Code.SIGNER_NAME_TAKEN: (
        "The package has a signature file of this name already.",
        "Choose another name for the signature file.",
    ),
    Code.IDENTITY_CHANGED: (
        (
            "Signing changes the package's signer summary hash: for a cluster it is another package"
            " (a warning)."
        ),
        "Sign with the same keys as the version that is stored, or upload it as a new package.",
    ),
    Code.TRUST_NOT_SET: (
        "No trusted certificate was given.",
        "Give `--trust`, or import the certificate into the host with usage `code-signer`.",
    ),
    Code.NOT_TRUSTED: (
        "The signer's certificate does not lead to a trusted one.",
        "Check whose certificate it is; if you trust it, name it or its issuer as trusted.",
    ),
    Code.CERTIFICATE_EXPIRED: (
        "A certificate of the signer's path has expired, or is not valid yet.",
        "Check the clock; sign again with a valid certificate, and with a timestamp.",
    ),
    Code.CERTIFICATE_INVALID: (
        "A certificate of the path is malformed, or breaks a rule of certificate paths.",
        "Have its issuer make it anew; the message names the rule.",
    ),
    Code.CERTIFICATE_USAGE: (
        (
            "The certificate's key usage forbids signing; a warning if it is merely for other"
            " things than signing code."
        ),
        "Use a certificate with key usage `digitalSignature`, for code signing.",
    ),
    Code.CERTIFICATE_EXPIRES_SOON: (
        "The certificate expires soon and there is no timestamp (a warning).",
        "Sign with `--tsa`, so that the package outlives its certificate.",
    ),
    Code.CERTIFICATE_SELF_SIGNED: (
        "The signer's certificate is its own issuer, so nobody trusts it unasked (a warning).",
        "Give the certificate to those who verify, or have an authority issue one.",
    ),
    Code.CERTIFICATE_CHAIN_INCOMPLETE: (
        "The signer's chain ends without its root, which verifiers then need (a warning).",
        "Put the issuers into the key store, or name them by `--certificate-file`.",
    ),
    Code.CERTIFICATE_CHAIN_LENGTH: (
        (
            "The CPI's identity covers the whole certificate chain, so another chain makes another"
            " CPI (a warning)."
        ),
        "Keep the chain when the certificate is renewed, or upload the CPI as a new package.",
    ),
    Code.KEY_WEAK: (
        "The key is too small; refused for signing, a warning when verifying.",
        "Use RSA of at least 2048 bits, EC of at least 256 bits, or Ed25519.",
    ),
    Code.TIMESTAMP_INVALID: (
        "The RFC 3161 timestamp is not valid for this signature, or its authority is not trusted.",
        "Check the certificates given for timestamps; sign again with another authority.",
    ),
    Code.TIMESTAMP_MISSING: (
        "The signature will have no timestamp, so it ends with its certificates (a warning).",
        "Sign with `--tsa`.",
    ),
    Code.TIMESTAMP_UNAVAILABLE: (
        "The timestamp authority gave no usable answer in time, or its URL is none.",
        "Check URL and network, and try again; or sign without a timestamp.",
    ),
    Code.PACKAGE_TYPE: (
        "The file is none of CPK, CPB and CPI, or not the one that was expected.",
        "Check the file's name and manifest.",
    ),
    Code.PACKAGE_FORMAT: ("The format attribute is missing or not 2.0.", _REBUILD),
    Code.PACKAGE_LAYOUT: (
        "Files stand where the package type does not allow them.",
        "Remove or move the files that the message names.",
    ),
    Code.PACKAGE_EMPTY: ("A CPB has no CPK.", "Add at least one CPK."),
    Code.CPK_DUPLICATE: (
        "Two CPKs have one name.",
        "Keep one of them, or change the name in its `cordapp.toml`.",
    ),
    Code.DEPENDENCIES_INVALID: ("`META-INF/CPKDependencies.json` is malformed.", _REBUILD),
    Code.DEPENDENCY_UNSATISFIED: (
        "No CPK of the CPB satisfies a dependency.",
        "Add the CPK of this name, version and signer to the CPB.",
    ),
    Code.EXTERNAL_CHANNELS: (
        "`config/external-channels.json` is malformed.",
        "Let `external-channels` in `cordapp.toml` write the file.",
    ),
    Code.PLATFORM_VERSION: (
        "The package needs a newer platform.",
        "Use a newer release of the platform, or an older version of the package.",
    ),
    Code.GROUP_POLICY: (
        "The group policy breaks its schema or a rule; each problem is listed with its JSON path.",
        "Correct the places that the message names, or write it with `cordbox network`.",
    ),
    Code.DESCRIPTOR: ("`wasm/descriptor.json` is malformed.", _REBUILD),
    Code.DESCRIPTOR_CODE: (
        "The code in the package differs from what the descriptor says.",
        _REBUILD,
    ),
    Code.KEYSTORE_INVALID: (
        "The key store cannot be read.",
        "Check that it is PKCS#12, JKS or PEM; `keytool -list` shows what Java sees in it.",
    ),
    Code.KEYSTORE_PASSWORD: (
        "The key store's password is wrong.",
        "Give the right password by `--storepass` or the variable that the option names.",
    ),
    Code.KEYSTORE_ALIAS: (
        "The key store has no key of this alias.",
        "Use one of the aliases that the message lists.",
    ),
    Code.KEY_UNSUPPORTED: (
        "The key's type or size is not supported.",
        "Use RSA, EC on P-256, P-384 or P-521, or Ed25519.",
    ),
    Code.CERTIFICATE_UNREADABLE: (
        "The text or file is no certificate.",
        "Give an X.509 certificate in PEM or DER.",
    ),
    Code.FILE_EXISTS: (
        "The output file exists already, and nothing is overwritten.",
        "Choose another name, or move the file away first.",
    ),
}
"""Code -> (cause, remedy)."""
