// Two flows: a borrower proposes an IOU, and the lender checks, signs and stores it.

import { HostError, Session, build, lookup, query, random, record, verify } from "./host.js";

const STATE = "iou_contracts.Iou";
const CONTRACT = "iou_contracts.IouContract";
const PROTOCOL = "iou-js-issue";
const LIMIT = 1_000_000;
const PAGE = 100;

function memberKey(name) {
  const member = lookup({ by: "name", name });
  if (member === null) {
    throw new HostError("member-unknown", `${name} is no member of the group`);
  }
  return member.ledgerKeys[0];
}

function issueIou({ me, requestBody }) {
  const { counterparty, amount, currency } = requestBody;
  const borrowerKey = lookup({ by: "me" }).ledgerKeys[0];
  const lenderKey = memberKey(counterparty);
  const iou = {
    linear_id: random({ bytes: 16 }),
    borrower: me,
    lender: counterparty,
    borrower_key: borrowerKey,
    lender_key: lenderKey,
    amount,
    currency: currency ?? "GBP",
    paid: 0,
  };
  const participants = [borrowerKey, lenderKey];
  const proposed = build({
    notary: null,
    timeWindow: null,
    inputs: [],
    references: [],
    outputs: [{ type: STATE, contract: CONTRACT, value: iou, participants, encumbrance: null }],
    commands: [{ type: "iou_contracts.Issue", value: {} }],
    signatories: participants,
  });
  const session = Session.open(counterparty);
  const { signatures } = session.sendAndReceive(proposed);
  const complete = { ...proposed, signatures: [...proposed.signatures, ...signatures] };
  record({ transaction: complete });
  session.sendAndReceive(complete);
  return { transactionId: complete.id, linearId: iou.linear_id };
}

function acceptIou({ me, session: { id, counterparty } }) {
  const session = new Session(id, counterparty);
  const proposed = session.receive();
  const { transaction, signatures } = verify({ transaction: proposed, sign: true });
  const { lender, borrower, amount } = transaction.outputs[0].value;
  if (lender !== me || borrower !== counterparty) {
    throw new HostError("iou-not-mine", "Only the borrower may ask this node for an IOU");
  }
  if (amount > LIMIT) {
    throw new HostError("iou-too-large", `This node lends at most ${LIMIT}, asked for ${amount}`);
  }
  const complete = session.sendAndReceive({ signatures });
  if (complete.id !== proposed.id) {
    throw new HostError("iou-not-as-proposed", "This is not the transaction we signed");
  }
  record({ transaction: complete });
  session.send({ recorded: complete.id });
  return null;
}

function listIous() {
  const found = [];
  for (let more = true; more; ) {
    const page = query({ op: "unconsumed", type: STATE, offset: found.length, limit: PAGE });
    found.push(...page.results);
    more = page.more;
  }
  return found.map(({ stateRef, state }) => ({ stateRef, ...state.value }));
}

const FLOWS = {
  "iou_js.IssueIou": issueIou,
  "iou_js.AcceptIou": acceptIou,
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
  return { name, kind, ...unsaid, outputSchema: null, ...more };
}

export function describe() {
  const inputSchema = {
    type: "object",
    properties: {
      counterparty: { type: "string" },
      amount: { type: "integer" },
      currency: { type: "string" },
    },
    required: ["counterparty", "amount"],
    additionalProperties: false,
  };
  const speaks = { protocol: PROTOCOL, versions: [1] };
  return JSON.stringify({
    sdk: "none (JavaScript)",
    contracts: [],
    states: [],
    commands: [],
    flows: [
      flow("iou_js.IssueIou", "client-startable", { ...speaks, initiating: true, inputSchema }),
      flow("iou_js.AcceptIou", "responder", speaks),
      flow("iou_js.ListIous", "client-startable", {}),
    ],
    entities: [],
  });
}
