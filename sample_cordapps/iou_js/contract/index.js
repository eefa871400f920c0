// The rules of the sample `iou`, in JavaScript: the same names, the same verdicts.
//
// A debt that a borrower owes a lender, paid back in parts. Amounts count the currency's smallest
// unit. What this module throws as a text is the verdict's error.

const STATE = "iou_contracts.Iou";
const CONTRACT = "iou_contracts.IouContract";
const TEXTS = ["linear_id", "borrower", "lender", "borrower_key", "lender_key", "currency"];
const COMMANDS = {
  "iou_contracts.Issue": verifyIssue,
  "iou_contracts.Settle": verifySettle,
  "iou_contracts.Transfer": verifyTransfer,
};

class Refusal {
  constructor(type, message) {
    this.type = type;
    this.message = message;
  }
}

function require(condition, message, type = "RequirementError") {
  if (!condition) {
    throw new Refusal(type, message);
  }
}

// The fields of an IOU and nothing else, so that two of them can be compared.
function readIou(value) {
  const iou = { amount: value?.amount, paid: value?.paid === undefined ? 0 : value.paid };
  for (const name of TEXTS) {
    iou[name] = value?.[name];
  }
  const valid =
    TEXTS.every((name) => typeof iou[name] === "string") &&
    Number.isSafeInteger(iou.amount) &&
    Number.isSafeInteger(iou.paid);
  require(valid, "An IOU has texts, and amounts that are whole numbers of 53 bits");
  return iou;
}

// One state of the transaction as an IOU; the ledger's own facts about it must fit.
function iouOf(state) {
  require(state?.type === STATE && state.contract === CONTRACT, "This contract knows no state but the IOU");
  const iou = readIou(state.value);
  require(
    same(state.participants, participants(iou)),
    "participants differ from those of the state",
    "ParticipantsError",
  );
  return iou;
}

function participants(iou) {
  return [iou.borrower_key, iou.lender_key];
}

// Equal members in equal order: both sides were made by one function, or are lists of texts.
function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function verifyIssue(inputs, outputs) {
  require(inputs.length === 0, "An issue consumes no IOU");
  require(outputs.length === 1, "An issue creates exactly one IOU");
  const [iou] = outputs;
  require(iou.amount > 0, "An IOU's amount must be positive");
  require(iou.paid === 0, "A new IOU has nothing paid yet");
  require(iou.borrower !== iou.lender, "Borrower and lender must differ");
  require(iou.borrower_key !== iou.lender_key, "Borrower and lender must differ");
  require(/^[A-Z]{3}$/.test(iou.currency), "An IOU's currency is an ISO 4217 code such as GBP");
}

function verifySettle(inputs, outputs, command) {
  const amount = command?.amount;
  require(Number.isSafeInteger(amount), "A settlement's amount is a whole number of 53 bits");
  require(inputs.length === 1, "A settlement consumes exactly one IOU");
  const [before] = inputs;
  require(amount > 0, "A settlement's amount must be positive");
  const left = before.amount - before.paid - amount;
  require(left >= 0, "A settlement cannot exceed what is outstanding");
  const expected = left === 0 ? [] : [{ ...before, paid: before.paid + amount }];
  require(same(outputs, expected), "A settlement changes only what is paid");
}

function verifyTransfer(inputs, outputs) {
  require(inputs.length === 1 && outputs.length === 1, "A transfer turns one IOU into one");
  const [before] = inputs;
  const [after] = outputs;
  require(after.lender !== before.lender, "A transfer changes the lender");
  require(after.lender !== after.borrower, "Borrower and lender must differ");
  const expected = { ...before, lender: after.lender, lender_key: after.lender_key };
  require(same(after, expected), "A transfer changes only the lender");
}

function verifyTransaction(transaction) {
  const inputs = transaction.inputs.map((input) => iouOf(input.state));
  const outputs = transaction.outputs.map(iouOf);
  const { commands, signatories } = transaction;
  require(commands.length === 1, "An IOU transaction has exactly one command");
  const [{ type, value }] = commands;
  require(Object.hasOwn(COMMANDS, type), "An IOU command is one of Issue, Settle and Transfer");
  COMMANDS[type](inputs, outputs, value);
  const keys = [...inputs, ...outputs].flatMap(participants);
  require(keys.every((key) => signatories.includes(key)), "Borrower and lender must both sign an IOU");
}

export function verify(transaction) {
  try {
    verifyTransaction(JSON.parse(transaction));
  } catch (error) {
    const type = error.type ?? error.name;
    const failure = { contract: CONTRACT, states: [STATE], type, message: error.message };
    throw JSON.stringify({ failures: [failure] });
  }
}

export function describe() {
  const fields = Object.fromEntries(TEXTS.map((name) => [name, { type: "string" }]));
  const schema = {
    type: "object",
    properties: { ...fields, amount: { type: "integer" }, paid: { type: "integer" } },
    required: [...TEXTS, "amount"],
    additionalProperties: false,
  };
  return JSON.stringify({
    sdk: "none (JavaScript)",
    contracts: [{ name: CONTRACT, states: [STATE] }],
    states: [{ name: STATE, contract: CONTRACT, schema }],
    commands: Object.keys(COMMANDS).map((name) => ({ name, schema: null })),
    flows: [],
    entities: [],
  });
}
