// Flows of the IOU: issue, transfer, settle and list. Those that answer check what they sign.

import { finalize, receiveFinality } from "./finality.js";
import { HostError, lookup, openSession, query, random } from "./host.js";

const STATE = "iou_contracts.Iou";
const CONTRACT = "iou_contracts.IouContract";
const LIMIT = 1_000_000;
const PAGE = 100;

function memberKey(name) {
  const member = lookup({ by: "name", name });
  if (member === null) {
    throw new HostError("member-unknown", `${name} is no member of the group`);
  }
  return member.ledgerKeys[0];
}

function output(iou) {
  const participants = [iou.borrower_key, iou.lender_key];
  return { type: STATE, contract: CONTRACT, value: iou, participants, encumbrance: null };
}

function command(name, value = {}) {
  return { type: `iou_contracts.${name}`, value };
}

function issueIou({ me, requestBody: { counterparty, amount, currency = "GBP" } }) {
  const iou = {
    linear_id: random({ bytes: 16 }),
    borrower: me,
    lender: counterparty,
    borrower_key: lookup({ by: "me" }).ledgerKeys[0],
    lender_key: memberKey(counterparty),
    amount,
    currency,
    paid: 0,
  };
  const content = {
    outputs: [output(iou)],
    commands: [command("Issue")],
    signatories: [iou.borrower_key, iou.lender_key],
  };
  const transactionId = finalize(content, [openSession(counterparty)]);
  return { transactionId, linearId: iou.linear_id };
}

function transferIou({ me, requestBody: { linearId, newLender } }) {
  const { stateRef, iou } = openIou(linearId);
  require(iou.lender === me, "iou-not-lender", `Only ${iou.lender} sells this IOU`);
  const after = { ...iou, lender: newLender, lender_key: memberKey(newLender) };
  const content = {
    inputs: [stateRef],
    outputs: [output(after)],
    commands: [command("Transfer")],
    signatories: [iou.borrower_key, iou.lender_key, after.lender_key],
  };
  const sessions = [iou.borrower, newLender].map(openSession);
  return { transactionId: finalize(content, sessions), linearId };
}

function settleIou({ me, requestBody: { linearId, amount } }) {
  const { stateRef, iou } = openIou(linearId);
  require(iou.borrower === me, "iou-not-borrower", `Only ${iou.borrower} settles this IOU`);
  const after = { ...iou, paid: iou.paid + amount };
  const content = {
    inputs: [stateRef],
    outputs: after.paid === after.amount ? [] : [output(after)],
    commands: [command("Settle", { amount })],
    signatories: [iou.borrower_key, iou.lender_key],
  };
  return { transactionId: finalize(content, [openSession(iou.lender)]), linearId };
}

function require(condition, code, message) {
  if (!condition) {
    throw new HostError(code, message);
  }
}

// The names in a state are what its parties say; the keys are what the ledger goes by.
function requireKeysOfParties({ borrower, borrower_key, lender, lender_key }) {
  const fits = (name, key) => lookup({ by: "key", key })?.name === name;
  require(
    fits(borrower, borrower_key) && fits(lender, lender_key),
    "iou-not-as-proposed",
    "The IOU names keys that are not its parties'",
  );
}

function requireCommand({ commands }, name) {
  const wanted = commands[0].type === command(name).type;
  require(wanted, "iou-not-as-proposed", `This is no transaction with the command ${name}`);
}

function acceptIou({ me, session: { id, counterparty } }) {
  receiveFinality(id, (transaction) => {
    requireCommand(transaction, "Issue");
    const iou = transaction.outputs[0].value;
    const mine = iou.lender === me && iou.borrower === counterparty;
    require(mine, "iou-not-mine", "Only the borrower may ask this node for an IOU");
    requireKeysOfParties(iou);
    const told = `This node lends at most ${LIMIT}, asked for ${iou.amount}`;
    require(iou.amount <= LIMIT, "iou-too-large", told);
  });
  return null;
}

function acceptTransfer({ me, session: { id, counterparty } }) {
  receiveFinality(id, (transaction) => {
    requireCommand(transaction, "Transfer");
    const before = transaction.inputs[0].state.value;
    const after = transaction.outputs[0].value;
    const mine = before.lender === counterparty && [after.borrower, after.lender].includes(me);
    require(mine, "iou-not-mine", "Only the lender may sell an IOU, of this node or to it");
    requireKeysOfParties(after);
  });
  return null;
}

function acceptSettlement({ me, session: { id, counterparty } }) {
  receiveFinality(id, (transaction) => {
    requireCommand(transaction, "Settle");
    const before = transaction.inputs[0].state.value;
    const mine = before.lender === me && before.borrower === counterparty;
    require(mine, "iou-not-mine", "Only the borrower may settle an IOU of this node");
  });
  return null;
}

function unconsumed() {
  const found = [];
  let after = null;
  do {
    const page = query({ op: "unconsumed", type: STATE, limit: PAGE, after, createdBefore: null });
    found.push(...page.results);
    after = page.next;
  } while (after !== null);
  return found;
}

function openIou(linearId) {
  const found = unconsumed().find(({ state }) => state.value.linear_id === linearId);
  require(found !== undefined, "iou-not-found", `This node holds no open IOU ${linearId}`);
  return { stateRef: found.stateRef, iou: found.state.value };
}

function listIous() {
  return unconsumed().map(({ stateRef, state }) => ({ stateRef, ...state.value }));
}

const FLOWS = {
  "iou_js.IssueIou": issueIou,
  "iou_js.AcceptIou": acceptIou,
  "iou_js.TransferIou": transferIou,
  "iou_js.AcceptTransfer": acceptTransfer,
  "iou_js.SettleIou": settleIou,
  "iou_js.AcceptSettlement": acceptSettlement,
  "iou_js.ListIous": listIous,
};

export function run(start) {
  const request = JSON.parse(start);
  try {
    const result = FLOWS[request.flowClass](request);
    return result === null ? "" : JSON.stringify(result);
  } catch (error) {
    throw JSON.stringify({ type: error.name, message: error.message, trace: [] });
  }
}

function flow(name, kind, more) {
  const unsaid = { protocol: null, versions: [], initiating: false, inputSchema: null };
  return { name: `iou_js.${name}`, kind, ...unsaid, outputSchema: null, ...more };
}

// A flow that a client starts, and the one that answers it at the counterparties.
function pair(protocol, initiator, responder, properties, optional = []) {
  const speaks = { protocol, versions: [1] };
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  const inputSchema = { type: "object", properties, required, additionalProperties: false };
  return [
    flow(initiator, "client-startable", { ...speaks, initiating: true, inputSchema }),
    flow(responder, "responder", speaks),
  ];
}

export function describe() {
  const text = { type: "string" };
  const amount = { type: "integer" };
  const terms = { counterparty: text, amount, currency: text };
  return JSON.stringify({
    sdk: "none (JavaScript)",
    contracts: [],
    states: [],
    commands: [],
    flows: [
      ...pair("iou-js-issue", "IssueIou", "AcceptIou", terms, ["currency"]),
      ...pair("iou-js-transfer", "TransferIou", "AcceptTransfer", { linearId: text, newLender: text }),
      ...pair("iou-js-settle", "SettleIou", "AcceptSettlement", { linearId: text, amount }),
      flow("ListIous", "client-startable", {}),
    ],
    entities: [],
  });
}
