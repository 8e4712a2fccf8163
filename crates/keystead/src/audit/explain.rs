//! `keystead audit explain`: why a call was refused, and what would have let it through.

use std::path::Path;
use std::process::ExitCode;

use keystead_store::journal::{self, Filter};
use serde_json::Value;

use crate::Failure;

/// Finds the event and tells what decided it.
pub(super) fn run(dir: &Path, which: Option<&str>, json: bool) -> Result<ExitCode, Failure> {
    let event = find(dir, which)?;
    let decision = event.get("additionalEventData").unwrap_or(&Value::Null);
    if json {
        println!("{decision}");
        return Ok(ExitCode::SUCCESS);
    }
    let text = |path: &str| event.pointer(path).and_then(Value::as_str);
    let shown = |path: &str| text(path).unwrap_or("-");
    println!("event     {}", shown("/eventID"));
    println!("when      {}", shown("/eventTime"));
    println!("who       {}", shown("/userIdentity/arn"));
    let Some(reason) = text("/additionalEventData/reason") else {
        println!("call      {}", shown("/eventName"));
        println!("ended     {}", text("/errorCode").unwrap_or("ok"));
        println!("No policy refused this call.");
        return Ok(ExitCode::SUCCESS);
    };
    println!("asked     {}", shown("/additionalEventData/action"));
    println!("on        {}", shown("/additionalEventData/resource"));
    println!("refused   {reason}");
    if let Some(statement) = text("/additionalEventData/decidedBy") {
        println!("by        {statement}");
    }
    let remedies = decision.get("wouldAllow").and_then(Value::as_array);
    for (number, remedy) in remedies.into_iter().flatten().enumerate() {
        let title = if number == 0 { "to allow" } else { "or" };
        println!("{title:<10}{}", remedy.as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// The event with this id, or of the request with this id; without one, the last call that was refused.
fn find(dir: &Path, which: Option<&str>) -> Result<Value, Failure> {
    let mut last = None;
    for entry in journal::show(dir, Filter::default()).map_err(super::failed)? {
        let entry = entry.map_err(super::failed)?;
        let Ok(event) = serde_json::from_str::<Value>(&entry.event) else {
            continue;
        };
        let is = |name: &str| event.get(name).and_then(Value::as_str) == which;
        match which {
            Some(_) if is("eventID") || is("requestID") => return Ok(event),
            None if event.pointer("/additionalEventData/reason").is_some() => last = Some(event),
            _ => {}
        }
    }
    last.ok_or_else(|| {
        Failure(match which {
            Some(id) => format!(
                "no event or request {id} is in the journal; 'keystead audit show --json' lists their ids"
            ),
            None => "no call was refused by a policy yet".to_owned(),
        })
    })
}
