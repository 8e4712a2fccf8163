//! What to place: as it stands in the configuration file, and as it is trusted.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::key_store::KeyStore;
use super::template::Template;
use crate::Failure;
use crate::probe::{FileProbe, Probe};
use crate::reload::{FileReload, Reload};
use crate::users::{gids, uids};

/// `[[place]]` of the configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePlace {
    name: String,
    certificate: Option<String>,
    authority: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    files: Vec<FileWritten>,
    reload: Option<FileReload>,
    #[serde(default)]
    probe: Vec<FileProbe>,
    #[serde(default = "usual_patience")]
    prove_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWritten {
    write: Option<Part>,
    template: Option<PathBuf>,
    password_file: Option<PathBuf>,
    alias: Option<String>,
    to: PathBuf,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<String>,
}

/// What a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    /// The certificate alone.
    Certificate,
    /// What is between it and its root.
    Chain,
    /// Both, the certificate first.
    Fullchain,
    /// Its private key.
    Key,
    /// The key behind both.
    Pem,
    /// All three in PKCS #12, under a password.
    Pkcs12,
    /// What trusts the authority.
    Bundle,
    /// The secret.
    Secret,
}

/// A placement, checked.
pub struct Place {
    pub(super) name: String,
    pub(super) certificate: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) names: Vec<String>,
    pub(super) files: Vec<Written>,
    pub(super) reload: Option<Reload>,
    pub(super) probes: Vec<(String, Probe)>,
    /// How long after a reload every address may take to show the certificate.
    pub(super) patience: Duration,
}

/// A file of it.
pub(super) struct Written {
    pub(super) what: What,
    pub(super) to: PathBuf,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mode: u32,
}

pub(super) enum What {
    Part(Part),
    KeyStore(KeyStore),
    Template(Template),
}

impl Place {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`Failure::Here`], with what is wrong.
    pub fn all(given: Vec<FilePlace>) -> Result<Vec<Self>, Failure> {
        let mut places = Vec::with_capacity(given.len());
        let (mut names, mut paths) = (HashSet::new(), HashSet::new());
        for file in given {
            let name = file.name.clone();
            let wrong = |why: String| Failure::Here(format!("[[place]] {name}: {why}"));
            let place = Self::of(file).map_err(wrong)?;
            if !names.insert(place.name.clone()) {
                return Err(wrong("there are two of that name".into()));
            }
            for written in &place.files {
                if !paths.insert(written.to.clone()) {
                    return Err(wrong(format!("{} is written twice", written.to.display())));
                }
            }
            places.push(place);
        }
        Ok(places)
    }

    fn of(file: FilePlace) -> Result<Self, String> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        let is_name = (1..=LONGEST_NAME).contains(&file.name.len()) && file.name.chars().all(fits);
        if !is_name || file.name.starts_with(['.', '-']) || file.name.starts_with("sds.") {
            return Err(format!(
                "expected a name of 1 to {LONGEST_NAME} letters, digits, '_', '-' and '.', that begins with a letter or digit (and not with 'sds.')"
            ));
        }
        for (arn, service) in [
            (&file.certificate, "acm"),
            (&file.authority, "acm-pca"),
            (&file.secret, "secretsmanager"),
        ] {
            if let Some(arn) = arn {
                check_arn(arn, service)?;
            }
        }
        if !file.names.is_empty() && file.certificate.is_none() {
            return Err("names are those of a certificate, and none is given".into());
        }
        if !file.probe.is_empty() && file.certificate.is_none() {
            return Err("a probe looks for a certificate, and none is given".into());
        }
        if file.files.is_empty() {
            return Err("it has no files".into());
        }
        let failed = |failure: Failure| failure.to_string();
        let probe = |file: FileProbe| {
            let address = file.address.clone();
            Probe::of(file)
                .map(|probe| (address, probe))
                .map_err(failed)
        };
        let mut place = Self {
            files: Vec::with_capacity(file.files.len()),
            reload: file.reload.map(Reload::of).transpose().map_err(failed)?,
            probes: file
                .probe
                .into_iter()
                .map(probe)
                .collect::<Result<_, _>>()?,
            patience: Duration::from_secs(file.prove_seconds.min(LONGEST_PATIENCE)),
            name: file.name,
            certificate: file.certificate,
            authority: file.authority,
            secret: file.secret,
            names: file.names,
        };
        for file in file.files {
            let path = file.to.display().to_string();
            let written = place
                .written(file)
                .map_err(|why| format!("{path}: {why}"))?;
            place.files.push(written);
        }
        Ok(place)
    }

    fn written(&self, file: FileWritten) -> Result<Written, String> {
        let what = match (file.write, file.template, file.password_file) {
            (Some(Part::Pkcs12), None, Some(password_file)) => What::KeyStore(KeyStore {
                password_file,
                alias: file.alias.unwrap_or_else(|| self.name.clone()),
            }),
            (Some(Part::Pkcs12), None, None) => {
                return Err("pkcs12 takes a password_file, and none is given".into());
            }
            (_, _, Some(_)) => return Err("a password_file is for pkcs12 alone".into()),
            _ if file.alias.is_some() => return Err("an alias is for pkcs12 alone".into()),
            (Some(part), None, None) => What::Part(part),
            (None, Some(path), None) => What::Template(Template::read(&path)?),
            _ => return Err("expected 'write' or 'template', one of them".into()),
        };
        let missing = match &what {
            What::Part(Part::Bundle) => self.authority.is_none().then_some("an authority"),
            What::Part(Part::Secret) => self.secret.is_none().then_some("a secret"),
            What::Part(_) | What::KeyStore(_) => {
                self.certificate.is_none().then_some("a certificate")
            }
            What::Template(_) => None,
        };
        if let Some(missing) = missing {
            return Err(format!(
                "that takes the ARN of {missing}, and none is given"
            ));
        }
        let is_plain = |part: &std::ffi::OsStr| part != ".." && part != ".";
        if !file.to.is_absolute() || file.to.file_name().is_none() || !file.to.iter().all(is_plain)
        {
            return Err("expected a path from the root, without '..'".into());
        }
        let is_secret = !matches!(
            what,
            What::Part(Part::Certificate | Part::Chain | Part::Fullchain | Part::Bundle)
        );
        let mode = match &file.mode {
            None if is_secret => 0o600,
            None => 0o644,
            Some(text) => u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| mode & !0o777 == 0 && mode & 0o400 != 0)
                .ok_or_else(|| {
                    format!("mode is '{text}': expected three octal digits, \"0640\" for instance")
                })?,
        };
        if mode & 0o022 != 0 || is_secret && mode & 0o007 != 0 {
            return Err(format!(
                "with mode {mode:04o}, others could {} it",
                if mode & 0o022 != 0 { "change" } else { "read" }
            ));
        }
        let one = |ids: Vec<u32>| ids.first().copied();
        let owner = file.owner.map(|name| uids(&[name]).map(one)).transpose();
        let group = file.group.map(|name| gids(&[name]).map(one)).transpose();
        Ok(Written {
            what,
            to: file.to,
            owner: owner.map_err(|error| error.to_string())?.flatten(),
            group: group.map_err(|error| error.to_string())?.flatten(),
            mode,
        })
    }

    /// The ARNs of all that it is made of.
    pub(super) fn resources(&self) -> BTreeSet<String> {
        let own = [&self.certificate, &self.authority, &self.secret];
        let templates = self.files.iter().filter_map(|file| match &file.what {
            What::Template(template) => Some(template.resources()),
            What::Part(_) | What::KeyStore(_) => None,
        });
        let own = own.into_iter().flatten().cloned();
        own.chain(templates.flatten()).collect()
    }
}

