//! The rules of the sample `iou`, in Rust: the same names, the same verdicts.
//!
//! A debt that a borrower owes a lender, paid back in parts. Amounts count the currency's smallest
//! unit.

mod guest;
mod json;

use guest::Failure;
use json::Json;

const STATE: &str = "iou_contracts.Iou";
const CONTRACT: &str = "iou_contracts.IouContract";

#[derive(Clone, PartialEq)]
struct Iou<'a> {
    linear_id: &'a str,
    borrower: &'a str,
    lender: &'a str,
    borrower_key: &'a str,
    lender_key: &'a str,
    amount: i64,
    currency: &'a str,
    paid: i64,
}

impl<'a> Iou<'a> {
    /// The state's value, or nothing if a field is missing or of another kind.
    fn read(value: &'a Json) -> Option<Self> {
        let text = |name| value.member(name)?.text();
        Some(Iou {
            linear_id: text("linear_id")?,
            borrower: text("borrower")?,
            lender: text("lender")?,
            borrower_key: text("borrower_key")?,
            lender_key: text("lender_key")?,
            amount: value.member("amount")?.integer()?,
            currency: text("currency")?,
            paid: match value.member("paid") {
                Some(paid) => paid.integer()?,
                None => 0,
            },
        })
    }

    fn participants(&self) -> [&'a str; 2] {
        [self.borrower_key, self.lender_key]
    }
}

fn failure(kind: &'static str, message: &'static str) -> Failure {
    Failure { contract: CONTRACT, state: STATE, kind, message }
}

fn require(holds: bool, message: &'static str) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(failure("RequirementError", message))
    }
}

/// One state of the transaction as an IOU; the ledger's own facts about it must fit.
fn iou_of(state: &Json) -> Result<Iou<'_>, Failure> {
    let is = |name, wanted| state.member(name).and_then(Json::text) == Some(wanted);
    require(is("type", STATE) && is("contract", CONTRACT), "This contract knows no state but the IOU")?;
    let iou = state.member("value").and_then(Iou::read).ok_or_else(|| {
        failure(
            "RequirementError",
            "An IOU has texts, and amounts that are whole numbers of 53 bits",
        )
    })?;
    let named: Option<Vec<&str>> = state.member("participants").and_then(Json::texts);
    if named.as_deref() == Some(&iou.participants()[..]) {
        Ok(iou)
    } else {
        Err(failure("ParticipantsError", "participants differ from those of the state"))
    }
}

fn verify_issue(inputs: &[Iou], outputs: &[Iou]) -> Result<(), Failure> {
    require(inputs.is_empty(), "An issue consumes no IOU")?;
    require(outputs.len() == 1, "An issue creates exactly one IOU")?;
    let iou = &outputs[0];
    require(iou.amount > 0, "An IOU's amount must be positive")?;
    require(iou.paid == 0, "A new IOU has nothing paid yet")?;
    require(iou.borrower != iou.lender, "Borrower and lender must differ")?;
    require(iou.borrower_key != iou.lender_key, "Borrower and lender must differ")?;
    require(
        iou.currency.len() == 3 && iou.currency.bytes().all(|letter| letter.is_ascii_uppercase()),
        "An IOU's currency is an ISO 4217 code such as GBP",
    )
}

fn verify_settle(inputs: &[Iou], outputs: &[Iou], command: &Json) -> Result<(), Failure> {
    let amount = command.member("amount").and_then(Json::integer);
    require(amount.is_some(), "A settlement's amount is a whole number of 53 bits")?;
    let amount = amount.unwrap_or_default();
    require(inputs.len() == 1, "A settlement consumes exactly one IOU")?;
    let before = &inputs[0];
    require(amount > 0, "A settlement's amount must be positive")?;
    let left = before.amount.checked_sub(before.paid).and_then(|owed| owed.checked_sub(amount));
    require(
        matches!(left, Some(left) if left >= 0),
        "A settlement cannot exceed what is outstanding",
    )?;
    let after = Iou { paid: before.amount - left.unwrap_or_default(), ..before.clone() };
    let expected = if left == Some(0) { vec![] } else { vec![after] };
    require(outputs == expected.as_slice(), "A settlement changes only what is paid")
}

fn verify_transfer(inputs: &[Iou], outputs: &[Iou]) -> Result<(), Failure> {
    require(inputs.len() == 1 && outputs.len() == 1, "A transfer turns one IOU into one")?;
    let (before, after) = (&inputs[0], &outputs[0]);
    require(after.lender != before.lender, "A transfer changes the lender")?;
    require(after.lender != after.borrower, "Borrower and lender must differ")?;
    let same = Iou { lender: before.lender, lender_key: before.lender_key, ..after.clone() };
    require(same == *before, "A transfer changes only the lender")
}

fn verify_command(inputs: &[Iou], outputs: &[Iou], commands: &[Json]) -> Result<(), Failure> {
    require(commands.len() == 1, "An IOU transaction has exactly one command")?;
    let command = &commands[0];
    match command.member("type").and_then(Json::text) {
        Some("iou_contracts.Issue") => verify_issue(inputs, outputs),
        Some("iou_contracts.Settle") => {
            verify_settle(inputs, outputs, command.member("value").unwrap_or(&Json::Null))
        }
        Some("iou_contracts.Transfer") => verify_transfer(inputs, outputs),
        _ => require(false, "An IOU command is one of Issue, Settle and Transfer"),
    }
}

fn verify(transaction: &Json) -> Result<(), Failure> {
    let part = |name| {
        transaction.member(name).and_then(Json::items).ok_or_else(|| {
            failure(
                "RequirementError",
                "A transaction has lists of inputs, outputs, commands and signatories",
            )
        })
    };
    let states = part("inputs")?.iter().map(|input| input.member("state").unwrap_or(&Json::Null));
    let inputs = states.map(iou_of).collect::<Result<Vec<Iou>, Failure>>()?;
    let outputs = part("outputs")?.iter().map(iou_of).collect::<Result<Vec<Iou>, Failure>>()?;
    let signatories: Vec<&str> = part("signatories")?.iter().filter_map(Json::text).collect();
    verify_command(&inputs, &outputs, part("commands")?)?;
    let mut parties = inputs.iter().chain(&outputs).flat_map(Iou::participants);
    require(
        parties.all(|key| signatories.contains(&key)),
        "Borrower and lender must both sign an IOU",
    )
}

const DESCRIPTION: &str = r#"{"sdk":"none (Rust)",
"contracts":[{"name":"iou_contracts.IouContract","states":["iou_contracts.Iou"]}],
"states":[{"name":"iou_contracts.Iou","contract":"iou_contracts.IouContract","schema":{
"type":"object","additionalProperties":false,
"required":["linear_id","borrower","lender","borrower_key","lender_key","amount","currency"],
"properties":{"linear_id":{"type":"string"},"borrower":{"type":"string"},
"lender":{"type":"string"},"borrower_key":{"type":"string"},"lender_key":{"type":"string"},
"amount":{"type":"integer"},"currency":{"type":"string"},"paid":{"type":"integer"}}}}],
"commands":[{"name":"iou_contracts.Issue","schema":null},
{"name":"iou_contracts.Settle","schema":null},{"name":"iou_contracts.Transfer","schema":null}],
"flows":[],"entities":[]}"#;
