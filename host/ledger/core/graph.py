"""The order in which the transactions of a backchain are verified."""

import heapq
from collections.abc import Collection, Mapping


class CycleError(ValueError):
    """Transactions depend on each other, which identifiers that are hashes cannot."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"transactions depend on each other: {', '.join(sorted(ids)[:3])}")


def dependencies_first(graph: Mapping[str, Collection[str]]) -> list[str]:
    """The keys of `graph`, each after those of its dependencies that are keys as well.

    Kahn's algorithm; among the transactions that could come next, the one found first does. Takes
    a number of steps that is proportional to keys and dependencies, but for the heap's logarithm.

    Args:
        graph: transaction id to the ids that it depends on, in the order of discovery.

    Raises:
        CycleError: there is no such order.
    """
    keys = list(graph)
    place = {key: number for number, key in enumerate(keys)}
    waiting = {key: {ref for ref in refs if ref in graph} for key, refs in graph.items()}
    dependants: dict[str, list[str]] = {key: [] for key in graph}
    for key, refs in waiting.items():
        for ref in refs:
            dependants[ref].append(key)
    ready = [place[key] for key, refs in waiting.items() if not refs]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        key = keys[heapq.heappop(ready)]
        order.append(key)
        for dependant in dependants[key]:
            waiting[dependant].discard(key)
            if not waiting[dependant]:
                heapq.heappush(ready, place[dependant])
    if len(order) < len(graph):
        raise CycleError(graph.keys() - set(order))
    return order
