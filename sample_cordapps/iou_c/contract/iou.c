/* The rules of the sample `iou`, in C: the same names, the same verdicts.
 *
 * A debt that a borrower owes a lender, paid back in parts. Amounts count the currency's smallest
 * unit. A rule answers NULL when it holds, else the failure.
 */
#include "guest.h"
#include "json.h"

#define STATE "iou_contracts.Iou"
#define CONTRACT "iou_contracts.IouContract"
#define FAILURE(type, message)                                                         \
  "{\"failures\":[{\"contract\":\"" CONTRACT "\",\"states\":[\"" STATE                 \
  "\"],\"type\":\"" type "\",\"message\":\"" message "\"}]}"
#define REQUIRE(condition, message)                    \
  do {                                                 \
    if (!(condition)) {                                \
      return FAILURE("RequirementError", message);     \
    }                                                  \
  } while (0)
#define ACCEPTED NULL
#define NO_ITEM ((Value){NULL, NULL})

#define STRING_FIELD(name) "\"" name "\":{\"type\":\"string\"}"
#define COMMAND(name) "{\"name\":\"iou_contracts." name "\",\"schema\":null}"

const Text description = TEXT(
    "{\"sdk\":\"none (C)\","
    "\"contracts\":[{\"name\":\"" CONTRACT "\",\"states\":[\"" STATE "\"]}],"
    "\"states\":[{\"name\":\"" STATE "\",\"contract\":\"" CONTRACT "\",\"schema\":{"
    "\"type\":\"object\",\"properties\":{" STRING_FIELD("linear_id") "," STRING_FIELD("borrower")
    "," STRING_FIELD("lender") "," STRING_FIELD("borrower_key") "," STRING_FIELD("lender_key")
    ",\"amount\":{\"type\":\"integer\"}," STRING_FIELD("currency") ",\"paid\":{\"type\":\"integer\"}},"
    "\"required\":[\"linear_id\",\"borrower\",\"lender\",\"borrower_key\",\"lender_key\","
    "\"amount\",\"currency\"],\"additionalProperties\":false}}],"
    "\"commands\":[" COMMAND("Issue") "," COMMAND("Settle") "," COMMAND("Transfer") "],"
    "\"flows\":[],\"entities\":[]}");

typedef struct {
  Value linear_id;
  Value borrower;
  Value lender;
  Value borrower_key;
  Value lender_key;
  Value currency;
  int64_t amount;
  int64_t paid;
} Iou;

/* The IOUs of one side: how many, the first one, and whether the parties of all have signed. */
typedef struct {
  size_t count;
  bool all_signed;
  Iou first;
} Side;

static bool is_string(Value value) { return value.start != NULL && *value.start == '"'; }

static bool read_iou(Value value, Iou *iou) {
  iou->linear_id = json_member(value, TEXT("linear_id"));
  iou->borrower = json_member(value, TEXT("borrower"));
  iou->lender = json_member(value, TEXT("lender"));
  iou->borrower_key = json_member(value, TEXT("borrower_key"));
  iou->lender_key = json_member(value, TEXT("lender_key"));
  iou->currency = json_member(value, TEXT("currency"));
  Value paid = json_member(value, TEXT("paid"));
  iou->paid = 0;
  return is_string(iou->linear_id) && is_string(iou->borrower) && is_string(iou->lender) &&
         is_string(iou->borrower_key) && is_string(iou->lender_key) && is_string(iou->currency) &&
         json_integer(json_member(value, TEXT("amount")), &iou->amount) &&
         (paid.start == NULL || json_integer(paid, &iou->paid));
}

/* The participants that the ledger stores must be those that the state names. */
static bool has_its_participants(Value state, const Iou *iou) {
  Value participants = json_member(state, TEXT("participants"));
  Value first = json_next(participants, NO_ITEM);
  Value second = json_next(participants, first);
  return json_count(participants) == 2 && json_same_string(first, iou->borrower_key) &&
         json_same_string(second, iou->lender_key);
}

static bool has_signed(Value signatories, Value key) {
  for (Value one = json_next(signatories, NO_ITEM); one.start; one = json_next(signatories, one)) {
    if (json_same_string(one, key)) {
      return true;
    }
  }
  return false;
}

/* Adds an IOU to its side, if it is one. */
static const char *read_state(Value state, Value signatories, Side *side) {
  Iou iou;
  REQUIRE(json_is(json_member(state, TEXT("type")), TEXT(STATE)) &&
              json_is(json_member(state, TEXT("contract")), TEXT(CONTRACT)),
          "This contract knows no state but the IOU");
  REQUIRE(read_iou(json_member(state, TEXT("value")), &iou),
          "An IOU has texts, and amounts that are whole numbers of 53 bits");
  if (!has_its_participants(state, &iou)) {
    return FAILURE("ParticipantsError", "participants differ from those of the state");
  }
  if (side->count++ == 0) {
    side->first = iou;
  }
  side->all_signed = side->all_signed && has_signed(signatories, iou.borrower_key) &&
                     has_signed(signatories, iou.lender_key);
  return ACCEPTED;
}

