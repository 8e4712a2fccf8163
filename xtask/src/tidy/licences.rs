//! The licences of everything that is compiled in, from cargo's own metadata.
//!
//! `deny.toml` says the same to cargo-deny, for those who have it; this check needs nothing installed.

use cargo_metadata::Metadata;

use super::Breach;

/// Licences that a program under Apache-2.0 can be shipped with: permissive, or weak copyleft by file.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Every package whose licence is not allowed, or that states none.
pub(crate) fn check(metadata: &Metadata) -> Vec<Breach> {
    let refused = metadata.packages.iter().filter_map(|package| {
        let licence = package.license.as_deref().unwrap_or("none stated");
        (!is_allowed(licence)).then(|| {
            let (name, version) = (&package.name, &package.version);
            let advice = format!(
                "{name} {version} is under '{licence}', which is not in the list of xtask/src/tidy/licences.rs: choose another library"
            );
            Breach::new("Cargo.lock", 0, "licence", advice)
        })
    });
    refused.collect()
}

/// Whether an SPDX expression (`OR` binds weaker than `AND`; `/` is the old way to write `OR`) can be
/// satisfied with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    alternatives(&mut rest) && rest.is_empty()
}

fn alternatives(words: &mut &[&str]) -> bool {
    let mut allowed = conjunction(words);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        allowed |= conjunction(words);
    }
    allowed
}

fn conjunction(words: &mut &[&str]) -> bool {
    let mut allowed = licence(words);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        allowed &= licence(words);
    }
    allowed
}

fn licence(words: &mut &[&str]) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = alternatives(words);
            if let [")", rest @ ..] = words {
                *words = rest;
            }
            allowed
        }
        // An exception only ever adds permissions.
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            let allowed = ALLOWED.contains(name);
            *words = rest;
            allowed
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        for fine in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR GPL-3.0-only) AND Unicode-3.0",
            "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
        ] {
            assert!(is_allowed(fine), "{fine}");
        }
        for refused in [
            "",
            "GPL-3.0-only",
            "MIT AND AGPL-3.0-only",
            "none stated",
            "(MIT AND GPL-2.0-only) OR LGPL-3.0-only",
        ] {
            assert!(!is_allowed(refused), "{refused}");
        }
    }
}
