//! What a certificate says of where its revocation is published, and the times of what is published.

use jiff::{SignedDuration, Timestamp};

use super::revocation::{CrlConfiguration, OcspConfiguration};
use crate::x509::{Extension, ExtensionValue, Oid};

/// Where relying parties learn whether a certificate was revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The address of its revocation list, if its certificate is to name one.
    pub crl: Option<String>,
    /// The address of the OCSP responder, if there is one.
    pub ocsp: Option<String>,
    /// The partition that the certificate belongs to; `None` where its revocation stands in the complete list alone.
    pub partition: Option<String>,
}

impl Published {
    /// Adds what the certificate says of it. What the template or the caller put there before has the higher rank (user
    /// guide, "AWS Private CA template order of operations").
    pub fn add_to(&self, extensions: &mut Vec<Extension>) {
        let mut add = |oid: &str, value| {
            let oid = Oid::new(oid);
            if extensions.iter().all(|other| other.oid != oid) {
                extensions.push(Extension {
                    oid,
                    critical: false,
                    value,
                });
            }
        };
        if let Some(url) = &self.crl {
            let value = ExtensionValue::CrlDistributionPoints(vec![url.clone()]);
            add(CRL_DISTRIBUTION_POINTS, value);
        }
        if let Some(url) = &self.ocsp {
            let access = (Oid::new(OCSP_ACCESS), url.clone());
            add(
                AUTHORITY_INFO_ACCESS,
                ExtensionValue::AuthorityInfoAccess(vec![access]),
            );
        }
    }
}

impl CrlConfiguration {
    /// Whether each certificate belongs to one of many lists.
    pub fn is_partitioned(&self) -> bool {
        self.crl_type.as_deref() == Some("PARTITIONED")
    }

    /// The address of the list `file` (without `.crl`): under the custom name, or else under `base`, an address without a
    /// slash at its end. `None` where there is neither.
    ///
    /// `folder` is where the list lies unless the configuration says otherwise (`CustomPath`).
    pub fn url(&self, base: Option<&str>, folder: &str, file: &str) -> Option<String> {
        let host = host(self.custom_cname.as_deref(), base)?;
        let folder = match self.custom_path.as_deref() {
            None | Some("") => folder,
            Some(path) => path.trim_matches('/'),
        };
        let slash = if folder.is_empty() { "" } else { "/" };
        Some(format!("{host}/{folder}{slash}{file}.crl"))
    }
}

impl OcspConfiguration {
    /// The address of the responder. A custom name stands alone (model, `OcspCustomCname`); ours is in a folder.
    pub fn url(&self, base: Option<&str>) -> Option<String> {
        let host = host(self.custom_cname.as_deref(), base)?;
        let custom = self
            .custom_cname
            .as_deref()
            .is_some_and(|name| !name.is_empty());
        Some(if custom { host } else { format!("{host}/ocsp") })
    }
}

fn host(custom: Option<&str>, base: Option<&str>) -> Option<String> {
    match custom {
        Some(name) if !name.is_empty() => Some(format!("http://{}", name.trim_end_matches('/'))),
        _ => base.map(str::to_owned),
    }
}

/// Until when a list that is made now is valid, at most until the end of the calendar.
pub fn next_update(this_update: i64, days: i64) -> i64 {
    let days = days.clamp(1, MOST_DAYS);
    this_update.saturating_add(days * SECONDS_A_DAY)
}

/// When a list is made anew although nothing was revoked: at half of its life, so that every cache has half of a life to
/// take the next one (model, `CrlConfiguration`: "refreshed prior to" its expiry).
pub fn refresh_at(this_update: i64, next_update: i64) -> Timestamp {
    let half = next_update.saturating_sub(this_update) / 2;
    Timestamp::from_second(this_update.saturating_add(half)).unwrap_or(Timestamp::MAX)
}

