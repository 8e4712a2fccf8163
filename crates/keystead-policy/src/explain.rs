//! A decision with everything that led to it: for the policy simulator, and for whoever reads a refusal.

use std::collections::HashSet;

use crate::decide::{Asked, Policies, Request, Spot, decide, layers, spots};
use crate::malformed::Position;
use crate::policy::Effect;
use crate::reason::{Decision, Match, Outcome, PolicyType};

/// A decision and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The same as [`decide`] answers.
    pub decision: Decision,
    /// The statements that determine the outcome: those that allow if it is allowed, those that deny if one does,
    /// none otherwise (`MatchedStatements` of the simulator).
    pub matched: Vec<Matched>,
    /// The statements that would allow, but for a condition; empty unless no statement allows.
    pub near_misses: Vec<NearMiss>,
    /// The keys that the policies look at and the request does not have (`MissingContextValues`).
    pub missing_keys: Vec<String>,
    /// Whether the permissions boundary allows, if there is one (`AllowedByPermissionsBoundary`).
    pub boundary_allows: Option<bool>,
}

/// A statement that determines an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Which it is.
    pub statement: Match,
    /// What it does.
    pub effect: Effect,
    /// Where it begins, as IAM counts: where the statement before it ended, or inside the brace if it is not in a list.
    pub start: Position,
    /// Just after its closing brace.
    pub end: Position,
}

/// A statement that names the action, the resource and the caller, and whose conditions do not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Which it is.
    pub statement: Match,
    /// The conditions that do not hold: operator and key, `StringEquals aws:PrincipalTag/team`.
    pub conditions: Vec<String>,
}

impl Explanation {
    /// What would have allowed the request, one suggestion a line; empty if it was allowed.
    pub fn remedies(&self) -> Vec<String> {
        let Decision::Deny(reason) = &self.decision else {
            return Vec::new();
        };
        let near = self.near_misses.iter().map(|near| {
            let conditions = near.conditions.join(" and ");
            format!("{} would allow it if {conditions} held", near.statement)
        });
        std::iter::once(reason.remedy()).chain(near).collect()
    }
}

/// Decides a request and collects what led to the decision. Costs a few times as much as [`decide`].
pub fn explain(request: &Request<'_>, policies: &Policies<'_>) -> Explanation {
    let decision = decide(request, policies);
    let action = request.action.to_ascii_lowercase();
    let asked = Asked::new(request, &action, policies.boundary.is_some());
    let all: Vec<Spot<'_>> = layers(policies)
        .into_iter()
        .flat_map(|(kind, sources)| spots(&asked, kind, sources.unwrap_or_default()))
        .collect();
    let applies = |spot: &&Spot<'_>| spot.statement.applies(&asked).is_some();
    let outcome = decision.outcome();
    let determining = match outcome {
        Outcome::Allowed => Some(Effect::Allow),
        Outcome::ExplicitDeny => Some(Effect::Deny),
        Outcome::ImplicitDeny => None,
    };
    let matched = all
        .iter()
        .filter(|spot| Some(spot.statement.effect) == determining)
        .filter(applies);
    let near_misses = all
        .iter()
        .filter(|spot| outcome == Outcome::ImplicitDeny && spot.statement.effect == Effect::Allow)
        .filter(|spot| spot.statement.concerns(&asked).is_some() && !applies(spot));
    let boundary_allows = policies.boundary.map(|_| {
        let boundary = |spot: &&Spot<'_>| spot.policy_type == PolicyType::Boundary;
        let mut boundary = all.iter().filter(boundary).filter(applies);
        let says = |effect| move |spot: &Spot<'_>| spot.statement.effect == effect;
        boundary.clone().any(says(Effect::Allow)) && !boundary.any(says(Effect::Deny))
    });
    Explanation {
        matched: matched.map(Matched::new).collect(),
        near_misses: near_misses
            .map(|spot| NearMiss::new(spot, &asked))
            .collect(),
        missing_keys: missing_keys(request, policies),
        boundary_allows,
        decision,
    }
}

fn missing_keys(request: &Request<'_>, policies: &Policies<'_>) -> Vec<String> {
    let mut seen = HashSet::new();
    let sources = layers(policies).into_iter();
    let sources = sources.flat_map(|(_, sources)| sources.unwrap_or_default());
    sources
        .flat_map(|source| source.policy.context_keys())
        .filter(|key| request.context.values(key).is_none())
        .filter(|key| seen.insert(key.to_ascii_lowercase()))
        .map(Into::into)
        .collect()
}

impl Matched {
    fn new(spot: &Spot<'_>) -> Self {
        Self {
            statement: spot.name(),
            effect: spot.statement.effect,
            start: spot.statement.start,
            end: spot.statement.end,
        }
    }
}

impl NearMiss {
    fn new(spot: &Spot<'_>, asked: &Asked<'_>) -> Self {
        let conditions = spot.statement.conditions.iter();
        let failed = conditions.filter(|condition| !condition.holds(asked.context));
        Self {
            statement: spot.name(),
            conditions: failed
                .map(|condition| format!("{} {}", condition.operator, condition.key))
                .collect(),
        }
    }
}
