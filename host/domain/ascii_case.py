"""Letter case of names that are ASCII. Pure.

Other alphabets have letters whose other case is an ASCII one (`K`, U+212A, becomes `k`): a text
with such a letter is not an ASCII name, and is returned unchanged.
"""


def ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else text


def ascii_upper(text: str) -> str:
    return text.upper() if text.isascii() else text
