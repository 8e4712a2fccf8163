//! Notices of what nears its end, and of what came to it.

use jiff::SignedDuration;
use keystead_core::x509::KeySpec;
use keystead_wire::acm as wire;
use serde_json::Value;

use super::world::{DAY, World};
use crate::acm;

/// The service events in the journal, in their order.
fn events(world: &World) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(world.journal_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["event"]["eventType"] == "AwsServiceEvent" {
                found.push(line["event"].clone());
            }
        }
    }
    found
}

async fn import(world: &World, days: std::ops::Range<i64>) -> String {
    let (key, pem) = world.own_key(KeySpec::EcP256).await;
    let issuer = ("own.example.com", &key);
    let certificate = world.sign("own.example.com", &key, issuer, days).await;
    let request = wire::ImportCertificateRequest {
        certificate_arn: None,
        certificate: certificate.into_bytes().into(),
        private_key: pem.into_bytes().into(),
        certificate_chain: None,
        tags: None,
    };
    let answer = acm::import_certificate(&world.ctx(), request).await;
    answer.unwrap().certificate_arn.unwrap()
}

async fn put_days(world: &World, days: i32) {
    let input = wire::PutAccountConfigurationRequest {
        expiry_events: Some(wire::ExpiryEventsConfiguration {
            days_before_expiry: Some(days),
        }),
        idempotency_token: format!("t{days}"),
    };
    acm::put_account_configuration(&world.ctx(), input)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_notice_a_day_from_the_first_day_on_until_the_end() {
    let world = World::new().await;
    let soon = import(&world, -1..60).await;
    import(&world, -1..600).await;
    world.run_due().await;
    assert!(events(&world).is_empty(), "60 days are more than 45");
    let mut told = Vec::new();
    for _ in 0..70 {
        world.pass_and_run(DAY).await;
    }
    for event in events(&world) {
        let detail = &event["serviceEventDetails"];
        assert_eq!(event["eventName"], "ACM Certificate Approaching Expiration");
        assert_eq!(event["eventSource"], "acm.amazonaws.com");
        assert_eq!(detail["detail-type"], event["eventName"]);
        assert_eq!(detail["source"], "aws.acm");
        assert_eq!(detail["resources"], serde_json::json!([soon]));
        assert_eq!(detail["id"], event["eventID"]);
        assert_eq!(detail["detail"]["CommonName"], "own.example.com");
        told.push(detail["detail"]["DaysToExpiry"].as_i64().unwrap());
    }
    let expected: Vec<i64> = (0..=45).rev().collect();
    assert_eq!(
        told, expected,
        "none of an imported certificate that is over"
    );
}

#[tokio::test]
async fn the_accounts_configuration_says_when_they_begin() {
    let world = World::new().await;
    import(&world, -1..30).await;
    put_days(&world, 10).await;
    world.run_due().await;
    world.pass_and_run(DAY * 15).await;
    assert!(events(&world).is_empty());
    put_days(&world, 20).await;
    world.pass_and_run(DAY).await;
    assert_eq!(events(&world).len(), 1);
}

#[tokio::test]
async fn more_than_a_page_are_told_of_once_each() {
    let world = World::new().await;
    for _ in 0..130 {
        import(&world, -1..5).await;
    }
    world.run_due().await;
    let mut told: Vec<String> = events(&world)
        .iter()
        .map(|event| event["resources"][0]["ARN"].to_string())
        .collect();
    assert_eq!(told.len(), 130);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 130);
    world.pass_and_run(SignedDuration::from_hours(23)).await;
    assert_eq!(events(&world).len(), 130, "the day is not over");
}

#[tokio::test]
async fn the_end_of_a_private_certificate_is_told_of() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    put_days(&world, 1).await;
    world.pass_and_run(DAY * 396).await;
    let told = events(&world);
    let last = told.last().unwrap();
    assert_eq!(last["eventName"], "ACM Certificate Expired");
    let detail = &last["serviceEventDetails"];
    assert_eq!(detail["resources"], serde_json::json!([arn]));
    assert_eq!(detail["detail"]["CertificateType"], "PRIVATE");
    assert_eq!(detail["detail"]["InUse"], false);
}
