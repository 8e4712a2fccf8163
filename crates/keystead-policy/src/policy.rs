//! A policy: parsed once, compiled, and asked many times.

use std::collections::BTreeMap;

use crate::arn::ArnPattern;
use crate::check;
use crate::condition::Condition;
use crate::decide::{Asked, Caller};
use crate::document::{Draft, Reader, Ruler};
use crate::malformed::{Malformed, Position};
use crate::pattern::{Meaning, Pattern};
use crate::principal::{Grade, Principal, Principals};

/// What a document is attached to, and with it what may and must stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user, group or role, a permissions boundary or a session: no `Principal`, but a `Resource`.
    Identity,
    /// A secret or CA: a `Principal`; without `Resource` it speaks of what it is attached to.
    Resource,
    /// A KMS key: a `Principal`. A statement that lacks its `Action` or `Resource` is accepted and "has no effect" (KMS
    /// API reference, PutKeyPolicy).
    Key,
    /// A role: a `Principal`, actions of STS, no `Resource`.
    Trust,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// A compiled policy. It never changes, and is shared between threads.
#[derive(Debug)]
pub struct Policy {
    kind: Kind,
    statements: Box<[Statement]>,
    /// Services in order, each with the statements that may speak of its actions.
    services: Services,
    /// The statements that may speak of the actions of any service not in `services`.
    others: Box<[usize]>,
    keys: Box<[Box<str>]>,
}

/// Services in order, each with numbers of statements.
type Services = Box<[(Box<str>, Box<[usize]>)]>;

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) start: Position,
    pub(crate) end: Position,
    principals: Option<Principals>,
    actions: Actions,
    resources: Resources,
    pub(crate) conditions: Box<[Condition]>,
}

#[derive(Debug)]
struct Actions {
    negated: bool,
    patterns: Box<[Action]>,
}

/// `service:name`, in lower case: actions have none (IAM user guide, "Action").
#[derive(Debug)]
struct Action {
    /// Nothing for every service.
    service: Option<Box<str>>,
    name: Pattern,
}

#[derive(Debug)]
struct Resources {
    negated: bool,
    patterns: Box<[ArnPattern]>,
}

impl Policy {
    /// Parses and compiles a document. The cost is proportional to its length; the quotas on length are the
    /// caller's to check ([`size`]).
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        let reader = Reader::new(text);
        let document = reader.document()?;
        check::check(&document, kind)?;
        let variables = document.version.as_deref() == Some("2012-10-17");
        let mut ruler = Ruler::new(text);
        let statements = document.statements.iter();
        let statements: Box<[_]> = statements
            .map(|draft| Statement::compile(draft, kind, variables, &mut ruler))
            .collect();
        let (services, others) = index(&statements);
        Ok(Self {
            kind,
            keys: keys(&statements),
            statements,
            services,
            others,
        })
    }

    /// What the policy is attached to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The condition keys that the policy looks at, policy variables included, each once, as it first stands there
    /// (`GetContextKeysForCustomPolicy`).
    pub fn context_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// Whether a statement allows something to everyone, and no condition narrows everyone down: what
    /// `BlockPublicPolicy` of Secrets Manager refuses.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            let everyone = statement
                .principals
                .as_ref()
                .is_some_and(Principals::is_everyone);
            let narrowed = statement.conditions.iter().any(Condition::narrows);
            statement.effect == Effect::Allow && everyone && !narrowed
        })
    }

    /// The principals under `AWS` that statements name, everyone and unique ids left out: for who has to know whether
    /// they are there.
    pub fn named_principals(&self) -> impl Iterator<Item = &str> {
        let named = self.statements.iter();
        named
            .filter_map(|statement| statement.principals.as_ref())
            .flat_map(Principals::named)
    }

    /// The statements that may speak of a service's actions, with their numbers from 0.
    pub(crate) fn candidates(&self, service: &str) -> impl Iterator<Item = (usize, &Statement)> {
        let found = self
            .services
            .binary_search_by(|(known, _)| (**known).cmp(service));
        let found = found.ok().and_then(|at| self.services.get(at));
        let numbers = found.map_or(&self.others, |(_, numbers)| numbers);
        numbers
            .iter()
            .filter_map(|number| Some((*number, self.statements.get(*number)?)))
    }
}

/// The characters of a document that count towards IAM's quotas, which leave white space out (IAM user guide, "IAM and
/// AWS STS quotas").
pub fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

