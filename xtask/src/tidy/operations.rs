//! Every served operation has its tests: a sample request, from which the denial tests are made, and a
//! test that calls it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Breach, Source};
use crate::r#gen::served::Served;

/// Which operations are served.
const SERVED: &str = "models/served.toml";
/// A sample request for each; `tests/python/test_denials.py` turns each into every kind of refusal.
const SAMPLES: &str = "tests/python/operations.json";

/// The operations of each service.
type Operations = BTreeMap<String, Vec<String>>;

/// Every served operation without a sample request or a test, and every sample that is served no more.
pub(crate) fn check(sources: &[Source]) -> Vec<Breach> {
    let (served, samples) = match (read_served(sources), read_samples(sources)) {
        (Ok(served), Ok(samples)) => (served, samples),
        (served, samples) => return served.err().into_iter().chain(samples.err()).collect(),
    };
    let tests: Vec<&Source> = sources
        .iter()
        .filter(|source| source.path.starts_with("tests/python/test_"))
        .collect();
    let mut breaches = Vec::new();
    let none = Vec::new();
    for (service, operations) in &served {
        let sampled = samples.get(service).unwrap_or(&none);
        for operation in operations {
            if !sampled.contains(operation) {
                let advice = format!(
                    "add a sample request for {service} {operation}: its denial tests are made from it"
                );
                breaches.push(Breach::new(SAMPLES, 0, "denial-test", advice));
            }
            if !tests.iter().any(|test| calls(&test.text, operation)) {
                let advice = format!(
                    "no file tests/python/test_*.py calls {service} {operation}: write its tests"
                );
                breaches.push(Breach::new(SERVED, 0, "operation-test", advice));
            }
        }
    }
    for (service, operations) in &samples {
        let served = served.get(service).unwrap_or(&none);
        for operation in operations
            .iter()
            .filter(|operation| !served.contains(operation))
        {
            let advice = format!("{service} {operation} is not served: remove its sample");
            breaches.push(Breach::new(SAMPLES, 0, "denial-test", advice));
        }
    }
    breaches
}

/// Whether a test calls the operation, as boto3 or as the command line writes its name.
fn calls(text: &str, operation: &str) -> bool {
    text.contains(&format!(".{}(", words(operation, '_')))
        || text.contains(&format!(" {} ", words(operation, '-')))
}

/// `GetCallerIdentity` as `get_caller_identity` or `get-caller-identity`; capitals in a row are one word,
/// but for the last before a small letter (`ListOpenIDConnectProviders`: `list_open_id_connect_providers`).
fn words(operation: &str, separator: char) -> String {
    let mut text = String::new();
    let mut before = None;
    let mut letters = operation.chars().peekable();
    while let Some(letter) = letters.next() {
        let after_small = before.is_some_and(|before: char| !before.is_ascii_uppercase());
        let before_small = letters.peek().is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && before.is_some() && (after_small || before_small) {
            text.push(separator);
        }
        text.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
    text
}

fn read_served(sources: &[Source]) -> Result<Operations, Breach> {
    let served: Served = toml::from_str(text_of(sources, SERVED)?)
        .map_err(|e| Breach::new(SERVED, 0, "operations", e.to_string()))?;
    let services = served.service.into_iter();
    Ok(services
        .map(|service| (service.model, service.operations))
        .collect())
}

/// Samples: an object of services, each an object of operations.
fn read_samples(sources: &[Source]) -> Result<Operations, Breach> {
    let samples: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(text_of(sources, SAMPLES)?)
            .map_err(|e| Breach::new(SAMPLES, e.line(), "operations", e.to_string()))?;
    let names = samples
        .into_iter()
        .map(|(service, operations)| (service, operations.into_keys().collect()));
    Ok(names.collect())
}

fn text_of<'a>(sources: &'a [Source], path: &str) -> Result<&'a str, Breach> {
    let source = sources.iter().find(|source| source.path == path);
    let text = source.map(|source| source.text.as_str());
    text.ok_or_else(|| Breach::new(path, 0, "operations", "the file is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STS: &str = "[[service]]\nmodel = 'sts'\nmodule = 'sts'\nnamespace = 'n'\noperations = ";

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn names_are_split_as_clients_split_them() {
        assert_eq!(words("GetCallerIdentity", '_'), "get_caller_identity");
        assert_eq!(
            words("AddClientIDToOpenIDConnectProvider", '_'),
            "add_client_id_to_open_id_connect_provider"
        );
        assert!(calls("x = sts.get_caller_identity()", "GetCallerIdentity"));
        assert!(calls(
            "aws sts get-caller-identity --output json",
            "GetCallerIdentity"
        ));
        assert!(!calls("sts.get_caller_identity_too()", "GetCallerIdentity"));
    }

    #[test]
    fn a_served_operation_without_sample_and_test_is_named_twice() {
        let sources = [
            source(SERVED, &format!("{STS}['GetCallerIdentity']\n")),
            source(SAMPLES, "{}"),
        ];
        let rules: Vec<_> = check(&sources)
            .into_iter()
            .map(|breach| breach.rule)
            .collect();
        assert_eq!(rules, ["denial-test", "operation-test"]);
    }

    #[test]
    fn a_sample_of_nothing_served_is_named() {
        let sources = [
            source(SERVED, &format!("{STS}[]\n")),
            source(SAMPLES, r#"{"sts": {"GetCallerIdentity": {}}}"#),
        ];
        assert!(check(&sources)[0].advice.contains("is not served"));
    }

    #[test]
    fn missing_lists_are_breaches() {
        assert_eq!(check(&[]).len(), 2);
    }
}
