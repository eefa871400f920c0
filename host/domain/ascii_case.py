"""Letter case of names that are ASCII. Pure.

Other alphabets have letters whose other case is an ASCII one (`K`, U+212A, becomes `k`): a text
with such a letter is no spelling of an ASCII name, and stays as it is.
"""


def ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else text


def ascii_upper(text: str) -> str:
    return text.upper() if text.isascii() else text
