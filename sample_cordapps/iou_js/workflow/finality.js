// Transactions that become final: the host signs, notarises and records; flows say what they want.

import { HostError, build, lookup, now, record, verify } from "./host.js";

const NOTARISED_WITHIN_MILLIS = 60 * 60 * 1000;
const MILLIS = "2026-01-01T00:00:00.000".length;

// The first notary service of the group and a time window for it; none in a group without one.
function notaryAndWindow() {
  const [notary] = lookup({ by: "group-parameters" }).notaries;
  if (notary === undefined) {
    return { notary: null, timeWindow: null };
  }
  const today = Date.parse(`${now({}).slice(0, MILLIS)}Z`);
  const end = new Date(today + NOTARISED_WITHIN_MILLIS).toISOString().slice(0, MILLIS);
  return { notary: notary.name, timeWindow: { from: null, until: `${end}000Z` } };
}

// Builds and signs a transaction, and makes it final with the counterparties of the sessions, each
// of which calls `receiveFinality`. Answers the transaction's id.
export function finalize(content, sessions) {
  const transaction = build({ ...notaryAndWindow(), inputs: [], outputs: [], references: [], ...content });
  return record({ op: "finalize", transaction, sessions }).id;
}

// Signs and records what the counterparty proposes, if `validate` returns. It refuses by a HostError,
// which the counterparty is told; any other error leaves the transaction undecided. The host has verified rules, contracts and the backchain.
export function receiveFinality(session, validate) {
  const { proposal, transaction } = verify({ op: "receive-finality", session });
  try {
    validate(transaction);
  } catch (refused) {
    if (refused instanceof HostError) {
      const { name: code, message } = refused;
      record({ op: "refuse-finality", session, proposal, message, code, invalid: true });
    }
    throw refused;
  }
  return record({ op: "accept-finality", session, proposal }).id;
}
