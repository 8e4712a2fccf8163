//! Agents that join while the store fails at every commit, fall silent and come back.

use std::sync::Arc;

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;
use keystead_wire::{acm_pca as pca_wire, iam as iam_wire, keystead as wire, rolesanywhere as ra};

use super::*;
use crate::pca::tests::world::{World, years};
use crate::sts::Session;
use crate::{Ctx, iam, rolesanywhere};

/// A private CA with a trust anchor, a role with a profile.
struct Scene {
    world: World,
    role: String,
    profile: String,
    anchor: String,
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}"#;

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let root = pca_wire::CertificateAuthorityType::Root;
        let ca = world.create(root, KeySpec::EcP256).await;
        let certificate = world.own_certificate(&ca, years(10)).await;
        world.install(&ca, &certificate, None).await.unwrap();
        let ctx = world.ctx();
        let role = iam_wire::CreateRoleRequest {
            role_name: "web".into(),
            assume_role_policy_document: TRUST.into(),
            path: None,
            description: None,
            max_session_duration: None,
            permissions_boundary: None,
            tags: None,
        };
        let role = iam::create_role(&ctx, role).await.unwrap().role.arn;
        let anchor = ra::CreateTrustAnchorRequest {
            name: "agents".into(),
            source: ra::Source {
                source_type: Some(ra::TrustAnchorType::AwsAcmPca),
                source_data: Some(ra::SourceData {
                    acm_pca_arn: Some(ca.clone()),
                    ..ra::SourceData::default()
                }),
            },
            enabled: Some(true),
            tags: None,
            notification_settings: None,
            alias_name: None,
            crl_dp_revocation_enabled: None,
        };
        let anchor = rolesanywhere::create_trust_anchor(&ctx, anchor)
            .await
            .unwrap();
        let profile = ra::CreateProfileRequest {
            name: "agents".into(),
            role_arns: vec![role.clone()],
            enabled: Some(true),
            require_instance_properties: None,
            session_policy: None,
            managed_policy_arns: None,
            duration_seconds: None,
            tags: None,
            accept_role_session_name: None,
            alias_name: None,
        };
        let profile = rolesanywhere::create_profile(&ctx, profile).await.unwrap();
        Self {
            world,
            role,
            profile: profile.profile.unwrap().profile_arn.unwrap(),
            anchor: anchor.trust_anchor.trust_anchor_arn.unwrap(),
        }
    }

    async fn token(&self) -> String {
        let input = wire::CreateJoinTokenRequest {
            role_arn: self.role.clone(),
            trust_anchor_arn: Some(self.anchor.clone()),
            profile_arn: Some(self.profile.clone()),
            name: None,
            address: None,
            valid_seconds: None,
            certificate_valid_hours: None,
        };
        let made = create_join_token(&self.world.ctx(), input).await.unwrap();
        made.token.expose().clone()
    }

    async fn join(
        &self,
        token: &str,
        name: &str,
        csr: &[u8],
    ) -> keystead_core::Result<wire::AgentIdentity> {
        let input = wire::JoinAgentRequest {
            token: token.to_owned().into(),
            name: Some(name.into()),
            csr: csr.to_vec().into(),
            software: None,
        };
        Ok(join_agent(&self.world.ctx(), input).await?.identity)
    }

    async fn agents(&self) -> Vec<wire::Agent> {
        let input = wire::ListAgentsRequest {
            max_results: None,
            next_token: None,
        };
        list_agents(&self.world.ctx(), input).await.unwrap().agents
    }

    /// As the agent calls, once it has credentials.
    async fn as_agent(&self, name: &str) -> Ctx {
        let key = self.world.ctx().key(name);
        let found = self
            .world
            .app
            .store
            .get::<record::Agent>(record::AGENTS, &key)
            .await;
        let mut ctx = self.world.ctx();
        ctx.principal.session = Some(Arc::new(Session {
            issued: ctx.now,
            policies: None,
            tags: [(
                "x509SAN/URI".to_owned(),
                found.unwrap().unwrap().value.identity,
            )]
            .into(),
            transitive: vec![],
            source_identity: None,
            web_identity: None,
        }));
        ctx
    }

    fn awaited(&self, seconds: i32) -> wire::AwaitChangesRequest {
        wire::AwaitChangesRequest {
            resources: vec![wire::AwaitedResource {
                arn: "arn:aws:acm:us-east-1:123456789012:certificate/none".into(),
                version: Some("ABSENT".into()),
            }],
            wait_seconds: Some(seconds),
        }
    }
}

