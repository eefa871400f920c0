"""RC2 in CBC mode, for reading: Java wrote the certificates of key stores with it until 2021.

RC2 with 40 bits protects nothing; no library offers it any more, and nothing here encrypts with it.

Source: RFC 2268.
"""

from cpi.crypto.der import DerRefusedError

BLOCK = 8
_WORD = 0xFFFF
_PI = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32"
    "bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a"
    "961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e"
    "c5f3db47e5a59c770aa62068fe7fc1ad"
)
_SHIFTS = (1, 2, 3, 5)


def decrypt(data: bytes, *, key: bytes, effective_bits: int, iv: bytes) -> bytes:
    """The plain text, padding included.

    Raises:
        DerRefusedError: the data is no whole number of blocks.
    """
    if len(data) % BLOCK or len(iv) != BLOCK:
        raise DerRefusedError(f"{len(data)} encrypted bytes are no whole number of blocks")
    words, plain, before = _expanded(key, effective_bits), bytearray(), iv
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        opened = _decrypted(block, words)
        plain += bytes(a ^ b for a, b in zip(opened, before, strict=True))
        before = block
    return bytes(plain)


def _expanded(key: bytes, effective_bits: int) -> list[int]:
    octets = bytearray(key)
    for at in range(len(key), 128):
        octets.append(_PI[(octets[at - 1] + octets[at - len(key)]) & 0xFF])
    size = -(-effective_bits // 8)
    octets[128 - size] = _PI[octets[128 - size] & (0xFF >> (8 * size - effective_bits))]
    for at in range(127 - size, -1, -1):
        octets[at] = _PI[octets[at + 1] ^ octets[at + size]]
    return [int.from_bytes(octets[at : at + 2], "little") for at in range(0, 128, 2)]


def _decrypted(block: bytes, key: list[int]) -> bytes:
    r = [int.from_bytes(block[at : at + 2], "little") for at in range(0, BLOCK, 2)]
    at = 63
    for rounds in (5, 6, 5):
        for _ in range(rounds):
            for i in (3, 2, 1, 0):
                shift = _SHIFTS[i]
                turned = (r[i] >> shift | r[i] << (16 - shift)) & _WORD
                mixed = key[at] + (r[i - 1] & r[i - 2]) + (~r[i - 1] & _WORD & r[i - 3])
                r[i] = (turned - mixed) & _WORD
                at -= 1
        if at > 0:
            for i in (3, 2, 1, 0):
                r[i] = (r[i] - key[r[i - 1] & 63]) & _WORD
    return b"".join(word.to_bytes(2, "little") for word in r)
