//! Any bytes as the form of a query request, read by every schema that is served.
#![no_main]

use keystead_wire::query::{self, Form};
use keystead_wire::services;
use keystead_wire::validate::validate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(form) = Form::parse(None, bytes) else {
        return;
    };
    for operation in services().iter().flat_map(|service| service.operations) {
        if let Ok(value) = query::decode(&form, operation.input) {
            let _ = validate(&value, operation.input);
        }
    }
});