impl Statement {
    fn compile(draft: &Draft<'_>, kind: Kind, variables: bool, ruler: &mut Ruler<'_>) -> Self {
        let principals = draft.principals.as_ref().map(|principals| {
            let named = principals.value.iter();
            let named = named.filter_map(|named| Principal::parse(&named.kind, &named.text));
            match principals.negated {
                false => Principals::These(named.collect()),
                true => Principals::AllBut(named.collect()),
            }
        });
        // An empty list is no element: `NotResource` of nothing must not mean everything.
        let said = |any: bool| any || kind != Kind::Key;
        let resources = draft.resources.as_ref();
        let resources = resources.filter(|named| said(!named.value.is_empty()));
        let resources = match resources {
            None if kind == Kind::Key => Resources {
                negated: false,
                patterns: [].into(),
            },
            None => Resources {
                negated: false,
                patterns: [ArnPattern::resource("*", false)].into(),
            },
            Some(resources) => Resources {
                negated: resources.negated,
                patterns: (resources.value.iter())
                    .map(|text| ArnPattern::resource(&text.text, variables))
                    .collect(),
            },
        };
        let conditions = draft.conditions.iter().map(|tested| {
            Condition::new(
                &tested.name,
                tested.operator,
                &tested.key,
                &tested.values,
                variables,
            )
        });
        let (start, end) = draft.span;
        Self {
            sid: draft
                .sid
                .as_deref()
                .filter(|sid| !sid.is_empty())
                .map(Into::into),
            effect: match draft.effect.as_str() {
                "Allow" => Effect::Allow,
                _ => Effect::Deny,
            },
            start: ruler.position(start),
            end: ruler.position(end),
            principals,
            actions: Actions::compile(draft),
            resources,
            conditions: conditions.collect(),
        }
    }

    /// How directly the statement speaks of the request, if it does. In an identity-based policy it is always direct.
    pub(crate) fn applies(&self, asked: &Asked<'_>) -> Option<Grade> {
        let grade = self.concerns(asked)?;
        let mut conditions = self.conditions.iter();
        conditions
            .all(|condition| condition.holds(asked.context))
            .then_some(grade)
    }

    /// The same, conditions aside.
    pub(crate) fn concerns(&self, asked: &Asked<'_>) -> Option<Grade> {
        if !self.actions.contain(asked) || !self.resources.contain(asked) {
            return None;
        }
        self.grade(asked.caller, asked.bounded)
    }

    fn grade(&self, caller: &Caller<'_>, bounded: bool) -> Option<Grade> {
        match &self.principals {
            None => Some(Grade::Direct),
            // "will always deny any IAM principal that has a permissions boundary policy attached, regardless of the
            // values specified in the NotPrincipal element" (IAM user guide, "Permissions boundaries").
            Some(principals) if bounded && principals.is_negated() => Some(Grade::Direct),
            Some(principals) => principals.grade(caller),
        }
    }
}

impl Actions {
    fn compile(draft: &Draft<'_>) -> Self {
        let meaning = Meaning {
            wildcards: true,
            ..Meaning::default()
        };
        let texts = draft.actions.iter().flat_map(|actions| &actions.value);
        let none = texts.clone().next().is_none();
        let patterns = texts.map(|text| {
            let text = text.text.to_ascii_lowercase();
            let (service, name) = text.split_once(':').unwrap_or((&text, "*"));
            Action {
                service: (service != "*").then(|| service.into()),
                name: Pattern::compile(name, meaning),
            }
        });
        Self {
            // `NotAction` of nothing, which a key's policy may have, must not mean everything.
            negated: draft
                .actions
                .as_ref()
                .is_some_and(|actions| actions.negated && !none),
            patterns: patterns.collect(),
        }
    }

    fn contain(&self, asked: &Asked<'_>) -> bool {
        let mut patterns = self.patterns.iter();
        let named = patterns.any(|action| {
            let service = action.service.as_deref();
            service.is_none_or(|service| service == asked.service)
                && action.name.matches(asked.name, asked.context)
        });
        named != self.negated
    }
}

impl Resources {
    fn contain(&self, asked: &Asked<'_>) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| pattern.matches(&asked.resource, asked.context)) != self.negated
    }
}

/// Which statements may speak of which service.
fn index(statements: &[Statement]) -> (Services, Box<[usize]>) {
    let mut others = Vec::new();
    let mut services = BTreeMap::<&str, Vec<usize>>::new();
    for (number, statement) in statements.iter().enumerate() {
        let patterns = &statement.actions.patterns;
        if statement.actions.negated || patterns.iter().any(|action| action.service.is_none()) {
            others.push(number);
            continue;
        }
        let named = patterns
            .iter()
            .filter_map(|action| action.service.as_deref());
        for service in named {
            let numbers = services.entry(service).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }
    let services = services.into_iter().map(|(service, mut numbers)| {
        numbers.extend(&others);
        numbers.sort_unstable();
        (service.into(), numbers.into())
    });
    (services.collect(), others.into())
}

fn keys(statements: &[Statement]) -> Box<[Box<str>]> {
    let mut seen = std::collections::HashSet::new();
    let all = statements.iter().flat_map(|statement| {
        let conditions = statement.conditions.iter().flat_map(Condition::keys);
        let variables = statement
            .resources
            .patterns
            .iter()
            .flat_map(ArnPattern::variables);
        conditions.chain(variables)
    });
    all.filter(|key| seen.insert(key.to_ascii_lowercase()))
        .map(Into::into)
        .collect()
}
