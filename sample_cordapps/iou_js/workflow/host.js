// The host API for flows: JSON in, JSON out, and the host's refusals as errors with a code.

import * as flow from "cordbox:guest/flow@1.0.0";
import * as ledger from "cordbox:guest/ledger@1.0.0";
import * as membership from "cordbox:guest/membership@1.0.0";
import * as sessions from "cordbox:guest/sessions@1.0.0";

export class HostError extends Error {
  constructor(code, message) {
    super(message);
    this.name = code;
  }
}

// A function of the host that takes and answers values instead of texts.
function wrapped(call) {
  return (request) => {
    let answer;
    try {
      answer = call(JSON.stringify(request));
    } catch (refused) {
      if (typeof refused.payload !== "string") {
        throw refused;
      }
      const { code, message } = JSON.parse(refused.payload);
      throw new HostError(code, message);
    }
    return JSON.parse(answer);
  };
}

const open = wrapped(sessions.open);

export const now = wrapped(flow.now);
export const random = wrapped(flow.random);
export const lookup = wrapped(membership.lookup);
export const build = wrapped(ledger.build);
export const verify = wrapped(ledger.verify);
export const record = wrapped(ledger.record);
export const query = wrapped(ledger.query);

// The id of a new session with another node.
export function openSession(counterparty) {
  return open({ counterparty, requireClose: true, timeoutMillis: null }).session;
}
