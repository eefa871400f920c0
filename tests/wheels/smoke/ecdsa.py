import hashlib

from ecdsa import BadSignatureError, NIST256p, SigningKey, VerifyingKey


def check():
    key = SigningKey.from_secret_exponent(123456789, curve=NIST256p, hashfunc=hashlib.sha256)
    public = VerifyingKey.from_der(key.verifying_key.to_der(), hashfunc=hashlib.sha256)
    signature = key.sign_deterministic(b"trade")
    assert signature == key.sign_deterministic(b"trade")
    assert public.verify(signature, b"trade")
    try:
        public.verify(signature, b"other")
    except BadSignatureError:
        pass
    else:
        raise AssertionError("a wrong signature was taken")
