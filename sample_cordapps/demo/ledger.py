"""Notaries, a backchain, cash that is found and claimed, delivery versus payment."""

import time

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
    HEIDI,
    LENIENT,
    SERVICE,
    TREASURY,
    VERIFYING_SERVICE,
    Packages,
)
from sample_cordapps.demo.rest import RestClient

_MAKE = "utxo_demo_chains.NonValidatingNotaryTestFlow"
_CHAIN = "utxo_demo_chains.UtxoBackchainResolutionDemoFlow"
_CHAIN_LENGTH = 50
_FIND = "utxo_demo_flows.FindTransactionFlow"
_POUNDS = {"issuer": BANK, "currency": "GBP"}


def spend_twice(
    console: DemoConsole, packages: Packages, rest: RestClient, runner: FlowRunner
) -> str:
    """Returns the short hash of the node whose transactions are notarised."""
    title = "The notary refuses a double spend; a newcomer verifies a chain of 50 transactions"
    with console.step(title) as record:
        nodes = join(rest, packages.cpi("utxo_demo"), (DAVE, ERIN))
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
        return dave


def weaken_contract(
    console: DemoConsole, packages: Packages, rest: RestClient, runner: FlowRunner, dave: str
) -> None:
    """Heidi's contract lets her bind Dave without his signature; `dave` is his node."""
    title = "A weakened contract: a notary that verifies contracts refuses what the other one takes"
    with console.step(title) as record:
        heidi = join(rest, packages.cpi(LENIENT), (HEIDI,))[HEIDI]
        binding = {"outputStateCount": 1, "unsignedParticipants": [DAVE]}
        taken = runner.run(heidi, _MAKE, {**binding, "notary": SERVICE})
        begun = time.monotonic()
        asked = runner.start(heidi, _MAKE, {**binding, "notary": VERIFYING_SERVICE})
        refused = runner.wait(heidi, asked)["flowError"]
        seconds = time.monotonic() - begun
        if refused is None or refused["code"] != "notary-transaction-verification-failure":
            raise StepFailedError(f"the weakened contract was not refused: {refused}")
        honest = {"outputStateCount": 1, "notary": VERIFYING_SERVICE}
        accepted = runner.run(dave, _MAKE, honest)
        record.facts |= {
            "taken": taken,
            "refused": refused,
            "secondsToRefuse": round(seconds, 3),
            "accepted": accepted,
        }


def move_cash(
    console: DemoConsole, packages: Packages, rest: RestClient, runner: FlowRunner
) -> None:
    with console.step("Cash: a vault-named query finds it, a claim picks it") as record:
        nodes = join(rest, packages.cpi("cash"), (BANK, CAROL))
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


def buy(console: DemoConsole, packages: Packages, rest: RestClient, runner: FlowRunner) -> None:
    title = "A bond against money in one transaction, built by both parties"
    with console.step(title) as record:
        nodes = join(rest, packages.cpi("dvp"), (TREASURY, FRANK, GRACE))
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
