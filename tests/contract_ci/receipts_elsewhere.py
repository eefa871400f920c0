"""Prints the receipt of each transaction on standard input; runs under other Pythons.

Arguments: the sandbox's cache folder, and the digest of a component that is compiled there.
"""

import sys
from pathlib import Path

from tests import zstandard_elsewhere

zstandard_elsewhere.install()

from sandbox.limits import Limits  # noqa: E402  # after the stand-in
from sandbox.runtime import Sandbox  # noqa: E402  # after the stand-in
from sandbox.world import World  # noqa: E402  # after the stand-in

guest = Sandbox(cache_dir=Path(sys.argv[1])).guest(World.CONTRACT, sys.argv[2])
for line in sys.stdin:
    outcome = guest.call("verify", line.rstrip("\n"), limits=Limits())
    sys.stdout.write(outcome.receipt + "\n")
