//! The domain names of a request: ACM's rules beyond the model's pattern, and what is kept of them.

use crate::error::{Error, ErrorKind, Result};

/// The names of a certificate as asked for: the first goes into the subject too.
///
/// Lower-case, without repetitions, the domain name first; refuses a first name that does not fit a
/// common name and more names than one certificate may carry.
pub fn requested(domain_name: &str, alternatives: &[String]) -> Result<Vec<String>> {
    if domain_name.len() > MAX_COMMON_NAME {
        return Err(Error::new(
            ErrorKind::InvalidDomainValidationOptions,
            "The first domain name can be no longer than 64 characters.",
        ));
    }
    let mut names: Vec<String> = Vec::with_capacity(alternatives.len().saturating_add(1));
    for name in std::iter::once(domain_name).chain(alternatives.iter().map(String::as_str)) {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > MAX_NAMES {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "A certificate can have at most {MAX_NAMES} domain names; the request has {}.",
                names.len()
            ),
        ));
    }
    Ok(names)
}

/// Whether validating `domain` may be done at `candidate`: the same name, or one above it
/// (API reference, `DomainValidationOption`).
pub fn covers(candidate: &str, domain: &str) -> bool {
    let candidate = candidate.to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    let bare = domain.strip_prefix("*.").unwrap_or(&domain);
    candidate == domain
        || bare == candidate
        || bare
            .strip_suffix(candidate.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 5280 appendix A.1, `ub-common-name`: what the subject's common name can hold.
const MAX_COMMON_NAME: usize = 64;

/// ACM user guide, "Quotas": at most 100 names a certificate. (An AWS account starts with a quota of
/// 10 that is raised on request; nobody has to ask here.)
pub const MAX_NAMES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn the_domain_name_comes_first_and_none_twice() {
        let names = requested(
            "WWW.example.com",
            &strings(&["a.example.com", "www.Example.com"]),
        );
        assert_eq!(names, Ok(strings(&["www.example.com", "a.example.com"])));
    }

    #[test]
    fn the_first_name_must_fit_a_common_name() {
        let long = format!("{}.example.com", "a".repeat(53));
        assert_eq!(long.len(), 65);
        let refused = requested(&long, &[]).map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::InvalidDomainValidationOptions));
        assert!(requested("example.com", &[long]).is_ok());
    }

    #[test]
    fn a_hundred_names_fit_and_one_more_does_not() {
        let many: Vec<_> = (0..MAX_NAMES)
            .map(|i| format!("n{i}.example.com"))
            .collect();
        assert_eq!(
            requested("n0.example.com", &many).map(|n| n.len()),
            Ok(MAX_NAMES)
        );
        let refused = requested("example.com", &many).map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::LimitExceeded));
    }

    #[test]
    fn only_a_name_or_one_above_it_can_validate_it() {
        for (candidate, domain, expected) in [
            ("example.com", "example.com", true),
            ("Example.com", "a.example.COM", true),
            ("example.com", "*.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("ample.com", "example.com", false),
            ("a.example.com", "example.com", false),
            ("example.org", "example.com", false),
            ("", "example.com", false),
        ] {
            assert_eq!(
                covers(candidate, domain),
                expected,
                "{candidate} for {domain}"
            );
        }
    }
}
