//! Listings: pages by a marker, as every listing of IAM has them.

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Collection, Versioned};

use super::record::Resource;
use crate::{Ctx, cursor};

/// What a caller asks of a listing.
pub(crate) struct Listing {
    scope: String,
    marker: Option<String>,
    max_items: Option<i32>,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// What it holds.
    pub(crate) items: Vec<T>,
    /// Where the next one starts, if there is one.
    pub(crate) marker: Option<String>,
}

impl<T> Page<T> {
    /// Whether there is a next page; IAM always says.
    pub(crate) fn is_truncated(&self) -> Option<bool> {
        Some(self.marker.is_some())
    }
}

impl Listing {
    /// The listing `scope` (the operation's name, and whatever else changes what it holds), from where the
    /// page before ended, with the most that a page may hold.
    pub(crate) fn new(
        scope: impl Into<String>,
        marker: Option<String>,
        max_items: Option<i32>,
    ) -> Self {
        Self {
            scope: scope.into(),
            marker,
            max_items,
        }
    }

    fn limit(&self) -> usize {
        self.max_items
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(DEFAULT_PAGE)
    }

    fn resume(&self, ctx: &Ctx) -> Result<Option<String>> {
        let resume = |marker: &String| {
            cursor::resume(ctx, &self.scope, marker).map_err(|_| {
                Error::new(
                    ErrorKind::Validation,
                    "Invalid Marker: use the value of the previous answer to the same listing, unchanged.",
                )
            })
        };
        self.marker.as_ref().map(resume).transpose()
    }

    /// A page of the records whose keys begin with `prefix`, in the order of their keys; `show` is given
    /// what stands behind the prefix, and leaves out what does not belong in the listing.
    pub(crate) async fn scan<R: Versioned, T>(
        &self,
        ctx: &Ctx,
        collection: Collection,
        prefix: &str,
        show: impl Fn(&str, R) -> Option<T>,
    ) -> Result<Page<T>> {
        let size = self.limit().saturating_add(1).min(CHUNK);
        let next = |after: Option<String>| async move {
            let found = chunk::<R>(ctx, collection, prefix, after.as_deref(), size).await?;
            let keyed = found.into_iter();
            Ok(keyed
                .map(|(name, record)| (name.clone(), (name, record)))
                .collect())
        };
        let show = |(name, record): (String, R)| std::future::ready(Ok(show(&name, record)));
        self.walk(ctx, next, show).await
    }

    /// A page of candidates whose keys are in an order of the caller's making: `next` answers some of
    /// those after a key, none at the end; `show` leaves out what does not belong in the listing.
    ///
    /// A page is full, or the last one, or as far as [`MAX_EXAMINED`] candidates reach: "IAM might return
    /// fewer than the MaxItems number of results even when there are more results available" (model).
    pub(crate) async fn walk<C, T, N, S>(
        &self,
        ctx: &Ctx,
        next: impl Fn(Option<String>) -> N,
        show: impl Fn(C) -> S,
    ) -> Result<Page<T>>
    where
        N: Future<Output = Result<Vec<(String, C)>>>,
        S: Future<Output = Result<Option<T>>>,
    {
        let limit = self.limit();
        let mut after = self.resume(ctx)?;
        let mut items = Vec::new();
        let mut last_shown = None;
        let mut examined = 0;
        let next = 'page: loop {
            if examined >= MAX_EXAMINED {
                break after;
            }
            let found = next(after.clone()).await?;
            if found.is_empty() {
                break None;
            }
            examined += found.len();
            for (key, candidate) in found {
                if let Some(item) = show(candidate).await? {
                    if items.len() == limit {
                        break 'page last_shown;
                    }
                    items.push(item);
                    last_shown = Some(key.clone());
                }
                after = Some(key);
            }
        };
        Ok(Page {
            items,
            marker: next.map(|key| cursor::token(ctx, &self.scope, &key)),
        })
    }

    /// A page of the caller's records of one kind whose paths begin with `path_prefix`, by name.
    pub(crate) async fn by_path<R: Resource, T>(
        mut self,
        ctx: &Ctx,
        path_prefix: Option<String>,
        show: impl Fn(R) -> T,
    ) -> Result<Page<T>> {
        let prefix = format!("{}/", ctx.account());
        let wanted = path_prefix.unwrap_or_default();
        self.scope = format!("{} {wanted}", self.scope);
        self.scan(ctx, R::COLLECTION, &prefix, |_, record: R| {
            record.path().starts_with(&wanted).then(|| show(record))
        })
        .await
    }

    /// A page of what lies in one record, which has at most some hundred of them, in its order.
    pub(crate) fn cut<T>(&self, ctx: &Ctx, all: Vec<T>) -> Result<Page<T>> {
        let start = match self.resume(ctx)? {
            Some(text) => text.parse().unwrap_or(usize::MAX),
            None => 0,
        };
        let limit = self.limit();
        let end = start.saturating_add(limit);
        let more = all.len() > end;
        Ok(Page {
            items: all.into_iter().skip(start).take(limit).collect(),
            marker: more.then(|| cursor::token(ctx, &self.scope, &end.to_string())),
        })
    }
}

/// Some of the records behind `prefix` and after the key `after`, each with what stands behind the prefix.
pub(crate) async fn chunk<R: Versioned>(
    ctx: &Ctx,
    collection: Collection,
    prefix: &str,
    after: Option<&str>,
    size: usize,
) -> Result<Vec<(String, R)>> {
    let from = after.map(|after| format!("{prefix}{after}"));
    let store = &ctx.app.store;
    let found = store
        .scan::<R>(collection, prefix, from.as_deref(), size)
        .await?;
    let name = |key: &str| key.strip_prefix(prefix).unwrap_or_default().to_owned();
    Ok(found
        .into_iter()
        .map(|stored| (name(&stored.key), stored.value))
        .collect())
}

/// Model, `MaxItems`: "If you do not include this parameter, the number of items defaults to 100".
const DEFAULT_PAGE: usize = 100;

/// Records read at a time.
pub(crate) const CHUNK: usize = 250;

/// Records looked at for one page: more than the groups, roles and instance profiles that an account may
/// have together with a fifth of its users; reading them takes some ten milliseconds.
const MAX_EXAMINED: usize = 2000;
