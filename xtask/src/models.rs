//! `cargo xtask models`: fetches the newest botocore with pip and keeps, of the services that
//! `models/served.toml` names, what is a fact about the protocol: operations, shapes, constraints.
//! Documentation, examples and endpoint rules stay behind.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::r#gen::served::Served;
use crate::{Outcome, shell};

/// Keys that are prose, or that serve endpoint rules which Keystead has no use for.
const DROPPED: [&str; 6] = [
    "documentation",
    "deprecatedMessage",
    "deprecatedSince",
    "clientContextParams",
    "staticContextParams",
    "endpointdiscovery",
];

/// Refreshes `models/*.json` from the newest botocore, or from an unpacked one.
pub(crate) fn run(botocore: Option<&Path>) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let (data, version) = match botocore {
        Some(dir) => (dir.join("data"), version_of(dir)?),
        None => download(scratch.path())?,
    };
    for service in Served::load()?.service.iter().filter(|s| !s.ours) {
        let mut model = read_model(&data.join(&service.model))?;
        strip(&mut model);
        let path = directory().join(format!("{}.json", service.model));
        fs::write(&path, serde_json::to_string_pretty(&model)? + "\n")?;
        println!("{}: from botocore {version}", service.model);
    }
    fs::write(directory().join("botocore-version"), version + "\n")?;
    println!("now run `cargo xtask gen`");
    Ok(())
}

/// Where the models are kept.
pub(crate) fn directory() -> PathBuf {
    shell::root().join("models")
}

/// Downloads and unpacks the newest botocore; answers its data folder and its version.
fn download(to: &Path) -> Outcome<(PathBuf, String)> {
    shell::run(
        shell::command("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(to)
            .arg("botocore"),
    )?;
    let wheel = fs::read_dir(to)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or("pip answered without leaving a wheel of botocore")?;
    shell::run(
        shell::command("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(to),
    )?;
    let unpacked = to.join("botocore");
    Ok((unpacked.join("data"), version_of(&unpacked)?))
}

/// The version that an unpacked botocore gives itself; "unknown" where only its data is there.
fn version_of(botocore: &Path) -> Outcome<String> {
    let init = botocore.join("__init__.py");
    if !init.is_file() {
        return Ok("unknown".to_owned());
    }
    let version = fs::read_to_string(&init)?
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = "))
        .map(|quoted| quoted.trim_matches(['\'', '"']).to_owned());
    Ok(version.ok_or("botocore's __init__.py names no version")?)
}

/// Reads the newest API version of a service.
fn read_model(service: &Path) -> Outcome<Value> {
    let mut versions: Vec<_> = fs::read_dir(service)
        .map_err(|e| format!("{}: {e}", service.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    let newest = versions.last().ok_or("the service has no API version")?;
    let plain = newest.join("service-2.json");
    if plain.is_file() {
        return Ok(serde_json::from_str(&fs::read_to_string(plain)?)?);
    }
    let mut text = String::new();
    GzDecoder::new(File::open(newest.join("service-2.json.gz"))?).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// Removes the dropped keys everywhere but among the names of members, shapes and operations.
fn strip(value: &mut Value) {
    let Value::Object(object) = value else {
        if let Value::Array(items) = value {
            items.iter_mut().for_each(strip);
        }
        return;
    };
    for key in DROPPED {
        object.remove(key);
    }
    for (key, inner) in object.iter_mut() {
        match inner {
            Value::Object(named) if matches!(&**key, "members" | "shapes" | "operations") => {
                named.values_mut().for_each(strip);
            }
            _ => strip(inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prose_goes_and_a_member_of_the_same_name_stays() {
        let mut model = json!({
            "documentation": "prose",
            "shapes": {"documentation": {"type": "structure", "documentation": "prose", "members": {
                "documentation": {"shape": "String", "documentation": "prose"},
            }}},
        });
        strip(&mut model);
        let expected = json!({
            "shapes": {"documentation": {"type": "structure", "members": {
                "documentation": {"shape": "String"},
            }}},
        });
        assert_eq!(model, expected);
    }
}
