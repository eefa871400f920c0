"""Subjects of certificates and requests, from the text that a person writes.

The text is Java's (`cpi.crypto.name_text`), the last attribute the most general, and the name is
encoded in the reverse order, as `keytool` does it.
"""

from cryptography import x509

from cpi.crypto.name_text import NameTextError, read_name_text


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
                x509.RelativeDistinguishedName(
                    [x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in part]
                )
                for part in parts
            ]
        )
    except (ValueError, UnicodeEncodeError) as error:
        raise NameTextError(f"X.500 name {text!r}: {error}") from error
