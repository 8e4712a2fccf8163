//! What registers an issuer of web identities.

use super::quota::Quota;
use crate::AccountId;
use crate::error::{Error, ErrorKind, Result};

/// The issuer's URL without `https://`, its host in lower case (RFC 3986 section 6.2.2.1): what ARNs and
/// records call it.
///
/// Refuses with [`ErrorKind::Validation`] what is not `https://HOST[:PORT][/PATH]`: "path components are
/// allowed but query parameters are not" (IAM API reference, CreateOpenIDConnectProvider). AWS takes no
/// port; issuers on one's own machines have one.
pub fn issuer(url: &str) -> Result<String> {
    let invalid = || {
        Error::new(
            ErrorKind::Validation,
            "Invalid Open ID Connect Provider URL",
        )
    };
    let rest = url.strip_prefix("https://").ok_or_else(invalid)?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    // RFC 3986 section 3.3, `pchar` and the slash.
    let of_path = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/".contains(c);
    let sound = !host.is_empty()
        && host.chars().all(of_host)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && path.is_none_or(|path| path.chars().all(of_path));
    if !sound {
        return Err(invalid());
    }
    let authority = authority.to_ascii_lowercase();
    Ok(match path {
        Some(path) => format!("{authority}/{path}"),
        None => authority,
    })
}

/// The ARN of the provider of this issuer.
pub fn arn(account: &AccountId, issuer: &str) -> String {
    super::arn(account, "oidc-provider", "/", issuer).to_string()
}

/// [`ErrorKind::NotFound`] in IAM's words.
pub fn missing(arn: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("OpenIDConnect Provider not found for arn {arn}"),
    )
}

/// SHA-1 fingerprints of certificates, as they were given.
pub fn thumbprints(given: Vec<String>) -> Result<Vec<String>> {
    if given.len() > THUMBPRINTS.most {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            "Thumbprint list must contain fewer than 5 entries.",
        ));
    }
    if !given
        .iter()
        .all(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            "A thumbprint is the SHA-1 fingerprint of a certificate: 40 hexadecimal digits.",
        ));
    }
    Ok(given)
}

/// IAM API reference, CreateOpenIDConnectProvider: "up to five thumbprints".
const THUMBPRINTS: Quota = Quota {
    name: "ThumbprintsPerOpenIdConnectProvider",
    most: 5,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_host_with_a_path_at_most() {
        for (url, issuer_is) in [
            ("https://Example.com", "example.com"),
            ("https://example.com/a/B", "example.com/a/B"),
            ("https://example.com/", "example.com/"),
            ("https://10.0.0.1:6443", "10.0.0.1:6443"),
        ] {
            assert_eq!(issuer(url).as_deref(), Ok(issuer_is));
        }
        for url in [
            "http://example.com",
            "example.com",
            "https://",
            "https:///path",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "https://user@example.com",
            "https://example.com:port",
            "https://exa mple.com",
        ] {
            assert!(issuer(url).is_err(), "{url}");
        }
    }

    #[test]
    fn five_thumbprints_of_hexadecimal_digits() {
        let thumbprint = "9E99A48A9960B14926BB7F3B02E22DA2B0AB7280".to_owned();
        assert!(thumbprints(vec![thumbprint.clone(); 5]).is_ok());
        assert!(thumbprints(vec![thumbprint.clone(); 6]).is_err());
        assert!(thumbprints(vec![thumbprint.replace('9', "g")]).is_err());
    }
}
