"""A state of the consensual ledger in other languages than Python, over the libraries of samples.

It is its own contract, and sees `states` alone: it refuses the text `invalid`.
"""

FACT_IN_C = r"""
/* A state of the consensual ledger: it is its own contract, and sees `states` alone. */
#include "guest.h"
#include "json.h"

#define STATE "consensual_demo_contracts.TestConsensualState"
#define REFUSED                                                                      \
  "{\"failures\":[{\"contract\":\"" STATE "\",\"states\":[\"" STATE                \
  "\"],\"type\":\"RequirementError\",\"message\":\"State verification failed in c\"}]}"

const Text description = TEXT(
    "{\"sdk\":\"none (C)\",\"contracts\":[{\"name\":\"" STATE "\",\"states\":[\"" STATE
    "\"]}],\"states\":[{\"name\":\"" STATE "\",\"contract\":\"" STATE "\",\"schema\":{}}],"
    "\"commands\":[],\"flows\":[],\"entities\":[]}");

const char *refusal_of(Text transaction) {
  Value states = json_member(json_document(transaction), TEXT("states"));
  Value state = json_next(states, (Value){NULL, NULL});
  for (; state.start != NULL; state = json_next(states, state)) {
    Value text = json_member(json_member(state, TEXT("value")), TEXT("testField"));
    if (json_is(text, TEXT("invalid"))) {
      return REFUSED;
    }
  }
  return json_count(states) == 0 ? REFUSED : NULL;
}
"""

FACT_IN_RUST = r"""
mod guest;
#[allow(dead_code)]
mod json; // this contract uses less of it than the sample

use guest::Failure;
use json::Json;

const STATE: &str = "consensual_demo_contracts.TestConsensualState";

fn is_valid(state: &Json) -> bool {
    let text = state.member("value").and_then(|value| value.member("testField"));
    matches!(text.and_then(Json::text), Some(text) if text != "invalid")
}

fn verify(transaction: &Json) -> Result<(), Failure> {
    let states = transaction.member("states").and_then(Json::items).unwrap_or(&[]);
    if !states.is_empty() && states.iter().all(is_valid) {
        return Ok(());
    }
    Err(Failure {
        contract: STATE,
        state: STATE,
        kind: "RequirementError",
        message: "State verification failed in rust",
    })
}

const DESCRIPTION: &str = r#"{"sdk":"none (Rust)",
"contracts":[{"name":"consensual_demo_contracts.TestConsensualState",
"states":["consensual_demo_contracts.TestConsensualState"]}],
"states":[{"name":"consensual_demo_contracts.TestConsensualState",
"contract":"consensual_demo_contracts.TestConsensualState","schema":{}}],
"commands":[],"flows":[],"entities":[]}"#;
"""

FACT_IN_JAVASCRIPT = """
const STATE = "consensual_demo_contracts.TestConsensualState";

export function verify(transaction) {
  const { states } = JSON.parse(transaction);
  if (states.length > 0 && states.every(({ value }) => value.testField !== "invalid")) {
    return;
  }
  const message = "State verification failed in javascript";
  const failure = { contract: STATE, states: [STATE], type: "RequirementError", message };
  throw JSON.stringify({ failures: [failure] });
}

export function describe() {
  return JSON.stringify({
    sdk: "none (JavaScript)",
    contracts: [{ name: STATE, states: [STATE] }],
    states: [{ name: STATE, contract: STATE, schema: {} }],
    commands: [],
    flows: [],
    entities: [],
  });
}
"""

FACTS = {
    "c": ("iou_c", "iou.c", FACT_IN_C),
    "rust": ("iou_rust", "lib.rs", FACT_IN_RUST),
    "javascript": ("iou_js", "index.js", FACT_IN_JAVASCRIPT),
}
"""Language -> the sample with its libraries, the file that is replaced, its text."""
