//! What a service does or notices by itself: nobody called (CloudTrail user guide, "AWS service events").

use jiff::Timestamp;
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use serde_json::json;

use super::{EVENT_VERSION, seconds, unwritable};
use crate::App;

/// One such event.
pub(crate) struct ServiceEvent<'a> {
    /// The service's signing name.
    pub(crate) service: &'a str,
    /// The event's name.
    pub(crate) name: &'a str,
    /// Whom it concerns.
    pub(crate) account: &'a AccountId,
    /// Where.
    pub(crate) region: &'a Region,
    /// What it is about, by ARN.
    pub(crate) resource: &'a str,
    /// What there is to tell.
    pub(crate) details: serde_json::Value,
    /// The event's id; the same event written again has the same.
    pub(crate) id: &'a str,
    /// When.
    pub(crate) at: Timestamp,
}

impl ServiceEvent<'_> {
    /// Writes it into the journal.
    pub(crate) async fn record(&self, app: &App) -> Result<()> {
        let by = format!("{}.amazonaws.com", self.service);
        let account = self.account.as_str();
        let event = serde_json::to_vec(&json!({
            "eventVersion": EVENT_VERSION,
            "userIdentity": { "accountId": account, "invokedBy": by },
            "eventTime": seconds(self.at),
            "eventSource": by,
            "eventName": self.name,
            "awsRegion": self.region.as_str(),
            "sourceIPAddress": by,
            "userAgent": by,
            "requestParameters": null,
            "responseElements": null,
            "eventID": self.id,
            "readOnly": false,
            "resources": [{ "accountId": account, "ARN": self.resource }],
            "eventType": "AwsServiceEvent",
            "managementEvent": true,
            "recipientAccountId": account,
            "serviceEventDetails": self.details,
            "eventCategory": "Management",
        }));
        let appended = app.journal.append(event.map_err(unwritable)?).await;
        appended.map(drop).map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the audit journal did not take an event: {error}"),
            )
        })
    }
}
