"""What to do about each code of hardware keys; the docstrings of the errors give the causes."""

from collections.abc import Mapping

ERROR_CODES: Mapping[str, str] = {
    "hsm-key-unusable": "Use an RSA, EC or Ed25519 key that the token allows to sign.",
    "hsm-uri-invalid": "Write the URI as RFC 7512 says; the message names the part.",
    "hsm-unavailable": "Check the library's path, the slot and the token, for example with"
    " `pkcs11-tool --list-slots`; install the extra `hsm` if the message says so.",
    "hsm-pin": "Give the right PIN by the variable or file that the URI's `pin-source` names.",
    "hsm-key-not-found": "Put key and certificate of one id or label on the token, and name it.",
}
"""Code -> remedy."""
