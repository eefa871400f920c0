"""Load of IOUs, and the proof that nothing of it was lost, doubled or left open."""

import json
import random
import sys
import threading

import httpx2

from tests.support.killable_host import ALICE, BOB, DRAIN_SECONDS_MAX, ENDED

CLIENTS = 3


class Borrowers:
    """Clients that start one flow after another, each until the host has said that it has it."""

    def __init__(self, host, seed):
        self._host = host
        self._over, self._is_taken = threading.Event(), threading.Event()
        self._seed = seed
        self._threads = [threading.Thread(target=self._run, args=(k,)) for k in range(CLIENTS)]
        self.accepted = []
        self.refused = []
        for thread in self._threads:
            thread.start()

    def await_one(self):
        """Wait until the host has taken a flow: a busy machine may give it no time between kills."""
        assert self._is_taken.wait(DRAIN_SECONDS_MAX)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        chance = random.Random(self._seed * CLIENTS + number)
        amount = 1_000_000 * (number + 1)
        while not self._over.is_set():
            amount += 1
            pair = (ALICE, BOB) if chance.random() < 0.5 else (BOB, ALICE)
            pause = chance.choice((0, 0, 50, 200))
            self._start(*pair, {"amount": amount, "pause_millis": pause})
            self._over.wait(chance.random() * 0.4)

    def _start(self, borrower, lender, body):
        request_id = f"issue-{body['amount']}"
        body = {"counterparty": lender, **body}
        while not self._over.is_set():
            try:
                reply = self._host.flow(borrower, request_id, "iou_flows.IssueIou", body)
            except (httpx2.HTTPError, RuntimeError):  # killed: no answer, or its client is closed
                self._over.wait(0.05)
                continue
            if reply.status_code in (202, 409):  # 409: taken before the kill, the answer was lost
                self.accepted.append((borrower, request_id, body["amount"]))
                self._is_taken.set()
            elif reply.status_code == 503 or _no_room(reply):  # not now: a worker is away
                self._over.wait(0.05)
                continue
            else:
                self.refused.append(reply.text)
            return


def check_ledgers(host, borrowers):
    for name in (ALICE, BOB):  # also of starts that were taken and whose answer never came
        host.until(f"/flow/{host.nodes[name]}?responders=true", _all_ended)
    ended = {amount: host.result(name, rid) for name, rid, amount in borrowers.accepted}
    sys.stdout.write(f"flows: {len(ended)}\n")
    assert [flow for flow in ended.values() if flow["flowStatus"] != "COMPLETED"] == []
    results = {amount: json.loads(flow["flowResult"]) for amount, flow in ended.items()}
    check_agreement(host, {key: {**result, "amount": key} for key, result in results.items()})


def check_agreement(host, results):
    """Both ledgers hold the same IOUs, those of these flows' results among them, each once."""
    alice, bob = host.ious(ALICE), host.ious(BOB)
    assert sorted(map(_identity, alice)) == sorted(map(_identity, bob))
    assert len({iou["linear_id"] for iou in alice}) == len(alice)
    assert len({iou["amount"] for iou in alice}) == len(alice)
    held = {iou["linear_id"]: iou for iou in alice}
    for result in results.values():
        iou = held[result["linear_id"]]
        assert iou["state_ref"] == f"{result['transaction_id']}:0"
        assert iou["amount"] == result.get("amount", iou["amount"])
    for name in (ALICE, BOB):
        assert host.all_statuses(name).keys() == {"COMPLETED"}


def _identity(iou):
    return iou["state_ref"], iou["linear_id"], iou["amount"]


def _all_ended(answer):
    return all(flow["flowStatus"] in ENDED for flow in answer["flowStatusResponses"])


def _no_room(reply):
    """Whether the disk is full, which passes."""
    return reply.status_code == 500 and reply.json()["details"]["code"] == "disk-full"
