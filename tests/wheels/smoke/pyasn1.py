from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.type import namedtype, univ


def check():
    class Pair(univ.Sequence):
        componentType = namedtype.NamedTypes(
            namedtype.NamedType("r", univ.Integer()), namedtype.NamedType("s", univ.Integer())
        )

    pair = Pair()
    pair["r"], pair["s"] = 5, 300
    data = encode(pair)
    assert data == bytes.fromhex("30070201050202012c")
    found, rest = decode(data, asn1Spec=Pair())
    assert int(found["s"]) == 300
    assert rest == b""