/// When a list may be made again: a second later, and after ten times as long as making it took, so that a list of a
/// million never takes more than a tenth of the machine.
pub fn again_at(this_update: i64, took: SignedDuration) -> Timestamp {
    let wait = took
        .saturating_mul(10)
        .clamp(SignedDuration::from_secs(1), SignedDuration::from_mins(30));
    Timestamp::from_second(this_update)
        .ok()
        .and_then(|made| made.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether a revoked certificate is left out of the next list: it has expired, and stood in a list that was made after
/// that (model, `CrlConfiguration`: "until the certificate expires, and then in one additional CRL"; RFC 5280 section 3.3).
pub fn has_left(not_after: i64, previous: Option<i64>) -> bool {
    previous.is_some_and(|made| not_after < made)
}

const SECONDS_A_DAY: i64 = 86_400;

/// ACM-PCA `CrlConfiguration$ExpirationInDays`.
const MOST_DAYS: i64 = 5000;

/// RFC 5280 section 4.2.1.13.
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";

/// RFC 5280 section 4.2.2.1, with the access method `id-ad-ocsp`.
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const OCSP_ACCESS: &str = "1.3.6.1.5.5.7.48.1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_the_configuration_says() {
        let base = Some("http://pki.test:8080");
        let cases = [
            (None, None, base, Some("http://pki.test:8080/crl/a.crl")),
            (None, Some("/"), base, Some("http://pki.test:8080/a.crl")),
            (
                None,
                Some("x/y"),
                base,
                Some("http://pki.test:8080/x/y/a.crl"),
            ),
            (Some("c.test"), None, base, Some("http://c.test/crl/a.crl")),
            (
                Some("c.test"),
                Some("x"),
                None,
                Some("http://c.test/x/a.crl"),
            ),
            (
                Some(""),
                Some(""),
                base,
                Some("http://pki.test:8080/crl/a.crl"),
            ),
            (None, None, None, None),
        ];
        for (cname, path, base, expected) in cases {
            let crl = CrlConfiguration {
                custom_cname: cname.map(Into::into),
                custom_path: path.map(Into::into),
                ..CrlConfiguration::default()
            };
            assert_eq!(crl.url(base, "crl", "a").as_deref(), expected, "{crl:?}");
        }
        let ocsp = |cname: Option<&str>| OcspConfiguration {
            enabled: true,
            custom_cname: cname.map(Into::into),
        };
        let own = ocsp(None).url(base);
        assert_eq!(own.as_deref(), Some("http://pki.test:8080/ocsp"));
        let custom = ocsp(Some("o.test")).url(base);
        assert_eq!(custom.as_deref(), Some("http://o.test"));
        assert_eq!(ocsp(None).url(None), None);
    }

    #[test]
    fn what_is_there_already_stays() {
        let published = Published {
            crl: Some("http://a.test/crl/a.crl".into()),
            ocsp: Some("http://a.test/ocsp".into()),
            partition: None,
        };
        let mut extensions = Vec::new();
        published.add_to(&mut extensions);
        assert_eq!(extensions.len(), 2);
        let before = extensions.clone();
        let other = Published {
            crl: Some("http://b.test/crl/b.crl".into()),
            ..published
        };
        other.add_to(&mut extensions);
        assert_eq!(extensions, before);
    }

    #[test]
    fn times_of_lists() {
        assert_eq!(next_update(1_000_000, 7), 1_000_000 + 7 * 86_400);
        assert_eq!(next_update(i64::MAX, 7), i64::MAX);
        let half = refresh_at(1_000_000, 1_000_000 + 86_400);
        assert_eq!(half.as_second(), 1_000_000 + 43_200);
        let quick = again_at(100, SignedDuration::from_millis(3));
        assert_eq!(quick.as_second(), 101);
        let slow = again_at(100, SignedDuration::from_secs(12));
        assert_eq!(slow.as_second(), 220);
        assert_eq!(again_at(0, SignedDuration::MAX).as_second(), 1800);
    }

    #[test]
    fn what_expired_stands_in_one_more_list() {
        assert!(!has_left(100, None));
        assert!(!has_left(100, Some(99)));
        assert!(!has_left(100, Some(100)));
        assert!(has_left(100, Some(101)));
    }
}
