from tabulate import tabulate


def check():
    table = tabulate([["EUR", 12.5], ["USD", 3]], headers=["currency", "amount"], tablefmt="github")
    assert table.splitlines()[0] == "| currency   |   amount |"
    assert len(table.splitlines()) == 4
    assert "<td>EUR" in tabulate([["EUR"]], tablefmt="html")
