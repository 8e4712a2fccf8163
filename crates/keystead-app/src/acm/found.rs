//! Certificates of a region that a statement is true of, in an order, page by page: what
//! SearchCertificates and ListCertificates are made of.
//!
//! There are two ways, and a page is the same by either, since a cursor is a place in the order. Where
//! the index names few certificates of which the statement can be true, they are all read and sorted.
//! Else the order is walked from the cursor on, and each certificate looked at; that ends after
//! [`MAX_EXAMINED`] of them, with a page that is not full and a cursor.

use keystead_core::Result;
use keystead_core::acm::Certificate;
use keystead_core::acm::index::{self, SortBy, Source, Span};
use keystead_core::acm::properties::{Class, Property};
use keystead_core::acm::search::Statement;
use keystead_store::Stored;
use std::collections::{BTreeMap, BTreeSet};

use super::record::{CERTIFICATES, CertificateRecord, INDEX};
use crate::Ctx;

/// What is asked for.
pub(super) struct Query {
    /// What must be true; nothing in particular without.
    pub(super) statement: Option<Statement>,
    /// In which order.
    pub(super) by: SortBy,
    /// The last first.
    pub(super) descending: bool,
    /// How many certificates a page has at most.
    pub(super) limit: usize,
}

/// The page behind the place `after`, and the place to go on from.
pub(super) async fn page(
    ctx: &Ctx,
    query: &Query,
    after: Option<String>,
) -> Result<(Vec<Certificate>, Option<String>)> {
    let classes = classes(ctx, query).await?;
    if let Some(found) = few(ctx, query, &classes).await? {
        return Ok(cut(query, found, after.as_deref()));
    }
    walk(ctx, query, &classes, after).await
}

/// The classes of a region that a query is about.
#[derive(Default)]
pub(super) struct Classes {
    /// Those of which its statement can be true.
    matching: Vec<Class>,
    /// Whether there are others.
    others: bool,
}

/// The classes that there are. None are looked for where they would tell nothing.
pub(super) async fn classes(ctx: &Ctx, query: &Query) -> Result<Classes> {
    let mut found = Classes::default();
    if query.statement.is_none() && !matches!(query.by, SortBy::Property(_)) {
        return Ok(found);
    }
    let region = ctx.prefix();
    let prefix = format!("{region}{}", index::CLASSES);
    let mut after: Option<String> = None;
    loop {
        let rows = rows(ctx, &prefix, after.as_deref(), 1, false).await?;
        let row = rows.first().and_then(|row| row.strip_prefix(&region));
        let Some(class) = row.and_then(index::class_of) else {
            return Ok(found);
        };
        // '0' comes right behind the slash that ends the class.
        after = Some(format!("{prefix}{}0", class.text()));
        let statement = query.statement.as_ref();
        match statement.is_none_or(|statement| statement.may_hold(&class)) {
            true => found.matching.push(class),
            false => found.others = true,
        }
    }
}

