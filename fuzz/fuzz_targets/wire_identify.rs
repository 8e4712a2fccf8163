//! Any head and body: an operation, or a refusal that can be sent.
//!
//! The input is the path, the target, the Smithy protocol and the body, a line each.
#![no_main]

use http::Request;
use keystead_wire::identify;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(4, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, target, smithy, body) = (line(), line(), line(), line());
    let mut request = Request::post(path).header("content-type", "application/x-amz-json-1.1");
    for (name, value) in [("x-amz-target", target), ("smithy-protocol", smithy)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (parts, ()) = request.into_parts();
    let response = match identify(&parts, body, None) {
        Ok(call) => match call.decode(&parts, body) {
            Ok(_) => return,
            Err(error) => call.encode_error(&error, "id"),
        },
        Err(refusal) => refusal.response("id"),
    };
    assert!(response.status().as_u16() < 500);
});
