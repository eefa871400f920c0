from asn1crypto import core, keys, x509


def check():
    key = keys.PublicKeyInfo.load(bytes.fromhex("302a300506032b65700321" + "00" + "11" * 32))
    assert key.algorithm == "ed25519"
    assert len(key.dump()) == 44
    name = x509.Name.build({"common_name": "Alice", "country_name": "CH"})
    assert x509.Name.load(name.dump()).native["common_name"] == "Alice"
    assert core.Integer(300).dump() == bytes.fromhex("0202012c")
