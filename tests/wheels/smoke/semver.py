import semver


def check():
    version = semver.Version.parse("3.4.5-pre.2+build.4")
    assert version.bump_minor() == semver.Version(3, 5, 0)
    assert version.prerelease == "pre.2"
    assert semver.Version.parse("1.10.0") > semver.Version.parse("1.9.9")
    assert version.match(">=3.4.0")
    assert not semver.Version.is_valid("1.2")
