import networkx as nx


def check():
    owns = nx.DiGraph()
    owns.add_weighted_edges_from([("a", "b", 3), ("b", "c", 1), ("a", "c", 7)])
    assert nx.shortest_path(owns, "a", "c", weight="weight") == ["a", "b", "c"]
    assert list(nx.topological_sort(owns)) == ["a", "b", "c"]
    assert nx.is_directed_acyclic_graph(owns)
    owns.add_edge("c", "a")
    assert sorted(map(sorted, nx.simple_cycles(owns))) == [["a", "b", "c"], ["a", "c"]]
