//! The rules that a document of the right shape must keep, in IAM's order and words.
//!
//! The order matters: clients and tests compare the one message that comes back. It was recorded against IAM by moto's
//! tests of CreatePolicy (`tests/test_iam/test_iam_policies.py`); the words are IAM's.

use crate::condition::Family;
use crate::document::{Choice, Document, Draft, Place, Text};
use crate::malformed::{Fault, Malformed};
use crate::pattern::{Meaning, Pattern};
use crate::policy::Kind;
use crate::principal::Principal;
use crate::{context::Context, values};

/// The partitions that an ARN may name (botocore's endpoint data, `partitions.json`).
const PARTITIONS: &[&str] = &[
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];

/// What an ARN of IAM may name, in the order of IAM's own message.
const IAM_PATHS: &[&str] = &[
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// The actions a role trust policy may speak of (Service Authorization Reference, "AWS Security Token Service").
const TRUST_ACTIONS: &[&str] = &[
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:assumeroot",
    "sts:decodeauthorizationmessage",
    "sts:getaccesskeyinfo",
    "sts:getcalleridentity",
    "sts:getfederationtoken",
    "sts:getservicebearertoken",
    "sts:getsessiontoken",
    "sts:setcontext",
    "sts:setsourceidentity",
    "sts:tagsession",
];

type Checked = Result<(), Malformed>;

/// Checks a document against the rules of its kind.
pub(crate) fn check(document: &Document<'_>, kind: Kind) -> Checked {
    let statements = &document.statements;
    // Identity-based policies want the newer language; policies of resources and trust are older than it.
    if kind == Kind::Identity && document.version.as_deref() != Some("2012-10-17") {
        let message = "Policy document must be version 2012-10-17 or greater.";
        return Err(document.at.fault(Fault::Version, message));
    }
    statements.iter().try_for_each(legacy)?;
    let bad_resource = resources(statements)?;
    sids(statements, kind)?;
    if kind != Kind::Key {
        statements.iter().try_for_each(has_actions)?;
    }
    bad_resource.map_or(Ok(()), Err)?;
    for negated in [false, true] {
        statements
            .iter()
            .try_for_each(|draft| actions(draft, negated))?;
    }
    for draft in statements {
        match kind {
            Kind::Identity => identity(draft)?,
            Kind::Resource | Kind::Key => principals(draft)?,
            Kind::Trust => trust(draft)?,
        }
    }
    Ok(())
}

/// What IAM's older parser refuses, resources apart.
fn legacy(draft: &Draft<'_>) -> Checked {
    if !matches!(draft.effect.as_str(), "Allow" | "Deny") {
        return Err(legacy_fault(&draft.at.child("Effect")));
    }
    for tested in &draft.conditions {
        let date = matches!(tested.operator.family, Family::Date(_));
        if date
            && tested
                .values
                .iter()
                .any(|text| values::date(text).is_none())
        {
            let at = draft.at.child("Condition").child(&tested.name);
            return Err(legacy_fault(&at.child(&tested.key)));
        }
    }
    Ok(())
}

fn legacy_fault(at: &Place<'_>) -> Malformed {
    at.fault(Fault::Legacy, "The policy failed legacy parsing")
}

/// Refuses at once what the older parser refuses, and hands back the first other fault for later.
fn resources(statements: &[Draft<'_>]) -> Result<Option<Malformed>, Malformed> {
    let mut first = None;
    for negated in [false, true] {
        for draft in statements {
            let element = if negated { "NotResource" } else { "Resource" };
            for text in chosen(draft.resources.as_ref(), negated) {
                let at = draft.at.child_at(element, text.raw);
                if first.is_none() {
                    first = resource(&text.text).map(|message| at.fault(Fault::Resource, message));
                }
                if first.is_none() && cut_short(&text.text) {
                    return Err(legacy_fault(&at));
                }
            }
        }
    }
    Ok(first)
}

/// Why a text does not name resources.
fn resource(text: &str) -> Option<String> {
    if text == "*" {
        return None;
    }
    let not_arn = || Some(format!("Resource {text} must be in ARN format or \"*\"."));
    let Some((prefix, rest)) = text.split_once(':') else {
        return not_arn();
    };
    let (partition, rest) = match rest.split_once(':') {
        Some((partition, rest)) => (partition, Some(rest)),
        None => (rest, None),
    };
    if partition != "*" && !PARTITIONS.contains(&partition) {
        return Some(unknown_partition(partition, rest.unwrap_or_default()));
    }
    if prefix != "arn" {
        return not_arn();
    }
    let mut parts = rest.unwrap_or_default().splitn(4, ':');
    let service = parts.next().unwrap_or_default();
    if rest.is_none() || service.contains(['*', '?']) {
        let message = "Resource vendor must be fully qualified and cannot contain regexes.";
        return Some(message.to_owned());
    }
    let region = parts.next().unwrap_or_default();
    let (_, name) = (parts.next(), parts.next().unwrap_or_default());
    let regional = !region.is_empty();
    match service {
        "s3" if regional && !name.starts_with("accesspoint/") => Some(format!(
            "Resource {text} can not contain region information."
        )),
        "iam" if regional => Some(format!(
            "IAM resource {text} cannot contain region information."
        )),
        "iam" if name != "*" && !IAM_PATHS.iter().any(|path| name.starts_with(path)) => {
            let paths = IAM_PATHS.join(", ");
            Some(format!(
                "IAM resource path must either be \"*\" or start with {paths}."
            ))
        }
        _ => None,
    }
}

/// IAM repeats the ARN with `*` for the parts that are missing.
fn unknown_partition(partition: &str, rest: &str) -> String {
    let mut parts = rest.splitn(4, ':');
    let service = match parts.next() {
        Some("") if !rest.contains(':') => "*",
        Some(service) => service,
        None => "*",
    };
    let mut next = || parts.next().unwrap_or("*");
    let (region, account, name) = (next(), next(), next());
    format!(
        "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{service}:{region}:{account}:{name}\"."
    )
}

/// An ARN that skips parts and yet leaves some out, or has no service.
fn cut_short(text: &str) -> bool {
    let few = text.matches(':').count() < 5;
    text != "*" && ((few && text.contains("::")) || text.split(':').nth(2) == Some(""))
}

fn sids(statements: &[Draft<'_>], kind: Kind) -> Checked {
    let mut seen = std::collections::HashSet::new();
    for draft in statements {
        let sid = draft.sid.as_deref().unwrap_or_default();
        let at = || draft.at.child("Sid");
        if !sid.is_empty() && !seen.insert(sid) {
            let message = "Statement IDs (SID) in a single policy must be unique.";
            return Err(at().fault(Fault::Sid, message));
        }
        // IAM's rule, save that we let an underscore pass: documents tested elsewhere have it (moto's accepted ones).
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if kind == Kind::Identity && !sid.bytes().all(fits) {
            let message = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular \
                           expression [0-9A-Za-z]*";
            return Err(at().fault(Fault::Sid, message));
        }
    }
    Ok(())
}

fn has_actions(draft: &Draft<'_>) -> Checked {
    match &draft.actions {
        Some(actions) if !actions.value.is_empty() => Ok(()),
        _ => {
            let message = "Policy statement must contain actions.";
            Err(draft.at.fault(Fault::Action, message))
        }
    }
}

/// "Consists of a service namespace, a colon, and the name of an action" (IAM user guide, "Grammar").
fn actions(draft: &Draft<'_>, negated: bool) -> Checked {
    let element = if negated { "NotAction" } else { "Action" };
    for text in chosen(draft.actions.as_ref(), negated) {
        let mut parts = text.text.split(':');
        let vendor = parts.next().unwrap_or_default();
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let message = match parts.count() {
            0 if vendor == "*" => continue,
            0 => "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
                .to_owned(),
            1 if vendor == "*" || (vendor.bytes().all(letters) && !vendor.is_empty()) => continue,
            1 => format!("Vendor {vendor} is not valid"),
            _ => "Actions/Condition can contain only one colon.".to_owned(),
        };
        let at = draft.at.child_at(element, text.raw);
        return Err(at.fault(Fault::Action, message));
    }
    Ok(())
}

/// "It must not be included in identity-based policies" (IAM user guide, "Grammar", notes on `principal_block`).
fn identity(draft: &Draft<'_>) -> Checked {
    if draft.principals.is_some() {
        let message = "Policy document should not specify a principal.";
        return Err(draft.at.child("Principal").fault(Fault::Principal, message));
    }
    match &draft.resources {
        Some(resources) if !resources.value.is_empty() => Ok(()),
        _ => {
            let message = "Policy statement must contain resources.";
            Err(draft.at.fault(Fault::Resource, message))
        }
    }
}

/// "The principal_block element is required in resource-based policies [...] and in trust policies" (the same notes).
fn principals(draft: &Draft<'_>) -> Checked {
    let Some(Choice { negated, value }) = &draft.principals else {
        return Err(draft
            .at
            .fault(Fault::Principal, "Missing required field Principal"));
    };
    let at = draft.at.child(if *negated {
        "NotPrincipal"
    } else {
        "Principal"
    });
    if value.is_empty() {
        let message = "Missing required field Principal cannot be empty!";
        return Err(at.fault(Fault::Principal, message));
    }
    if *negated && draft.effect == "Allow" {
        let message = "Allow with NotPrincipal is not allowed.";
        return Err(at.fault(Fault::Principal, message));
    }
    for named in value {
        if Principal::parse(&named.kind, &named.text).is_none() {
            let (kind, text) = (&named.kind, &named.text);
            let message = format!("Invalid principal in policy: \"{kind}\":\"{text}\"");
            return Err(at.fault(Fault::Principal, message));
        }
    }
    Ok(())
}

fn trust(draft: &Draft<'_>) -> Checked {
    let actions = draft.actions.iter().flat_map(|actions| &actions.value);
    for text in actions {
        let meaning = Meaning {
            wildcards: true,
            fold: true,
            variables: false,
        };
        let pattern = Pattern::compile(&text.text, meaning);
        let nothing = Context::new();
        if text.text == "*"
            || !TRUST_ACTIONS
                .iter()
                .any(|name| pattern.matches(name, &nothing))
        {
            let message = "Trust Policy statement actions can only be sts:AssumeRole, \
                           sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity";
            let at = draft.at.child_at("Action", text.raw);
            return Err(at.fault(Fault::Action, message));
        }
    }
    if draft.resources.is_some() {
        let at = draft.at.child("Resource");
        return Err(at.fault(Fault::Resource, "Has prohibited field Resource."));
    }
    principals(draft)
}

/// The texts of an element, if it is the one asked for and not its twin.
fn chosen<'d, 'a>(
    element: Option<&'d Choice<Vec<Text<'a>>>>,
    negated: bool,
) -> impl Iterator<Item = &'d Text<'a>> {
    let element = element.filter(|element| element.negated == negated);
    element.into_iter().flat_map(|element| &element.value)
}
