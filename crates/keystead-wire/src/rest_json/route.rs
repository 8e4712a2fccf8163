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
    let at = http.path.iter().position(|segment| match segment {
        Segment::Label(label) => *label == name,
        Segment::Literal(_) => false,
    });
    at.and_then(|at| parts(path).nth(at))
}

fn fits(http: &HttpDef, path: &str) -> bool {
    let mut parts = parts(path);
    let fits = http
        .path
        .iter()
        .all(|segment| match (segment, parts.next()) {
            (Segment::Literal(text), Some(part)) => *text == part,
            (Segment::Label(_), Some(part)) => !part.is_empty(),
            (_, None) => false,
        });
    fits && parts.next().is_none()
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn literals(http: &HttpDef) -> usize {
    let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
    http.path.iter().filter(literal).count()
}
