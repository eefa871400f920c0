"""Limits on the key derivation rounds that a key file asks for: the file's author chose the number.

A library that derives a key from a password performs as many rounds as the file says, so the rounds
of the whole file are added up before any library reads it. Source: RFC 8018 (PBES2), RFC 7292.
"""

from cpi.errors import Code, KeystoreError

ROUNDS_MAX = 5_000_000
"""Maximum of one derivation, which takes some seconds."""
TOTAL_MAX = 20_000_000
"""Maximum of one file: enough for hundreds of keys as Java writes them, with 10,000 rounds each."""


class DerivationRounds:
    """The rounds counted so far in one file."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._left = TOTAL_MAX

    def spend(self, rounds: int) -> None:
        """Count one derivation.

        Raises:
            KeystoreError: it, or the file as a whole, asks for too many rounds.
        """
        if not 0 < rounds <= ROUNDS_MAX:
            raise KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self.source} asks for {rounds} iterations, at most {ROUNDS_MAX}",
            )
        self._left -= rounds
        if self._left < 0:
            raise KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self.source} asks for more than {TOTAL_MAX} iterations for all that it holds",
            )
