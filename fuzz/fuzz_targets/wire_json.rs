//! Any bytes as an awsJson request: refused, or read the same after being written.
#![no_main]

use keystead_wire::acm_pca::CreateCertificateAuthorityRequest as Request;
use keystead_wire::validate::validate;
use keystead_wire::{FromValue, IntoValue, Shape, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let schema = Request::schema();
    let Ok(value) = json::decode(bytes, schema) else {
        return;
    };
    if validate(&value, schema).is_ok() {
        let request = Request::from_value(value).expect("what is valid has its type");
        let written = json::encode(&request.clone().into_value(), schema);
        let read = json::decode(&written, schema).expect("what is written can be read");
        assert_eq!(Request::from_value(read), Ok(request));
    }
});