/// Checks that this is the ARN of something of this service.
pub(super) fn check_arn(arn: &str, service: &str) -> Result<(), String> {
    match keystead_core::Arn::parse(arn) {
        Ok(parsed) if parsed.service.as_str() == service => Ok(()),
        _ => Err(format!("'{arn}' is not an ARN of {service}")),
    }
}

/// Reloads were measured to take 4 to 255 ms until new connections see them; a restart takes some seconds.
fn usual_patience() -> u64 {
    10
}

const LONGEST_PATIENCE: u64 = 300;

/// `PlacementName`, 64; what is kept of it is a file of that name.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CERTIFICATE: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1";

    fn refusal(document: serde_json::Value) -> String {
        let outcome = serde_json::from_value(document).map(|file| Place::all(vec![file]));
        match outcome {
            Ok(Ok(_)) => String::new(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn place(file: serde_json::Value) -> serde_json::Value {
        json!({ "name": "shop", "certificate": CERTIFICATE, "files": [file] })
    }

    #[test]
    fn what_would_let_others_in_or_can_not_be_meant_is_refused() {
        let key = |mode: &str| place(json!({ "write": "key", "to": "/x/key", "mode": mode }));
        for (document, told) in [
            (key("0600"), ""),
            (key("0640"), ""),
            (key("0644"), "others could read it"),
            (key("0660"), "others could change it"),
            (key("4600"), "expected three octal digits"),
            (key("0200"), "expected three octal digits"),
            (
                place(json!({ "write": "fullchain", "to": "/x/pem", "mode": "0644" })),
                "",
            ),
            (
                place(json!({ "write": "bundle", "to": "/x/pem" })),
                "takes the ARN of an authority",
            ),
            (
                place(json!({ "write": "key", "to": "x/pem" })),
                "expected a path from the root",
            ),
            (
                place(json!({ "write": "key", "to": "/x/../pem" })),
                "expected a path from the root",
            ),
            (
                place(json!({ "to": "/x/pem" })),
                "expected 'write' or 'template'",
            ),
            (
                place(json!({ "write": "key", "to": "/x", "owner": "no such user" })),
                "no user 'no such user'",
            ),
            (
                place(json!({ "write": "key", "to": "/x", "group": "no such group" })),
                "no group 'no such group'",
            ),
            (
                place(json!({ "write": "pkcs12", "to": "/x", "password_file": "/y" })),
                "",
            ),
            (
                place(json!({ "write": "pkcs12", "to": "/x" })),
                "takes a password_file",
            ),
            (
                place(json!({ "write": "pem", "to": "/x", "password_file": "/y" })),
                "is for pkcs12 alone",
            ),
            (
                place(json!({ "write": "pem", "to": "/x", "alias": "y" })),
                "is for pkcs12 alone",
            ),
            (
                place(json!({ "write": "typo", "to": "/x" })),
                "unknown variant",
            ),
            (json!({ "name": "../x", "files": [] }), "expected a name"),
            (json!({ "name": "sds.x", "files": [] }), "expected a name"),
            (json!({ "name": "x", "files": [] }), "it has no files"),
            (
                json!({ "name": "x", "names": ["a"], "files": [] }),
                "names are those of a certificate",
            ),
            (
                json!({ "name": "x", "certificate": "arn:aws:s3:::x", "files": [] }),
                "is not an ARN of acm",
            ),
        ] {
            let said = refusal(document.clone());
            assert!(
                said.contains(told) && said.is_empty() == told.is_empty(),
                "{document}: {said}"
            );
        }
    }
}
