//! Properties: no bytes make it panic, and no bit of what is signed can change unnoticed.

use http::HeaderMap;
use keystead_wire::sigv4::{self, RequestView, Rules, Signer};
use proptest::prelude::*;

use super::{NOW, Request, SECRET, at, credentials};

/// Where a bit is turned.
#[derive(Clone, Copy, Debug)]
enum Place {
    Method,
    Path,
    Query,
    Header,
    Host,
    Body,
}

/// `text` with one bit turned, if that is still text that a request can hold.
fn turned(text: &str, bit: usize) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let position = bit / 8 % bytes.len();
    bytes[position] ^= 1 << (bit % 8);
    String::from_utf8(bytes)
        .ok()
        .filter(|text| text.bytes().all(|b| (b' '..0x7f).contains(&b)))
}

/// The request with one bit turned at that place; `None` where no request could be like that.
fn bent(request: &Request, place: Place, bit: usize) -> Option<Request> {
    let mut bent = request.clone();
    match place {
        Place::Method => bent.method = turned(&request.method, bit)?,
        Place::Path => bent.path = turned(&request.path, bit)?,
        Place::Query => bent.query = turned(&request.query, bit)?,
        Place::Header => bent.set("my-header", &turned(&request.header("my-header"), bit)?),
        Place::Host => bent.set("host", &turned(&request.header("host"), bit)?),
        Place::Body => {
            let position = bit / 8 % bent.body.len();
            bent.body[position] ^= 1 << (bit % 8);
        }
    }
    Some(bent)
}

/// Letters and digits only: percent signs, dots, slashes and blanks have spellings that mean the
/// same and so carry the same signature.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{1,12}"
}

fn requests() -> impl Strategy<Value = Request> {
    let body = proptest::collection::vec(any::<u8>(), 1..64);
    (
        "(GET|POST|PUT)",
        word(),
        word(),
        word(),
        word(),
        word(),
        body,
    )
        .prop_map(|(method, path, name, value, header, host, body)| {
            let target = format!("/{path}?{name}={value}");
            let headers = [format!("host:{host}"), format!("my-header:{header}")];
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            Request::new(&method, &target, &headers, &body)
        })
}

fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Method),
        Just(Place::Path),
        Just(Place::Query),
        Just(Place::Header),
        Just(Place::Host),
        Just(Place::Body),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    // Unsigned payloads are the point of S3's presigned form, so here bodies are always signed.
    prop_oneof![
        Just(Rules::STANDARD),
        Just(Rules {
            unsigned_payload: false,
            ..Rules::S3
        })
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn one_bit_changes_the_verdict(
        request in requests(), place in places(), bit in 0..4096_usize, rules in rules(),
        presign in any::<bool>(),
    ) {
        let credentials = credentials(None);
        let signer = Signer {
            rules,
            declare_payload: false,
            ..Signer::new(&credentials, "us-east-1", "acm", at(NOW))
        };
        let signed = match presign {
            true => request.presigned(&signer, 60),
            false => request.signed(&signer),
        };
        let verdict = |request: &Request| request.verify(at(NOW), "acm", rules, SECRET).is_ok();
        prop_assert!(verdict(&signed));
        // In a presigned query `%2F` and `%2f` are the same value.
        let same = |bent: &Request| bent.query.eq_ignore_ascii_case(&signed.query)
            && bent.query != signed.query
            && bent.query.replace("%2f", "%2F").replace("%3b", "%3B") == signed.query;
        match bent(&signed, place, bit) {
            Some(bent) if !same(&bent) => prop_assert!(!verdict(&bent), "{place:?}: {bent:?}"),
            _ => {}
        }
    }

    #[test]
    fn random_bytes_do_not_panic(
        method in ".{0,8}", path in ".{0,64}", query in any::<String>(),
        authorization in proptest::collection::vec(any::<u8>(), 0..200),
        date in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", &authorization), ("x-amz-date", &date)] {
            if let Ok(value) = http::HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
        let view = RequestView {
            method: &method, path: &path, query: &query, authority: None, headers: &headers,
        };
        let _ = sigv4::parse(&view, at(NOW), "acm", Rules::STANDARD);
        let _ = sigv4::Claim::read(&view).map(|claim| claim.service().is_some());
    }

    /// Well-formed as far as `parse`, then anything: the whole of `verify` runs.
    #[test]
    fn nonsense_under_a_well_formed_signature_is_refused(
        method in ".{0,8}", path in ".{0,64}", query in "[^X]{0,64}",
        names in "[!-~]{0,40}", signature in "[0-9a-f]{64}",
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let names = names.replace([',', '='], ";");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/acm/aws4_request, \
             SignedHeaders=host;{names}, Signature={signature}"
        );
        let mut request = Request::new(&method, "/", &["x-amz-date:20150830T123600Z"], &body);
        (request.path, request.query) = (path, query);
        request.set("authorization", &authorization);
        prop_assert!(request.verify(at(NOW), "acm", Rules::STANDARD, SECRET).is_err());
    }
}
