"""Steps 8 to 10: a notary, a backchain, cash that is found and claimed, delivery versus payment."""

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.flows import FlowRunner
from sample_cordapps.demo.network import join
from sample_cordapps.demo.packages import (
    BANK,
    CAROL,
    DAVE,
    ERIN,
    FRANK,
    GRACE,
    TREASURY,
    Workshop,
    package_sample,
)
from sample_cordapps.demo.processes import CommandLine
from sample_cordapps.demo.rest import RestClient

_MAKE = "utxo_demo_chains.NonValidatingNotaryTestFlow"
_CHAIN = "utxo_demo_chains.UtxoBackchainResolutionDemoFlow"
_CHAIN_LENGTH = 50
_FIND = "utxo_demo_flows.FindTransactionFlow"
_POUNDS = {"issuer": BANK, "currency": "GBP"}


def run(
    console: DemoConsole,
    shell: CommandLine,
    *,
    workshop: Workshop,
    rest: RestClient,
    runner: FlowRunner,
) -> None:
    """Let nodes of other CorDapps join the network."""
    _spend_twice(console, shell, workshop, rest, runner)
    _move_cash(console, shell, workshop, rest, runner)
    _buy(console, shell, workshop, rest, runner)


def _spend_twice(
    console: DemoConsole,
    shell: CommandLine,
    workshop: Workshop,
    rest: RestClient,
    runner: FlowRunner,
) -> None:
    title = "The notary refuses a double spend; a newcomer verifies a chain of 50 transactions"
    with console.step(title) as record:
        cpi = package_sample(shell, workshop, "utxo_demo")
        nodes = join(rest, cpi, (DAVE, ERIN))
        dave, erin = nodes[DAVE], nodes[ERIN]
        made = runner.run(dave, _MAKE, {"outputStateCount": 1})
        spending = {"outputStateCount": 1, "inputStateRefs": made["issuedStateRefs"]}
        runner.run(dave, _MAKE, spending)
        again = runner.wait(dave, runner.start(dave, _MAKE, spending))
        error = again["flowError"] or {"message": f"the flow ended {again['flowStatus']}"}
        if "Input State Conflict" not in error["message"]:
            raise StepFailedError(f"the state was spent twice: {error}")
        chain = runner.run(dave, _CHAIN, {"member": ERIN, "length": _CHAIN_LENGTH})
        found = runner.run(erin, _FIND, {"transactionId": chain["transactionId"]})
        last = found["transaction"]["states"][0]["testField"]
        if last != f"link {_CHAIN_LENGTH - 1}":
            raise StepFailedError(f"the newcomer has {found}")
        verified = rest.get(f"/ledger/{erin}/transaction?limit=100", show=False)["transactions"]
        if len(verified) != _CHAIN_LENGTH:
            raise StepFailedError(f"the newcomer has {len(verified)} transactions")
        record.facts |= {"refused": error, "chain": chain}


def _move_cash(
    console: DemoConsole,
    shell: CommandLine,
    workshop: Workshop,
    rest: RestClient,
    runner: FlowRunner,
) -> None:
    with console.step("Cash: a vault-named query finds it, a claim picks it") as record:
        nodes = join(rest, package_sample(shell, workshop, "cash"), (BANK, CAROL))
        for amount in ("2.50", "10", "7"):
            issue = {"owner": CAROL, "currency": "GBP", "amount": amount}
            runner.run(nodes[BANK], "cash_flows.IssueCash", issue)
        wanted = {"currency": "GBP", "least": "5"}
        found = runner.run(nodes[CAROL], "cash_flows.ListCash", wanted)
        if found != ["10", "7"]:
            raise StepFailedError(f"the query found {found}")
        redeem = {**_POUNDS, "amount": "18.25"}
        paid = runner.run(nodes[CAROL], "cash_flows.RedeemCash", redeem)
        balance = runner.run(nodes[CAROL], "cash_flows.CashBalance", _POUNDS)
        if balance != {"available": "1.25", "total": "1.25"}:
            raise StepFailedError(f"left is {balance}")
        record.facts |= {"found": found, "redeemed": paid, "left": balance}


def _buy(
    console: DemoConsole,
    shell: CommandLine,
    workshop: Workshop,
    rest: RestClient,
    runner: FlowRunner,
) -> None:
    title = "A bond against money in one transaction, built by both parties"
    with console.step(title) as record:
        nodes = join(rest, package_sample(shell, workshop, "dvp"), (TREASURY, FRANK, GRACE))
        runner.run(nodes[FRANK], "dvp_flows.IssueBonds", {"name": "A1", "price": "80"})
        money = {"owner": GRACE, "amount": "100"}
        runner.run(nodes[TREASURY], "dvp_flows.IssueMoneyTo", money)
        wanted = {"seller": FRANK, "name": "A1", "price": "80", "bank": TREASURY}
        bought = runner.run(nodes[GRACE], "dvp_flows.BuyBond", wanted)
        path = f"/ledger/{nodes[FRANK]}/transaction/{bought['transaction_id']}"
        seen = rest.get(path)
        if seen["status"] != "V":
            raise StepFailedError(f"the seller has {seen}")
        again = runner.wait(nodes[GRACE], runner.start(nodes[GRACE], "dvp_flows.BuyBond", wanted))
        if again["flowStatus"] != "FAILED":
            raise StepFailedError("a bond was bought with money that is spent")
        record.facts |= {"bought": bought, "again": again["flowError"]}
