import base58


def check():
    assert base58.b58encode(b"hello world") == b"StV1DL6CwTryKyV"
    assert base58.b58decode("StV1DL6CwTryKyV") == b"hello world"
    checked = base58.b58encode_check(b"address")
    assert base58.b58decode_check(checked) == b"address"
    try:
        base58.b58decode_check(checked[:-1] + b"1")
    except ValueError:
        pass
    else:
        raise AssertionError("a wrong checksum was taken")
