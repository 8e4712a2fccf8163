//! From method and path to the operation.

use crate::schema::{HttpDef, OperationDef, Segment, ServiceDef};

/// The served operation of these services that has this method and path. Where several have, the one whose path says
/// more of itself.
pub fn find(
    services: impl Iterator<Item = &'static ServiceDef>,
    method: &str,
    path: &str,
) -> Option<&'static OperationDef> {
    let operations = services.flat_map(|service| service.operations.iter().copied());
    let matching = operations.filter_map(|operation| {
        let http = operation.http?;
        (http.method == method && fits(http, path)).then_some((literals(http), operation))
    });
    matching
        .max_by_key(|(literals, _)| *literals)
        .map(|(_, operation)| operation)
}

/// The value in `path` under the label of this name, as it was sent.
pub(super) fn label<'p>(http: &HttpDef, path: &'p str, name: &str) -> Option<&'p str> {
    let given = segments(http, path)?;
    let mut pairs = http.path.iter().zip(given);
    pairs.find_map(|(segment, part)| match segment {
        Segment::Label(label) | Segment::Greedy(label) => (*label == name).then_some(part),
        Segment::Literal(_) => None,
    })
}

fn fits(http: &HttpDef, path: &str) -> bool {
    // Most operations are told apart by how their paths begin.
    if let Some(Segment::Literal(text)) = http.path.first()
        && !path.strip_prefix('/').unwrap_or(path).starts_with(text)
    {
        return false;
    }
    let Some(given) = segments(http, path) else {
        return false;
    };
    let mut pairs = http.path.iter().zip(given);
    pairs.all(|(segment, part)| match segment {
        Segment::Literal(text) => *text == part,
        Segment::Label(_) => !part.is_empty(),
        Segment::Greedy(_) => true,
    })
}

/// What `path` has for each segment; `None` where it has too few parts, or too many.
fn segments<'p>(http: &HttpDef, path: &'p str) -> Option<Vec<&'p str>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let expected = http.path.len();
    let greedy = |segment: &Segment| matches!(segment, Segment::Greedy(_));
    let Some(at) = http.path.iter().position(greedy) else {
        let given: Vec<_> = path.split('/').collect();
        return (given.len() == expected).then_some(given);
    };
    let mut given: Vec<_> = path.splitn(at + 1, '/').collect();
    let rest = given.pop().filter(|_| given.len() == at)?;
    let mut last: Vec<_> = rest.rsplitn(expected - at, '/').collect();
    if last.len() + 1 == expected - at {
        last.push("");
    }
    given.extend(last.into_iter().rev());
    (given.len() == expected).then_some(given)
}

fn literals(http: &HttpDef) -> usize {
    let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
    http.path.iter().filter(literal).count()
}
