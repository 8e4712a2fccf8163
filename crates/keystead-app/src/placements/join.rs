//! Joining: a certificate for who shows a token, and a new one for who shows the old.
//!
//! The commit that uses the token up also makes the agent; only then is anything issued. Whoever did not hear the answer
//! asks again with the same token and key, and is answered the same certificate. A certificate is renewed for the key of the
//! one before it alone, not for credentials that were got with it: those end within hours, wherever they got to.

use jiff::{SignedDuration, Timestamp};
use keystead_core::pca::Serial;
use keystead_core::placements::contact;
use keystead_core::placements::join::{Shown, Used};
use keystead_core::x509::GeneralName;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result, hex};
use keystead_crypto::digest;
use keystead_crypto::x509::Csr;
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::keystead as wire;

use super::SERVICE;
use super::agents::{self, AGENT_QUEUE};
use super::alarms::tell;
use super::join_tokens::{Presented, presented};
use super::record::{AGENTS, Agent, Held, TOKENS, TokenRecord};
use crate::pca::internal::{AgentRequest, issue_for_agent};
use crate::retry::retrying;
use crate::weak_keys::refuse_weak;
use crate::{App, Ctx, ids, rolesanywhere};

/// `keystead:JoinAgent`: nobody signs this call; the token proves that the caller may, and the request that it has the key.
pub(crate) async fn join_agent(
    ctx: &Ctx,
    input: wire::JoinAgentRequest,
) -> Result<wire::JoinAgentResponse> {
    let app = &ctx.app;
    // Strangers are refused before anything is computed for them.
    presented(app, input.token.expose()).await?;
    let csr = verified(app, &input.csr).await?;
    let key = digest::sha256(&csr.spki_der);
    let (csr, input) = (&*csr, &input);
    let joined = retrying(CONFLICT_TRIES, || async move {
        let presented = presented(app, input.token.expose()).await?;
        let shown = Shown {
            name: input.name.as_deref(),
            from: ctx.source_ip,
            key: &key,
        };
        let admitted = presented.found.value.token.admit(shown, ctx.now);
        let (name, again) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                tell_refusal(ctx, &presented, &refusal).await?;
                return Err(refusal);
            }
        };
        let agent = match again {
            true => existing(app, &presented, &name).await?,
            false => admit(ctx, &presented, name, &key, input.software.clone()).await?,
        };
        Ok((presented, agent))
    });
    let (
        Presented {
            account, region, ..
        },
        agent,
    ) = joined.await?;
    // One answer is lost: the next is the same, so the end is that of the first.
    let since = agent.value.joined_at;
    let once = [agent.value.identity.as_bytes(), &key].concat();
    let agent = certify(app, (&account, &region), agent, csr, since, &once).await?;
    Ok(wire::JoinAgentResponse {
        identity: agent.shown(&region)?,
    })
}

/// `keystead:RenewAgentCertificate`: signed with the key of the certificate that the agent has.
pub(crate) async fn renew_agent_certificate(
    ctx: &Ctx,
    input: wire::RenewAgentCertificateRequest,
) -> Result<wire::RenewAgentCertificateResponse> {
    let (account, region, name) = named(&input.agent_arn)?;
    if region != ctx.region {
        return Err(Error::new(
            ErrorKind::Validation,
            format!("The agent is of the region {region}: expected a signature for that one."),
        ));
    }
    let app = &ctx.app;
    let key = format!("{account}/{region}/{name}");
    let found: Option<Stored<Agent>> = app.store.get(AGENTS, &key).await?;
    // To who proves nothing, an agent that is not there is one that it is not.
    let stranger = || {
        Error::new(
            ErrorKind::AccessDenied,
            format!(
                "The certificate is not that of the agent {}: it was removed, or joined again since. Join with a new token.",
                input.agent_arn
            ),
        )
    };
    let mut agent = found.ok_or_else(stranger)?;
    let login = &agent.value.login;
    let certificate = rolesanywhere::holder(ctx, &account, &login.trust_anchor_arn).await?;
    let identity = GeneralName::Uri(agent.value.identity.clone());
    let proves = |name: &GeneralName| *name == identity;
    let serial = Serial::parse(&hex(&certificate.serial));
    let serial = serial.map(|serial| serial.colons()).unwrap_or_default();
    let held = [&agent.value.certificate, &agent.value.before];
    let known = held.into_iter().flatten().any(|held| held.serial == serial);
    if !known || !certificate.alt_names().iter().any(proves) {
        return Err(stranger());
    }
    let csr = verified(app, &input.csr).await?;
    if input.software.is_some() {
        agent.value.software.clone_from(&input.software);
    }
    let spki = digest::sha256(&csr.spki_der);
    let once = [agent.value.identity.as_bytes(), &spki, serial.as_bytes()].concat();
    let agent = certify(app, (&account, &region), agent, &csr, ctx.now, &once).await?;
    Ok(wire::RenewAgentCertificateResponse {
        identity: agent.shown(&region)?,
    })
}

