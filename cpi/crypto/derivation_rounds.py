"""How many rounds a file asks for before its keys are there: whoever made it chose the number.

A library that derives a key from a password does as many as the file says, so they are added up
before any library sees the file, over all that it holds. Source: RFC 8018 (PBES2), RFC 7292.
"""

from asn1crypto.algos import EncryptionAlgorithm

from cpi.errors import Code, KeystoreError

ROUNDS_MAX = 5_000_000
"""Of one derivation; some seconds."""
TOTAL_MAX = 20_000_000
"""Of a file: hundreds of keys as Java writes them, with 10,000 rounds each."""
_KNOWN = ("pbkdf2", "pkcs12_kdf", "pbkdf1")


class DerivationRounds:
    """What one file asks for so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._left = TOTAL_MAX

    def spend(self, rounds: int) -> None:
        """Count one derivation.

        Raises:
            KeystoreError: it, or the file as a whole, asks for too many rounds.
        """
        if not 0 < rounds <= ROUNDS_MAX:
            raise KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self._source} asks for {rounds} iterations, at most {ROUNDS_MAX}",
            )
        self._left -= rounds
        if self._left < 0:
            raise KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self._source} asks for more than {TOTAL_MAX} iterations for all that it holds",
            )

    def derive(self, algorithm: EncryptionAlgorithm) -> None:
        """Count the derivation of an encryption by password.

        Raises:
            KeystoreError: as `spend`; or its rounds cannot be told, as scrypt's, which takes as
                much memory as the file says.
            ValueError, TypeError, KeyError, AttributeError: it is damaged.
        """
        try:
            function = algorithm.kdf
        except ValueError:
            function = algorithm["algorithm"].native
        if function not in _KNOWN:
            raise KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self._source} derives a key by {function!r:.80}, which is not taken; convert it"
                " to PBES2 with PBKDF2",
            )
        self.spend(algorithm.kdf_iterations)
