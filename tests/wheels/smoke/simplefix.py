import simplefix


def check():
    message = simplefix.FixMessage()
    for tag, value in ((8, "FIX.4.4"), (35, "D"), (55, "AAPL"), (54, 1), (38, 100)):
        message.append_pair(tag, value)
    data = message.encode()
    assert data.startswith(b"8=FIX.4.4\x019=")
    assert data.endswith(b"\x01")
    parser = simplefix.FixParser()
    parser.append_buffer(data[:20])
    assert parser.get_message() is None
    parser.append_buffer(data[20:])
    assert parser.get_message().get(55) == b"AAPL"
