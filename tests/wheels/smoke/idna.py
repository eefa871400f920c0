import idna


def check():
    assert idna.encode("bücher.example") == b"xn--bcher-kva.example"
    assert idna.decode("xn--bcher-kva.example") == "bücher.example"
    try:
        idna.encode("a_b.example")
    except idna.IDNAError:
        pass
    else:
        raise AssertionError("an underscore was taken")
