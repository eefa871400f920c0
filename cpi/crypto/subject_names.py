"""Subjects of certificates and requests, from the text that a person writes.

The text is Java's (`cpi.crypto.name_text`), the last attribute the most general, and the name is
encoded in the reverse order, as `keytool` does it.
"""

import warnings

from cryptography import x509

from cpi.crypto.name_text import NameTextError, read_name_text

_CHARACTERS_MAX = 32_768
_CHARACTERS = {
    "2.5.4.3": (1, 64),  # CN
    "2.5.4.6": (2, 2),  # C
    "2.5.4.7": (1, 128),  # L
    "2.5.4.8": (1, 128),  # ST
    "2.5.4.10": (1, 64),  # O
    "2.5.4.11": (1, 64),  # OU
}
"""Least and most characters of a value, by its type (RFC 5280 appendix A.1)."""


def subject_name(text: str) -> x509.Name:
    """The name of a certificate's subject.

    Raises:
        NameTextError: the text is no X.500 name, or a value does not fit its attribute.
    """
    if not text.strip():
        raise NameTextError("the X.500 name is empty")
    parts = reversed(read_name_text(text))
    try:
        return x509.Name(
            [
                x509.RelativeDistinguishedName([_attribute(oid, value) for oid, value in part])
                for part in parts
            ]
        )
    except (ValueError, UnicodeEncodeError) as error:
        raise NameTextError(f"X.500 name {text!r}: {error}") from error


def _attribute(oid: str, value: str) -> x509.NameAttribute[str]:
    """An attribute of a length that RFC 5280 allows, in characters: the library counts bytes.

    Raises:
        NameTextError: the value is too short or too long.
    """
    least, most = _CHARACTERS.get(oid, (1, _CHARACTERS_MAX))
    if not least <= len(value) <= most:
        raise NameTextError(
            f"{oid} {value!r:.100} has {len(value)} characters, expected {least} to {most}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.NameAttribute(x509.ObjectIdentifier(oid), value, _validate=False)
