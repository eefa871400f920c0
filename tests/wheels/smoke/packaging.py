from packaging.specifiers import SpecifierSet
from packaging.version import Version


def check():
    assert Version("1.10.0") > Version("1.9.post1")
    assert "2.3" in SpecifierSet(">=2,<3")
    assert "3.0" not in SpecifierSet(">=2,<3")
    assert [str(v) for v in sorted(map(Version, ["2.0", "2.0rc1", "1!0.1"]))] == [
        "2.0rc1",
        "2.0",
        "1!0.1",
    ]
