"""Prints the receipt and the answer of one run; started with other environments and Pythons.

Arguments: the sandbox's cache folder, the digest of a contract component in it, and its input.
"""

import json
import sys
from pathlib import Path

from tests import zstandard_elsewhere

zstandard_elsewhere.install()

from sandbox.limits import Limits  # noqa: E402  # after the stand-in
from sandbox.runtime import Sandbox  # noqa: E402  # after the stand-in
from sandbox.world import World  # noqa: E402  # after the stand-in

guest = Sandbox(cache_dir=Path(sys.argv[1])).guest(World.CONTRACT, sys.argv[2])
outcome = guest.call("verify", sys.argv[3], limits=Limits())
sys.stdout.write(json.dumps({"receipt": outcome.receipt, "value": outcome.value}))