/// Uses the token up and makes the agent, in one commit.
async fn admit(
    ctx: &Ctx,
    presented: &Presented,
    name: String,
    key: &[u8; 32],
    software: Option<String>,
) -> Result<Stored<Agent>> {
    let Presented {
        account,
        region,
        found,
    } = presented;
    let app = &ctx.app;
    let at = format!("{account}/{region}/{name}");
    let before: Option<Stored<Agent>> = app.store.get(AGENTS, &at).await?;
    // A token that names the agent was made for it; by another, nobody takes over what others call an agent.
    if before.is_some() && found.value.token.name.is_none() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "There is an agent {name} already: join under another name, or make a token for it with 'keystead agent token --name {name}'."
            ),
        ));
    }
    let agent = Agent {
        software,
        placements: before.as_ref().map_or(0, |before| before.value.placements),
        ..fresh(ctx, presented, &name)?
    };
    let mut token: TokenRecord = found.value.clone();
    token.token.used = Some(Used {
        at: ctx.now,
        name,
        key: key.to_vec(),
    });
    let expect = match &before {
        Some(before) => Expect::Version(before.version),
        None => Expect::Absent,
    };
    let mut batch = Batch::new();
    batch.put(
        TOKENS,
        found.key.as_str(),
        &token,
        Expect::Version(found.version),
    );
    batch.put(AGENTS, at.as_str(), &agent, expect);
    batch.enqueue(AGENT_QUEUE, at.as_str(), contact::lost_from(ctx.now), &());
    let version = app.store.commit(batch).await?;
    if let Some(before) = before {
        agents::take_back(app, account, region, &before.value).await?;
    }
    let joined = json_of(ctx, &agent);
    tell(app, (account, region), "AgentJoined", &agent.arn, joined).await?;
    Ok(Stored {
        key: at,
        version,
        value: agent,
    })
}

/// An agent of this name as it joins.
fn fresh(ctx: &Ctx, presented: &Presented, name: &str) -> Result<Agent> {
    let Presented {
        account,
        region,
        found,
    } = presented;
    let arn = Arn::new(SERVICE, region, account, format!("agent/{name}")).to_string();
    Ok(Agent {
        identity: format!("{arn}/{}", ids::uuid()?),
        arn,
        name: name.to_owned(),
        login: found.value.login.clone(),
        certificate: None,
        before: None,
        token: found.value.id.clone(),
        address: ctx.source_ip.map(|address| address.to_string()),
        software: None,
        joined_at: ctx.now,
        seen: ctx.now,
        lost: false,
        placements: 0,
    })
}

/// The agent that a token made before.
async fn existing(app: &App, presented: &Presented, name: &str) -> Result<Stored<Agent>> {
    let Presented {
        account,
        region,
        found,
    } = presented;
    let at = format!("{account}/{region}/{name}");
    let agent: Option<Stored<Agent>> = app.store.get(AGENTS, &at).await?;
    let agent = agent.filter(|agent| agent.value.token == found.value.id);
    agent.ok_or_else(|| {
        Error::new(
            ErrorKind::AccessDenied,
            format!("The agent {name} that joined with this token is not there any more: make another token."),
        )
    })
}

