//! Names of a model in Rust's three cases.

/// `S3BucketName` to `s3_bucket_name`; a keyword gets a trailing underscore.
pub(crate) fn snake(name: &str) -> String {
    let joined = words(name).join("_").to_lowercase();
    match joined.as_str() {
        "type" | "match" | "ref" | "move" | "use" | "in" | "where" | "final" | "virtual"
        | "self" | "box" | "dyn" | "async" | "gen" | "enum" | "struct" | "fn" | "loop" | "mod" => {
            format!("{joined}_")
        }
        _ => joined,
    }
}

/// `EC_prime256v1` to `EcPrime256v1`; `Self` gets a trailing underscore.
pub(crate) fn pascal(name: &str) -> String {
    let words = words(name).into_iter().map(|word| {
        let lower = word.to_lowercase();
        let mut letters = lower.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    let joined: String = words.collect();
    match joined.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("V{joined}"),
        _ if joined == "Self" => "Self_".to_owned(),
        _ => joined,
    }
}

/// `TagList` to `TAG_LIST`.
pub(crate) fn screaming(name: &str) -> String {
    words(name).join("_").to_uppercase()
}

/// The words of a name: parted by what is not a letter or digit, by a capital after a small letter,
/// and before the last capital of a run that a small letter follows.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, &c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|i| letters.get(i)).copied();
        let after = letters.get(at + 1).copied();
        let starts = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase() || (b.is_alphanumeric() && after.is_some_and(|a| a.is_lowercase()))
            });
        if starts || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_models() {
        for (name, expected) in [
            ("S3BucketName", "s3_bucket_name"),
            ("CRLSign", "crl_sign"),
            ("KeyCertSign", "key_cert_sign"),
            ("Type", "type_"),
            ("message", "message"),
            ("Rfc822Name", "rfc822_name"),
            ("OcspCustomCname", "ocsp_custom_cname"),
        ] {
            assert_eq!(snake(name), expected);
        }
        for (name, expected) in [
            ("ASN1Subject", "Asn1Subject"),
            ("RSA_2048", "Rsa2048"),
            ("EC_prime256v1", "EcPrime256v1"),
            ("SHA256WITHRSA_PSS", "Sha256withrsaPss"),
            ("IssueCertificate", "IssueCertificate"),
            ("FIPS_140_2_LEVEL_3_OR_HIGHER", "Fips1402Level3OrHigher"),
            ("A_A_COMPROMISE", "AACompromise"),
            ("SELF", "Self_"),
        ] {
            assert_eq!(pascal(name), expected);
        }
        assert_eq!(screaming("tagKeyListType"), "TAG_KEY_LIST_TYPE");
    }
}
