//! The decisions of a simulation, as the API shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_core::{AccountId, Arn, Result};
use keystead_policy::{
    Context, Explanation, Matched, Outcome, Policies, PolicyType, Position, Request, Rule, Source,
    decide, explain,
};
use keystead_wire::iam as wire;

use super::entity::Named;
use super::input::{EVERYTHING, invalid};
use crate::Ctx;
use crate::iam::list::{Listing, Page};
use crate::iam::managed;

/// Decisions of one page: what one answer may hold of actions (model, `MaxItems`: 1000), with ten resources
/// each. They take about a tenth of a second.
const MAX_DECISIONS: usize = 10_000;

/// Everything that decides.
pub(super) struct Simulation {
    pub(super) identity: Vec<Source>,
    pub(super) boundary: Option<Source>,
    pub(super) resource: Option<Source>,
    pub(super) caller: Named,
    /// Who owns resources whose ARNs name no account.
    pub(super) owner: Option<AccountId>,
    pub(super) resources: Vec<String>,
    pub(super) context: Context,
}

/// What a policy of the simulation is, by its label.
pub(super) enum Origin<'a> {
    /// Inline in an identity.
    Inline {
        policy: &'a str,
        kind: &'a str,
        name: &'a str,
    },
    /// A managed policy, by its ARN.
    Managed(&'a str),
    /// Given with the request.
    Given(&'a str),
}

impl<'a> Origin<'a> {
    /// Takes a label of [`crate::iam::effective`] or of the request apart.
    pub(super) fn of(label: &'a str) -> Self {
        let inline = label.strip_prefix("inline policy ").and_then(|rest| {
            let (policy, whose) = rest.split_once(" of ")?;
            let (kind, name) = whose.split_once('/')?;
            Some(Self::Inline { policy, kind, name })
        });
        match inline {
            Some(inline) => inline,
            None if label.starts_with("arn:") => Self::Managed(label),
            None => Self::Given(label),
        }
    }

    /// As AWS's recorded answers name it: `AdministratorAccess`, `user_Bob_Policy`, `PolicyInputList.1`.
    fn id(&self) -> String {
        match self {
            Self::Inline { policy, kind, name } => format!("{kind}_{name}_{policy}"),
            Self::Managed(arn) => arn.rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Given(label) => (*label).to_owned(),
        }
    }
}

/// The decision on one resource.
struct One<'a> {
    resource: &'a str,
    explanation: Explanation,
    /// Across accounts, what each side says.
    sides: Option<Sides>,
}

impl Simulation {
    /// A page of results, one for each action.
    pub(super) async fn page(
        &self,
        ctx: &Ctx,
        listing: Listing,
        actions: Vec<String>,
    ) -> Result<Page<wire::EvaluationResult>> {
        for action in &actions {
            if action.split_once(':').is_none_or(|(service, name)| {
                service.is_empty() || name.is_empty() || name.contains(':')
            }) {
                return Err(invalid(format!(
                    "Invalid Action Name: {action}; expected service:operation."
                )));
            }
        }
        let page = listing.cut(ctx, actions)?;
        if page.items.len().saturating_mul(self.resources.len()) > MAX_DECISIONS {
            return Err(invalid(format!(
                "Too many actions and resources for one simulation: at most {MAX_DECISIONS} pairs; use MaxItems."
            )));
        }
        let mut items = Vec::with_capacity(page.items.len());
        for action in page.items {
            items.push(self.result(action));
            // Long simulations let others on.
            tokio::task::yield_now().await;
        }
        Ok(Page {
            items,
            marker: page.marker,
        })
    }

    fn result(&self, action: String) -> wire::EvaluationResult {
        let all = self.resources.iter();
        let all: Vec<One<'_>> = all.map(|resource| self.one(&action, resource)).collect();
        // The most restrictive decision counts (model, EvaluationResult), with the statements that led to it.
        let outcome = all.iter().map(One::outcome).max_by_key(severity);
        let outcome = outcome.unwrap_or(Outcome::ImplicitDeny);
        let decisive = all.iter().filter(|one| one.outcome() == outcome);
        let boundary = all.iter().filter_map(|one| one.explanation.boundary_allows);
        let specific = self.resources.iter().any(|resource| resource != EVERYTHING);
        let sides = worst(all.iter().filter_map(|one| one.sides.as_ref()));
        wire::EvaluationResult {
            eval_action_name: action,
            eval_resource_name: Some(match self.resources.as_slice() {
                [one] => one.clone(),
                _ => EVERYTHING.into(),
            }),
            eval_decision: decision(outcome),
            matched_statements: Some(once(decisive.flat_map(One::statements))),
            missing_context_values: Some(once(all.iter().flat_map(One::missing))),
            organizations_decision_detail: None,
            permissions_boundary_decision_detail: detail(
                boundary.reduce(|one, other| one && other),
            ),
            eval_decision_details: specific.then_some(sides),
            resource_specific_results: specific.then(|| all.iter().map(One::shown).collect()),
        }
    }

