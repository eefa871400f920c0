//! The world `contract` of cordbox:guest@1.0.0: the canonical ABI by hand.
//!
//! The only unsafe code of the contract is here. A call has an instance of its own, so what is
//! allocated is never given back.

use crate::json::Json;
use std::alloc::{handle_alloc_error, realloc, Layout};

/// Why a transaction is refused. The texts need no escapes in JSON.
pub struct Failure {
    pub contract: &'static str,
    pub state: &'static str,
    pub kind: &'static str,
    pub message: &'static str,
}

impl Failure {
    fn to_json(&self) -> String {
        let Failure { contract, state, kind, message } = self;
        [
            r#"{"failures":[{"contract":""#, contract, r#"","states":[""#, state,
            r#""],"type":""#, kind, r#"","message":""#, message, r#""}]}"#,
        ]
        .concat()
    }
}

/// `string`: where the text stands.
#[repr(C)]
pub struct Text {
    start: *const u8,
    size: usize,
}

impl Text {
    fn lasting(text: &'static str) -> Self {
        Text { start: text.as_ptr(), size: text.len() }
    }
}

/// `result<_, string>`: a tag, then the text of the error.
#[repr(C)]
pub struct Verdict {
    is_error: u32,
    error: Text,
}

/// Memory for what the host passes in.
///
/// # Safety
/// The host calls it as the canonical ABI says: `old` is null or came from here.
#[no_mangle]
pub unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        return align as *mut u8;
    }
    let layout = Layout::from_size_align_unchecked(old_size.max(1), align);
    let start = if old_size == 0 {
        std::alloc::alloc(Layout::from_size_align_unchecked(new_size, align))
    } else {
        realloc(old, layout, new_size)
    };
    if start.is_null() {
        handle_alloc_error(layout);
    }
    start
}

/// # Safety
/// The host passes a text that it wrote into memory from `cabi_realloc`.
#[no_mangle]
pub unsafe extern "C" fn verify(start: *const u8, size: usize) -> *const Verdict {
    let text = if size == 0 { &[][..] } else { std::slice::from_raw_parts(start, size) };
    let transaction = std::str::from_utf8(text).ok().and_then(Json::parse).unwrap_or(Json::Null);
    let refusal = crate::verify(&transaction).err().map(|failure| failure.to_json());
    let (is_error, error) = match refusal {
        Some(text) => (1, Text::lasting(Box::leak(text.into_boxed_str()))),
        None => (0, Text::lasting("")),
    };
    Box::leak(Box::new(Verdict { is_error, error }))
}

#[no_mangle]
pub extern "C" fn describe() -> *const Text {
    Box::leak(Box::new(Text::lasting(crate::DESCRIPTION)))
}
