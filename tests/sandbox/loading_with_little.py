"""The process that loads sources, with less fuel than it has: `LITTLE_FUEL`."""

import sys

from sandbox.images import loading_process

LITTLE_FUEL = 3_000_000_000

if __name__ == "__main__":
    loading_process.FUEL_MAX = LITTLE_FUEL
    loading_process.main(*map(int, sys.argv[1:]))
