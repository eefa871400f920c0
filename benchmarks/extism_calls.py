"""The smallest plug-in in Extism, called in a fresh plug-in each time, and in one that is kept.

Runs in the peer's own interpreter. Arguments: the number of calls, and the module in hexadecimal
digits; standard input: the call's argument. Prints the median seconds of a fresh and of a kept call
as a JSON list.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

from extism.extism import CompiledPlugin, Plugin


def median(action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `action`."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measure both ways of calling."""
    repeats, module = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
    compiled = CompiledPlugin(module)
    argument = sys.stdin.read()

    def fresh() -> None:
        with Plugin(compiled) as plugin:
            plugin.call("verify", argument)

    fresh()
    kept = Plugin(compiled)
    kept.call("verify", argument)
    print(
        json.dumps([median(fresh, repeats), median(lambda: kept.call("verify", argument), repeats)])
    )


main()