    fn one<'a>(&self, action: &str, resource: &'a str) -> One<'a> {
        let request = Request {
            action,
            resource,
            caller: self.caller.caller(),
            context: &self.context,
        };
        let named = Arn::parse(resource).ok().map(|arn| arn.account);
        let owner = self.owner.as_ref().map(AccountId::as_str);
        let owner = named
            .as_deref()
            .filter(|account| !account.is_empty() && *account != EVERYTHING)
            .or(owner)
            .unwrap_or(self.caller.account());
        let policies = Policies {
            identity: &self.identity,
            boundary: self.boundary.as_ref(),
            session: None,
            resource: self.resource.as_ref(),
            resource_account: owner,
            rule: match &self.resource {
                Some(_) if action.to_ascii_lowercase().starts_with("kms:") => Rule::ResourceFirst,
                _ => Rule::Usual,
            },
            grant: None,
        };
        // Without a resource's policy the simulator knows one side alone, and decides on it.
        let policies = match self.resource {
            Some(_) => policies,
            None => Policies {
                resource_account: self.caller.account(),
                ..policies
            },
        };
        let across = policies.resource_account != self.caller.account();
        One {
            resource,
            explanation: explain(&request, &policies),
            sides: across.then(|| self.sides(&request, &policies)),
        }
    }

    /// What each side of a request across accounts says.
    fn sides(&self, request: &Request<'_>, policies: &Policies<'_>) -> Sides {
        let identity = Policies {
            resource: None,
            resource_account: self.caller.account(),
            rule: Rule::Usual,
            ..*policies
        };
        // Where the caller's side allows everything, the resource's side decides.
        let everything = managed::aws::find("/AdministratorAccess").map(|policy| Source {
            label: policy.name.clone(),
            policy: Arc::clone(&policy.compiled),
        });
        let resource = Policies {
            identity: everything.as_slice(),
            boundary: None,
            ..*policies
        };
        let says = |policies| decision(decide(request, policies).outcome());
        [
            ("IAM Policy".to_owned(), says(&identity)),
            ("Resource Policy".to_owned(), says(&resource)),
        ]
        .into()
    }
}

impl One<'_> {
    fn outcome(&self) -> Outcome {
        self.explanation.decision.outcome()
    }

    /// "Only statements from identity-based and resource-based policies appear here" (model).
    fn statements(&self) -> impl Iterator<Item = wire::Statement> {
        let matched = self.explanation.matched.iter();
        let shown = |matched: &&Matched| {
            let policy_type = matched.statement.policy_type;
            matches!(policy_type, PolicyType::Identity | PolicyType::Resource)
        };
        matched.filter(shown).map(statement)
    }

    fn missing(&self) -> impl Iterator<Item = String> {
        self.explanation.missing_keys.iter().cloned()
    }

    fn shown(&self) -> wire::ResourceSpecificResult {
        wire::ResourceSpecificResult {
            eval_resource_name: self.resource.to_owned(),
            eval_resource_decision: decision(self.outcome()),
            matched_statements: Some(self.statements().collect()),
            missing_context_values: Some(self.missing().collect()),
            eval_decision_details: self.sides.clone(),
            permissions_boundary_decision_detail: detail(self.explanation.boundary_allows),
        }
    }
}

/// What each side says, by its name.
type Sides = BTreeMap<String, wire::PolicyEvaluationDecisionType>;

/// The most restrictive of each side.
fn worst<'a>(all: impl Iterator<Item = &'a Sides>) -> Sides {
    let rank = |decision: &wire::PolicyEvaluationDecisionType| match decision {
        wire::PolicyEvaluationDecisionType::Allowed => 0,
        wire::PolicyEvaluationDecisionType::ImplicitDeny => 1,
        wire::PolicyEvaluationDecisionType::ExplicitDeny => 2,
    };
    let mut worst = Sides::new();
    for (side, decision) in all.flatten() {
        match worst.get(side) {
            Some(known) if rank(known) >= rank(decision) => {}
            _ => {
                worst.insert(side.clone(), *decision);
            }
        }
    }
    worst
}

fn severity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Allowed => 0,
        Outcome::ImplicitDeny => 1,
        Outcome::ExplicitDeny => 2,
    }
}

fn decision(outcome: Outcome) -> wire::PolicyEvaluationDecisionType {
    match outcome {
        Outcome::Allowed => wire::PolicyEvaluationDecisionType::Allowed,
        Outcome::ImplicitDeny => wire::PolicyEvaluationDecisionType::ImplicitDeny,
        Outcome::ExplicitDeny => wire::PolicyEvaluationDecisionType::ExplicitDeny,
    }
}

fn detail(allows: Option<bool>) -> Option<wire::PermissionsBoundaryDecisionDetail> {
    allows.map(|allows| wire::PermissionsBoundaryDecisionDetail {
        allowed_by_permissions_boundary: Some(allows),
    })
}

fn statement(matched: &Matched) -> wire::Statement {
    let position = |at: Position| {
        let shown = |number| i32::try_from(number).ok();
        Some(wire::Position {
            line: shown(at.line),
            column: shown(at.column),
        })
    };
    let source_type = match matched.statement.policy_type {
        PolicyType::Resource => "Resource Policy",
        _ => "IAM Policy",
    };
    wire::Statement {
        source_policy_id: Some(Origin::of(&matched.statement.label).id()),
        source_policy_type: Some(source_type.into()),
        start_position: position(matched.start),
        end_position: position(matched.end),
    }
}

/// Each of them once, in order.
fn once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}