#[tokio::test]
async fn who_asks_again_after_any_failure_has_one_certificate() {
    let scene = Scene::new().await;
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1.. {
            let name = format!("agent-{nth}-{failure:?}");
            let token = scene.token().await;
            let (csr, _) = scene.world.csr(KeySpec::EcP256, "any", &[]).await;
            let store = &scene.world.app.store;
            store.fail_commit(nth, failure);
            let first = scene.join(&token, &name, &csr).await;
            let is_through = store.is_to_fail();
            store.fail_commit(0, failure);
            assert!(first.is_ok() || !is_through);
            let second = scene.join(&token, &name, &csr).await.unwrap();
            if let Ok(first) = &first {
                assert_eq!(first.certificate, second.certificate);
            }
            let found = scene.agents().await;
            let found = found.iter().find(|agent| agent.name == name).unwrap();
            assert_eq!(found.certificate_not_after, Some(second.not_after));
            if is_through {
                assert!(nth > 2, "joining takes several commits");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_agent_that_says_nothing_is_lost_until_it_calls() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    let (csr, _) = scene.world.csr(KeySpec::EcP256, "any", &[]).await;
    scene.join(&token, "web", &csr).await.unwrap();
    let ten = SignedDuration::from_mins(10);
    scene.world.pass(ten - SignedDuration::from_secs(1));
    let ctx = scene.as_agent("web").await;
    await_changes(&ctx, scene.awaited(0)).await.unwrap();
    scene.world.pass(SignedDuration::from_mins(9));
    scene.world.run_due().await;
    assert!(
        scene.agents().await[0].in_contact,
        "it called nine minutes ago"
    );
    scene.world.pass(SignedDuration::from_mins(2));
    scene.world.run_due().await;
    assert!(!scene.agents().await[0].in_contact);
    let ctx = scene.as_agent("web").await;
    await_changes(&ctx, scene.awaited(0)).await.unwrap();
    assert!(scene.agents().await[0].in_contact);
    scene.world.pass(ten);
    scene.world.run_due().await;
    assert!(
        !scene.agents().await[0].in_contact,
        "it is looked after again"
    );
}

#[tokio::test]
async fn a_call_that_waits_is_contact() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    let (csr, _) = scene.world.csr(KeySpec::EcP256, "any", &[]).await;
    scene.join(&token, "web", &csr).await.unwrap();
    let ctx = scene.as_agent("web").await;
    let waiting = await_changes(&ctx, scene.awaited(50));
    let passing = async {
        scene.world.pass(SignedDuration::from_hours(1));
        scene.world.run_due().await;
        let seen = scene.agents().await[0].in_contact;
        scene.world.app.changes.close();
        seen
    };
    let (answer, seen) = tokio::join!(waiting, passing);
    assert!(answer.unwrap().changes.is_empty());
    assert!(seen);
}

#[tokio::test]
async fn a_token_is_forgotten_a_week_after_its_end() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    let (csr, _) = scene.world.csr(KeySpec::EcP256, "any", &[]).await;
    scene.world.pass(SignedDuration::from_hours(24));
    scene.world.run_due().await;
    let refusal = scene.join(&token, "web", &csr).await.unwrap_err();
    assert!(refusal.message.contains("could be used until"), "{refusal}");
    scene.world.pass(SignedDuration::from_hours(7 * 24));
    scene.world.run_due().await;
    let refusal = scene.join(&token, "web", &csr).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::AccessDenied);
    assert!(refusal.message.contains("is not valid"), "{refusal}");
}
