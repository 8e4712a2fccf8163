//! Telling the server what became of every placement: what changed, as it changes, and everything after having been away.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keystead_wire::keystead::SERVICE;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::Failure;
use crate::identity::{Identity, SOFTWARE};
use crate::link::CALL;
use crate::push::pause;

/// A placement, as the server is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its name.
    pub name: String,
    /// How far it has come.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When what is wanted became so.
    pub wanted_at: Timestamp,
    /// What it is made of.
    pub resources: Vec<Resource>,
    /// Where it was looked for.
    pub addresses: Vec<Address>,
    /// First and last second of what is in use, where that is a certificate.
    pub validity: Option<(Timestamp, Timestamp)>,
    /// Why it is not further.
    pub reason: Option<String>,
}

/// How far a placement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On its way.
    Pending,
    /// On the disk; nothing asks whether it is served.
    Placed,
    /// Seen at every address.
    Proven,
    /// Not accepted somewhere; the last good one is in its place.
    Failed,
}

/// What a placement is made of, in versions as the agent names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its ARN.
    pub arn: String,
    /// What should be in place.
    pub wanted: Option<String>,
    /// What lies on the disk.
    pub placed: Option<String>,
    /// What was last seen to be served.
    pub proven: Option<String>,
}

/// What one address showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host and port.
    pub address: String,
    /// Whether it serves what is wanted.
    pub proven: bool,
    /// What it serves.
    pub served: Option<String>,
    /// Why it does not.
    pub reason: Option<String>,
}

/// Every placement of this agent, as it is now.
#[derive(Default)]
pub struct Board(watch::Sender<BTreeMap<String, Placement>>);

impl Board {
    /// Puts a placement in the place of the one of the same name.
    pub fn put(&self, placement: Placement) {
        self.0.send_if_modified(|all| {
            let news = all.get(&placement.name) != Some(&placement);
            if news {
                all.insert(placement.name.clone(), placement);
            }
            news
        });
    }
}

/// Reports what is on the board, whenever it changes, for ever.
pub async fn follow(identity: Arc<Identity>, board: Arc<Board>) {
    let mut placements = board.0.subscribe();
    let mut told: HashMap<String, Placement> = HashMap::new();
    let mut names: Option<Vec<String>> = None;
    let mut failures = 0;
    loop {
        let now: Vec<Placement> = placements.borrow_and_update().values().cloned().collect();
        match report(&identity, &now, &told, names.as_deref()).await {
            Ok(()) => {
                failures = 0;
                let pairs = now.iter().map(|one| (one.name.clone(), one.clone()));
                told = pairs.collect();
                names = Some(now.iter().map(|one| one.name.clone()).collect());
                if placements.changed().await.is_err() {
                    return;
                }
                // What belongs together changes within moments.
                tokio::time::sleep(SETTLE).await;
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "the server could not be told of the placements; it will be");
                }
                tokio::time::sleep(pause(failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Tells of what differs from what was told.
async fn report(
    identity: &Identity,
    now: &[Placement],
    told: &HashMap<String, Placement>,
    names: Option<&[String]>,
) -> Result<(), Failure> {
    let changed = now.iter().filter(|one| told.get(&one.name) != Some(one));
    let changed: Vec<Value> = changed.map(document).collect();
    for part in changed.chunks(AT_ONCE) {
        call(identity, json!({ "Placements": part })).await?;
    }
    let all: Vec<&str> = now.iter().map(|one| one.name.as_str()).collect();
    if names.is_none_or(|names| names != all) {
        let all = json!({ "Placements": [], "AllNames": all, "Software": SOFTWARE });
        call(identity, all).await?;
    }
    Ok(())
}

async fn call(identity: &Identity, input: Value) -> Result<(), Failure> {
    let answer = identity
        .call(&SERVICE, "ReportPlacements", &input, CALL)
        .await;
    answer.map(drop)
}

/// A placement as the API takes it; texts are cut to what it takes.
fn document(placement: &Placement) -> Value {
    let mut object = Map::new();
    object.insert("Name".into(), placement.name.as_str().into());
    let state = match placement.state {
        State::Pending => "PENDING",
        State::Placed => "PLACED",
        State::Proven => "PROVEN",
        State::Failed => "FAILED",
    };
    object.insert("State".into(), state.into());
    object.insert("Since".into(), seconds(placement.since));
    object.insert("WantedAt".into(), seconds(placement.wanted_at));
    if let Some((from, until)) = placement.validity {
        object.insert("NotBefore".into(), seconds(from));
        object.insert("NotAfter".into(), seconds(until));
    }
    put(&mut object, "Reason", placement.reason.as_deref(), LONG);
    let resources = placement.resources.iter().take(MOST_PARTS).map(|one| {
        let mut object = Map::new();
        object.insert("Arn".into(), one.arn.as_str().into());
        put(&mut object, "Wanted", one.wanted.as_deref(), SHORT);
        put(&mut object, "Placed", one.placed.as_deref(), SHORT);
        put(&mut object, "Proven", one.proven.as_deref(), SHORT);
        Value::Object(object)
    });
    object.insert("Resources".into(), resources.collect());
    let addresses = placement.addresses.iter().take(MOST_PARTS).map(|one| {
        let mut object = Map::new();
        put(&mut object, "Address", Some(&one.address), SHORT);
        object.insert("Proven".into(), one.proven.into());
        put(&mut object, "Served", one.served.as_deref(), SHORT);
        put(&mut object, "Reason", one.reason.as_deref(), LONG);
        Value::Object(object)
    });
    object.insert("Addresses".into(), addresses.collect());
    Value::Object(object)
}

/// Puts a text, cut to so many characters, if there is any.
fn put(object: &mut Map<String, Value>, name: &str, text: Option<&str>, most: usize) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        let cut: String = text.chars().take(most).collect();
        object.insert(name.into(), cut.into());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 have 41 bits"
)]
fn seconds(at: Timestamp) -> Value {
    (at.as_millisecond() as f64 / 1000.0).into()
}

/// Model of the service: `ReportedPlacementList`, 100.
const AT_ONCE: usize = 100;

/// `PlacedResourceList` and `PlacementAddressList`, 32.
const MOST_PARTS: usize = 32;

/// `ResourceVersion` and `ShortText`, 256.
const SHORT: usize = 256;

/// `PlacementReason`, 2048.
const LONG: usize = 2048;

/// Less than anybody notices.
const SETTLE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_is_told_as_the_api_takes_it() {
        let at = |second| Timestamp::from_millisecond(second).unwrap();
        let told = document(&Placement {
            name: "shop".into(),
            state: State::Failed,
            since: at(1_500),
            wanted_at: at(1_000),
            resources: vec![Resource {
                arn: "arn".into(),
                wanted: Some("02".into()),
                placed: Some("01".into()),
                proven: None,
            }],
            addresses: vec![Address {
                address: "127.0.0.1:443".into(),
                proven: false,
                served: Some("01".into()),
                reason: Some(String::new()),
            }],
            validity: Some((at(0), at(9_000))),
            reason: Some("x".repeat(LONG + 1)),
        });
        let expected = json!({
            "Name": "shop",
            "State": "FAILED",
            "Since": 1.5,
            "WantedAt": 1.0,
            "NotBefore": 0.0,
            "NotAfter": 9.0,
            "Reason": "x".repeat(LONG),
            "Resources": [{ "Arn": "arn", "Wanted": "02", "Placed": "01" }],
            "Addresses": [{ "Address": "127.0.0.1:443", "Proven": false, "Served": "01" }],
        });
        assert_eq!(told, expected);
    }
}
