//! What only several accounts, or nobody's clients, can show.

use keystead_core::AccountId;
use keystead_wire::iam as iam_wire;
use keystead_wire::shape::{FromValue as _, IntoValue as _, Operation};
use keystead_wire::{ErrorAnswer, sts as wire};
use serde_json::json;

use super::message::encode_authorization_message;
use crate::credentials::{Found, Presented};
use crate::pca::tests::world::World;
use crate::{Ctx, Principal, PrincipalKind, dispatch};

const OTHER: &str = "210987654321";

async fn call<O: Operation>(ctx: &Ctx, input: O::Input) -> Result<O::Output, ErrorAnswer> {
    let answer = dispatch::call(ctx.clone(), O::DEF, input.into_value()).await?;
    Ok(O::Output::from_value(answer).unwrap())
}

/// The root user of another account of the installation.
fn elsewhere(world: &World) -> Ctx {
    let account = AccountId::parse(OTHER).unwrap();
    let ctx = world.ctx();
    Ctx {
        principal: Principal {
            arn: format!("arn:aws:iam::{account}:root"),
            user_id: account.to_string(),
            account,
            ..ctx.principal.clone()
        },
        ..ctx
    }
}

/// A role of the other account that trusts this principal.
async fn role_of_other(world: &World, name: &str, trusted: &str) -> String {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"},
    });
    let input = iam_wire::CreateRoleRequest {
        path: None,
        role_name: name.into(),
        assume_role_policy_document: trust.to_string(),
        description: None,
        max_session_duration: None,
        permissions_boundary: None,
        tags: None,
    };
    let made = call::<iam_wire::CreateRole>(&elsewhere(world), input).await;
    made.unwrap().role.arn
}

async fn assume(ctx: &Ctx, arn: &str) -> Result<wire::Credentials, ErrorAnswer> {
    let input = wire::AssumeRoleRequest {
        role_arn: arn.into(),
        role_session_name: "visit".into(),
        policy_arns: None,
        policy: None,
        duration_seconds: None,
        tags: None,
        transitive_tag_keys: None,
        external_id: None,
        serial_number: None,
        token_code: None,
        source_identity: None,
        provided_contexts: None,
        minimum_session_token_size: None,
    };
    let answer = call::<wire::AssumeRole>(ctx, input).await?;
    Ok(answer.credentials.unwrap())
}

async fn found(ctx: &Ctx, credentials: &wire::Credentials) -> Found {
    let presented = Presented {
        access_key_id: &credentials.access_key_id,
        session_token: Some(&credentials.session_token),
        service: "acm",
        now: ctx.now,
    };
    ctx.app.credential(&presented).await.unwrap()
}

#[tokio::test]
async fn a_role_of_another_account_that_trusts_this_one() {
    let world = World::new().await;
    let ctx = world.ctx();
    let arn = role_of_other(&world, "Open", "arn:aws:iam::123456789012:root").await;
    let credentials = assume(&ctx, &arn).await.unwrap();
    let Found::Known(credential) = found(&ctx, &credentials).await else {
        panic!("the session is not known");
    };
    let principal = credential.principal;
    assert_eq!(principal.account.as_str(), OTHER);
    let session = format!("arn:aws:sts::{OTHER}:assumed-role/Open/visit");
    assert_eq!(principal.arn, session);
    let kind = PrincipalKind::Role {
        name: "Open".into(),
        arn,
    };
    assert_eq!(principal.kind, kind);
    assert_eq!(
        credential.secret.expose(),
        credentials.secret_access_key.expose()
    );
}

#[tokio::test]
async fn a_role_of_another_account_that_trusts_somebody_else() {
    let world = World::new().await;
    let arn = role_of_other(&world, "Shut", "arn:aws:iam::111122223333:root").await;
    let refused = assume(&world.ctx(), &arn).await.unwrap_err();
    assert_eq!((refused.code, refused.status), ("AccessDenied", 403));
}

#[tokio::test]
async fn a_session_is_over_at_its_second_whether_or_not_it_was_used() {
    let world = World::new().await;
    let arn = role_of_other(&world, "Brief", "arn:aws:iam::123456789012:root").await;
    let used = assume(&world.ctx(), &arn).await.unwrap();
    let unused = assume(&world.ctx(), &arn).await.unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    world.pass(hour - jiff::SignedDuration::from_secs(1));
    assert!(matches!(found(&world.ctx(), &used).await, Found::Known(_)));
    world.pass(jiff::SignedDuration::from_secs(1));
    for credentials in [used, unused] {
        assert!(matches!(
            found(&world.ctx(), &credentials).await,
            Found::Expired
        ));
    }
}

#[tokio::test]
async fn a_message_is_for_the_administrators_of_its_account() {
    let world = World::new().await;
    let ctx = world.ctx();
    let told = json!({"allowed": false, "explicitDeny": true});
    let encode = |what| encode_authorization_message(&ctx.app, ctx.account(), what).unwrap();
    let message = encode(&told).unwrap();
    let input = wire::DecodeAuthorizationMessageRequest {
        encoded_message: message.clone(),
    };
    let decode = |ctx: Ctx| {
        let input = input.clone();
        async move { call::<wire::DecodeAuthorizationMessage>(&ctx, input).await }
    };
    let decoded = decode(ctx.clone()).await.unwrap().decoded_message.unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&decoded).unwrap(),
        told
    );
    let refused = decode(elsewhere(&world)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidAuthorizationMessageException");
    // What could not be brought back is not sent.
    let random: Vec<u64> = (0..4000_u64)
        .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .collect();
    assert_eq!(encode(&json!(random)), None);
}