static bool is_currency(Value text) {
  for (size_t i = 0; i < 3; i++) {
    int32_t letter = json_character(text, i);
    if (letter < 'A' || letter > 'Z') {
      return false;
    }
  }
  return json_length(text) == 3;
}

static const char *verify_issue(const Side *inputs, const Side *outputs) {
  const Iou *iou = &outputs->first;
  REQUIRE(inputs->count == 0, "An issue consumes no IOU");
  REQUIRE(outputs->count == 1, "An issue creates exactly one IOU");
  REQUIRE(iou->amount > 0, "An IOU's amount must be positive");
  REQUIRE(iou->paid == 0, "A new IOU has nothing paid yet");
  REQUIRE(!json_same_string(iou->borrower, iou->lender), "Borrower and lender must differ");
  REQUIRE(!json_same_string(iou->borrower_key, iou->lender_key), "Borrower and lender must differ");
  REQUIRE(is_currency(iou->currency), "An IOU's currency is an ISO 4217 code such as GBP");
  return ACCEPTED;
}

static bool same_but_lender_and_paid(const Iou *one, const Iou *other) {
  return json_same_string(one->linear_id, other->linear_id) &&
         json_same_string(one->borrower, other->borrower) &&
         json_same_string(one->borrower_key, other->borrower_key) &&
         json_same_string(one->currency, other->currency) && one->amount == other->amount;
}

static bool same_lender(const Iou *one, const Iou *other) {
  return json_same_string(one->lender, other->lender) &&
         json_same_string(one->lender_key, other->lender_key);
}

static const char *verify_settle(const Side *inputs, const Side *outputs, Value command) {
  int64_t amount;
  int64_t outstanding;
  const Iou *before = &inputs->first;
  const Iou *after = &outputs->first;
  REQUIRE(json_integer(json_member(command, TEXT("amount")), &amount),
          "A settlement's amount is a whole number of 53 bits");
  REQUIRE(inputs->count == 1, "A settlement consumes exactly one IOU");
  REQUIRE(amount > 0, "A settlement's amount must be positive");
  REQUIRE(!__builtin_sub_overflow(before->amount, before->paid, &outstanding) &&
              amount <= outstanding,
          "A settlement cannot exceed what is outstanding");
  if (amount == outstanding) {
    REQUIRE(outputs->count == 0, "A settlement changes only what is paid");
    return ACCEPTED;
  }
  REQUIRE(outputs->count == 1 && same_but_lender_and_paid(before, after) &&
              same_lender(before, after) && after->paid == before->paid + amount,
          "A settlement changes only what is paid");
  return ACCEPTED;
}

static const char *verify_transfer(const Side *inputs, const Side *outputs) {
  const Iou *before = &inputs->first;
  const Iou *after = &outputs->first;
  REQUIRE(inputs->count == 1 && outputs->count == 1, "A transfer turns one IOU into one");
  REQUIRE(!json_same_string(after->lender, before->lender), "A transfer changes the lender");
  REQUIRE(!json_same_string(after->lender, after->borrower), "Borrower and lender must differ");
  REQUIRE(same_but_lender_and_paid(before, after) && after->paid == before->paid,
          "A transfer changes only the lender");
  return ACCEPTED;
}

static const char *verify_command(const Side *inputs, const Side *outputs, Value commands) {
  REQUIRE(json_count(commands) == 1, "An IOU transaction has exactly one command");
  Value command = json_next(commands, NO_ITEM);
  Value type = json_member(command, TEXT("type"));
  if (json_is(type, TEXT("iou_contracts.Issue"))) {
    return verify_issue(inputs, outputs);
  }
  if (json_is(type, TEXT("iou_contracts.Settle"))) {
    return verify_settle(inputs, outputs, json_member(command, TEXT("value")));
  }
  REQUIRE(json_is(type, TEXT("iou_contracts.Transfer")),
          "An IOU command is one of Issue, Settle and Transfer");
  return verify_transfer(inputs, outputs);
}

const char *refusal_of(Text transaction) {
  Side inputs = {.all_signed = true};
  Side outputs = {.all_signed = true};
  Value document = json_document(transaction);
  Value consumed = json_member(document, TEXT("inputs"));
  Value created = json_member(document, TEXT("outputs"));
  Value commands = json_member(document, TEXT("commands"));
  Value signatories = json_member(document, TEXT("signatories"));
  const char *refusal = ACCEPTED;
  REQUIRE(json_is_array(consumed) && json_is_array(created) && json_is_array(commands) &&
              json_is_array(signatories),
          "A transaction has lists of inputs, outputs, commands and signatories");
  for (Value item = json_next(consumed, NO_ITEM); item.start && !refusal;
       item = json_next(consumed, item)) {
    refusal = read_state(json_member(item, TEXT("state")), signatories, &inputs);
  }
  for (Value item = json_next(created, NO_ITEM); item.start && !refusal;
       item = json_next(created, item)) {
    refusal = read_state(item, signatories, &outputs);
  }
  if (refusal == NULL) {
    refusal = verify_command(&inputs, &outputs, commands);
  }
  if (refusal != NULL) {
    return refusal;
  }
  REQUIRE(inputs.all_signed && outputs.all_signed, "Borrower and lender must both sign an IOU");
  return ACCEPTED;
}