/// Issues the agent's certificate for the key of this request, and notes it.
async fn certify(
    app: &App,
    (account, region): (&AccountId, &Region),
    agent: Stored<Agent>,
    csr: &Csr,
    since: Timestamp,
    once: &[u8],
) -> Result<Certified> {
    refuse_weak(app, &csr.spki_der).map_err(|why| refused_csr(&why))?;
    let Stored {
        key, value: agent, ..
    } = agent;
    let lifetime = SignedDuration::from_hours(agent.login.hours.into());
    let not_after = since.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    let request = AgentRequest {
        name: &agent.name,
        identity: &agent.identity,
        spki_der: &csr.spki_der,
        not_after,
        once,
    };
    let ca = &agent.login.authority_arn;
    let issued = issue_for_agent(app, account, region, ca, &request).await?;
    let held = Held {
        serial: issued.serial,
        not_after: Timestamp::from_second(issued.not_after).unwrap_or(not_after),
    };
    let (key, agent, held) = (&key, &agent, &held);
    retrying(CONFLICT_TRIES, || async move {
        let found: Option<Stored<Agent>> = app.store.get(AGENTS, key).await?;
        let mut found = found
            .filter(|found| found.value.identity == agent.identity)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Conflict,
                    format!("The agent {} was removed at the same moment.", agent.arn),
                )
            })?;
        if found.value.certificate.as_ref() != Some(held) {
            found.value.before = found.value.certificate.replace(held.clone());
        }
        found.value.software.clone_from(&agent.software);
        let mut batch = Batch::new();
        let expect = Expect::Version(found.version);
        batch.put(AGENTS, key.as_str(), &found.value, expect);
        app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(Certified {
        agent: agent.clone(),
        pem: issued.pem,
        not_after: held.not_after,
    })
}

/// An agent with a certificate that was just issued.
struct Certified {
    agent: Agent,
    pem: String,
    not_after: Timestamp,
}

impl Certified {
    fn shown(self, region: &Region) -> Result<wire::AgentIdentity> {
        let Agent { arn, login, .. } = self.agent;
        Ok(wire::AgentIdentity {
            agent_arn: arn,
            certificate: self.pem,
            not_after: self.not_after,
            region: region.to_string(),
            trust_anchor_arn: login.trust_anchor_arn,
            profile_arn: login.profile_arn,
            role_arn: login.role_arn,
        })
    }
}

/// The account, region and name in the ARN of an agent.
pub(super) fn named(arn: &str) -> Result<(AccountId, Region, String)> {
    let parsed = Arn::parse(arn)?;
    let name = parsed.resource.strip_prefix("agent/");
    let name =
        name.filter(|name| parsed.service == SERVICE && !name.contains('/') && !name.is_empty());
    let name = name.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArn,
            format!(
                "The ARN '{arn}' is not valid: expected arn:aws:keystead:region:account:agent/name."
            ),
        )
    })?;
    let account = AccountId::parse(&parsed.account)?;
    Ok((account, Region::parse(&parsed.region)?, name.to_owned()))
}

async fn verified(app: &App, csr: &[u8]) -> Result<std::sync::Arc<Csr>> {
    let verified = app.keys.verified_csr(csr).await;
    verified.map_err(|error| refused_csr(&error.to_string()))
}

fn refused_csr(why: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("The certificate signing request is not acceptable: {why}."),
    )
}

fn json_of(ctx: &Ctx, agent: &Agent) -> serde_json::Value {
    serde_json::json!({
        "joinTokenId": agent.token,
        "roleArn": agent.login.role_arn,
        "sourceIPAddress": ctx.source_ip,
        "identity": agent.identity,
    })
}

/// Whoever shows a true token and is refused has got hold of it: that is worth to be known.
async fn tell_refusal(ctx: &Ctx, presented: &Presented, refusal: &Error) -> Result<()> {
    let Presented {
        account,
        region,
        found,
    } = presented;
    let resource = format!("join-token/{}", found.value.id);
    let arn = Arn::new(SERVICE, region, account, resource).to_string();
    let details = serde_json::json!({
        "cause": refusal.message,
        "sourceIPAddress": ctx.source_ip,
    });
    tell(
        &ctx.app,
        (account, region),
        "JoinTokenRefused",
        &arn,
        details,
    )
    .await
}

/// How often it is tried again because somebody else changed the same records meanwhile.
pub(super) const CONFLICT_TRIES: usize = 8;