/// All that the statement is true of with their places, if the index shows that they are few.
async fn few(
    ctx: &Ctx,
    query: &Query,
    classes: &Classes,
) -> Result<Option<Vec<(String, Certificate)>>> {
    let Some(statement) = &query.statement else {
        return Ok(None);
    };
    let mut choices = index::sources(statement);
    if classes.others {
        let matching = classes.matching.iter();
        choices.push(
            matching
                .map(|class| Source::Span(index::of_class(class)))
                .collect(),
        );
    }
    for sources in choices {
        let Some(ids) = ids(ctx, &sources).await? else {
            continue;
        };
        let mut found = Vec::new();
        for id in ids {
            let Some(certificate) = read(ctx, &id).await? else {
                continue;
            };
            if statement.holds(&certificate, ctx.now) {
                let place = index::position(&certificate, query.by);
                found.push((place, certificate));
            }
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// The page of what was found behind `after`.
fn cut(
    query: &Query,
    mut found: Vec<(String, Certificate)>,
    after: Option<&str>,
) -> (Vec<Certificate>, Option<String>) {
    found.sort_by(|(left, _), (right, _)| match query.descending {
        false => left.cmp(right),
        true => right.cmp(left),
    });
    found.retain(|(place, _)| after.is_none_or(|after| is_behind(query, place, after)));
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|(place, _)| place.clone());
    let certificates = found.into_iter().map(|(_, certificate)| certificate);
    (certificates.collect(), next)
}

fn is_behind(query: &Query, place: &str, after: &str) -> bool {
    match query.descending {
        false => place > after,
        true => place < after,
    }
}

/// The ids of all rows of the sources; `None` if they are more than [`FEW`].
async fn ids(ctx: &Ctx, sources: &[Source]) -> Result<Option<BTreeSet<String>>> {
    let mut ids = BTreeSet::new();
    for source in sources {
        let span = match source {
            Source::Id(id) => {
                ids.insert(id.clone());
                continue;
            }
            Source::Span(span) => absolute(ctx, span),
        };
        let found = rows(ctx, &span.prefix, span.after.as_deref(), FEW + 1, false).await?;
        let within = found
            .iter()
            .take_while(|row| span.before.as_ref().is_none_or(|end| *row < end));
        ids.extend(within.map(|row| index::id_of(row).to_owned()));
        if ids.len() > FEW {
            return Ok(None);
        }
    }
    Ok(Some(ids))
}

/// The order from `after` on, until the page is full and one more is found, or the order ends, or
/// enough was examined.
pub(super) async fn walk(
    ctx: &Ctx,
    query: &Query,
    classes: &Classes,
    mut after: Option<String>,
) -> Result<(Vec<Certificate>, Option<String>)> {
    let mut shown = Vec::new();
    // Where the last certificate of the page stands.
    let mut last_shown = None;
    let mut examined = 0;
    while examined < MAX_EXAMINED {
        let (chunk, ended) = next(ctx, query, classes, after.as_deref()).await?;
        examined += chunk.len();
        for (place, certificate) in chunk {
            let shows = certificate.filter(|certificate| {
                let statement = query.statement.as_ref();
                statement.is_none_or(|statement| statement.holds(certificate, ctx.now))
            });
            if let Some(certificate) = shows {
                if shown.len() == query.limit {
                    return Ok((shown, last_shown));
                }
                shown.push(certificate);
                last_shown = Some(place.clone());
            }
            after = Some(place);
        }
        if ended {
            return Ok((shown, None));
        }
    }
    Ok((shown, after))
}

/// Some places of the order with their certificates, and whether there are none behind them. A place
/// is without its certificate where that was deleted or moved while it was read.
type Chunk = (Vec<(String, Option<Certificate>)>, bool);

async fn next(ctx: &Ctx, query: &Query, classes: &Classes, after: Option<&str>) -> Result<Chunk> {
    let (places, ended) = match query.by {
        SortBy::Id => return by_id(ctx, query, after).await,
        SortBy::Family(family) => {
            let prefix = format!("{}{}", ctx.prefix(), family.prefix());
            let after = after.map(|after| format!("{prefix}{after}"));
            let found = rows(ctx, &prefix, after.as_deref(), CHUNK, query.descending).await?;
            let ended = found.len() < CHUNK;
            let places = found.iter().filter_map(|row| row.strip_prefix(&prefix));
            (places.map(str::to_owned).collect(), ended)
        }
        SortBy::Property(property) => by_class(ctx, query, property, classes, after).await?,
    };
    let mut chunk = Vec::with_capacity(places.len());
    for place in places {
        let certificate = read(ctx, index::id_of(&place)).await?;
        let certificate =
            certificate.filter(|certificate| index::position(certificate, query.by) == place);
        chunk.push((place, certificate));
    }
    Ok((chunk, ended))
}

async fn by_id(ctx: &Ctx, query: &Query, after: Option<&str>) -> Result<Chunk> {
    let (store, prefix) = (&ctx.app.store, ctx.prefix());
    let after = after.map(|after| format!("{prefix}{after}"));
    let found: Vec<Stored<CertificateRecord>> = match query.descending {
        false => {
            store
                .scan(CERTIFICATES, &prefix, after.as_deref(), CHUNK)
                .await?
        }
        true => {
            store
                .scan_back(CERTIFICATES, &prefix, after.as_deref(), CHUNK)
                .await?
        }
    };
    let ended = found.len() < CHUNK;
    let chunk = found.into_iter().map(|stored| {
        let certificate = stored.value.0;
        (index::id_of(&stored.key).to_owned(), Some(certificate))
    });
    Ok((chunk.collect(), ended))
}

/// Places in the order of a property: its values one after the other, and the certificates of the
/// classes that have the value together, by their ids.
async fn by_class(
    ctx: &Ctx,
    query: &Query,
    property: Property,
    classes: &Classes,
    after: Option<&str>,
) -> Result<(Vec<String>, bool)> {
    let mut values: BTreeMap<&str, Vec<&Class>> = BTreeMap::new();
    for class in &classes.matching {
        values.entry(class.get(property)).or_default().push(class);
    }
    let mut ordered: Vec<_> = values.into_iter().collect();
    if query.descending {
        ordered.reverse();
    }
    let (value_before, id_before) = after
        .and_then(|after| after.split_once('/'))
        .map_or((None, None), |(value, id)| (Some(value), Some(id)));
    for (value, classes) in ordered {
        let behind = value_before.is_none_or(|before| is_behind(query, value, before));
        if !behind && value_before != Some(value) {
            continue;
        }
        let after = id_before.filter(|_| !behind);
        let ids = merged(ctx, query, &classes, after).await?;
        if !ids.is_empty() {
            let places = ids.iter().map(|id| format!("{value}/{id}"));
            return Ok((places.collect(), false));
        }
    }
    Ok((Vec::new(), true))
}

/// The next ids of these classes together. What lies behind the end of a class's full chunk is left
/// for later, because that class may have something before it.
async fn merged(
    ctx: &Ctx,
    query: &Query,
    classes: &[&Class],
    after: Option<&str>,
) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut horizon: Option<String> = None;
    for class in classes {
        let prefix = format!("{}{}", ctx.prefix(), index::of_class(class).prefix);
        let after = after.map(|after| format!("{prefix}{after}"));
        let found = rows(ctx, &prefix, after.as_deref(), CHUNK, query.descending).await?;
        let found: Vec<String> = found.iter().map(|row| index::id_of(row).into()).collect();
        if found.len() == CHUNK
            && let Some(last) = found.last()
            && horizon
                .as_ref()
                .is_none_or(|horizon| is_behind(query, horizon, last))
        {
            horizon = Some(last.clone());
        }
        ids.extend(found);
    }
    ids.sort_unstable();
    if query.descending {
        ids.reverse();
    }
    if let Some(horizon) = horizon {
        ids.retain(|id| !is_behind(query, id, &horizon));
    }
    Ok(ids)
}

async fn read(ctx: &Ctx, id: &str) -> Result<Option<Certificate>> {
    let found = ctx
        .app
        .store
        .get::<CertificateRecord>(CERTIFICATES, &ctx.key(id))
        .await?;
    Ok(found.map(|stored| stored.value.0))
}

/// The keys of rows of the index.
async fn rows(
    ctx: &Ctx,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    back: bool,
) -> Result<Vec<String>> {
    let store = &ctx.app.store;
    let found: Vec<Stored<()>> = match back {
        false => store.scan(INDEX, prefix, after, limit).await?,
        true => store.scan_back(INDEX, prefix, after, limit).await?,
    };
    Ok(found.into_iter().map(|stored| stored.key).collect())
}

/// The span among the rows of all regions.
fn absolute(ctx: &Ctx, span: &Span) -> Span {
    let prefix = ctx.prefix();
    let absolute = |row: &String| format!("{prefix}{row}");
    Span {
        prefix: absolute(&span.prefix),
        after: span.after.as_ref().map(absolute),
        before: span.before.as_ref().map(absolute),
    }
}

/// So many are read and sorted for each page of them: some ten milliseconds' work. With one more it
/// is as many as the store reads at once.
const FEW: usize = 1000;

/// Certificates that are read at a time.
const CHUNK: usize = 250;

/// Certificates that one call examines at most: twice what AWS lets an account have in a region (ACM
/// user guide, "Quotas": 2,500), so that within that quota every page but the last is full.
const MAX_EXAMINED: usize = 5000;
