//! SearchCertificates: what is found, in which order, page by page.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::acm::Certificate;
use keystead_core::acm::index::{Family, SortBy, position};
use keystead_core::acm::properties::Property;
use keystead_core::acm::search::{Filter, Statement, Text};
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;
use keystead_store::{Batch, Collection, Expect};
use keystead_wire::acm as wire;

use super::world::{DAY, NODE, World, private, public};
use crate::acm;
use crate::acm::found::{self, Query};
use crate::acm::record::{CERTIFICATES, CertificateRecord, INDEX};

/// Certificates of every kind and in most states.
async fn filled() -> World {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    for name in ["a", "b", "c", "d"] {
        let request = wire::RequestCertificateRequest {
            domain_name: format!("{name}.example.com"),
            subject_alternative_names: Some(vec![format!("www.{name}.example.com")]),
            ..private(&ca)
        };
        let arn = world.request(request).await.unwrap();
        world.pass(SignedDuration::from_secs(1));
        match name {
            "a" => drop(world.export(&arn).await.unwrap()),
            "b" => world.associate(&arn, NODE).await.unwrap(),
            "c" => {
                world.export(&arn).await.unwrap();
                world.renew(&arn).await.unwrap();
                revoke(&world, &arn).await.unwrap();
            }
            _ => {}
        }
    }
    for _ in 0..3 {
        world.request(public("pending.example.com")).await.unwrap();
    }
    world
        .request(private(&world.ca_without_certificate().await))
        .await
        .unwrap();
    for days in [-1..10, -2..300] {
        let (key, pem) = world.own_key(KeySpec::EcP384).await;
        let certificate = world
            .sign("own.example.com", &key, ("own.example.com", &key), days)
            .await;
        let request = wire::ImportCertificateRequest {
            certificate_arn: None,
            certificate: certificate.into_bytes().into(),
            private_key: pem.into_bytes().into(),
            certificate_chain: None,
            tags: None,
        };
        acm::import_certificate(&world.ctx(), request)
            .await
            .unwrap();
    }
    world.pass_and_run(DAY * 20).await;
    world
}

async fn revoke(world: &World, arn: &str) -> Result<(), ErrorKind> {
    let input = wire::RevokeCertificateRequest {
        certificate_arn: arn.into(),
        revocation_reason: wire::RevocationReason::KeyCompromise,
    };
    let revoked = acm::revoke_certificate(&world.ctx(), input).await;
    revoked.map(drop).map_err(|error| error.kind)
}

async fn everything(world: &World) -> Vec<Certificate> {
    let found = world
        .app
        .store
        .scan::<CertificateRecord>(CERTIFICATES, "", None, 1000)
        .await
        .unwrap();
    found.into_iter().map(|stored| stored.value.0).collect()
}

fn arns(found: &[Certificate]) -> Vec<String> {
    found
        .iter()
        .map(|certificate| certificate.arn.clone())
        .collect()
}

/// Every order of the model.
fn orders() -> Vec<SortBy> {
    let families = [
        Family::CreatedAt,
        Family::IssuedAt,
        Family::ImportedAt,
        Family::RevokedAt,
        Family::NotBefore,
        Family::NotAfter,
        Family::CommonName,
    ];
    let properties = Property::ALL.map(SortBy::Property);
    let families = families.map(SortBy::Family).into_iter();
    [SortBy::Id]
        .into_iter()
        .chain(families)
        .chain(properties)
        .collect()
}

fn is(filter: Filter) -> Statement {
    Statement::Is(filter)
}

fn statements() -> Vec<Option<Statement>> {
    let issued = is(Filter::Property(Property::Status, "ISSUED".into()));
    let named = is(Filter::DnsName(Text::new("www.a.example.com", false)));
    let part = is(Filter::CommonName(Text::new("example", true)));
    vec![
        None,
        Some(issued.clone()),
        Some(Statement::Not(Box::new(issued.clone()))),
        Some(named.clone()),
        Some(Statement::All(vec![issued.clone(), part.clone()])),
        Some(Statement::Any(vec![named, Statement::Not(Box::new(part))])),
        Some(is(Filter::Never)),
    ]
}

#[tokio::test]
async fn every_order_of_every_statement_is_what_sorting_everything_gives() {
    let world = filled().await;
    let all = everything(&world).await;
    let ctx = world.ctx();
    for by in orders() {
        for descending in [false, true] {
            for statement in statements() {
                let mut expected = all.clone();
                if let Some(statement) = &statement {
                    expected.retain(|certificate| statement.holds(certificate, ctx.now));
                }
                expected.sort_by_key(|certificate| position(certificate, by));
                if descending {
                    expected.reverse();
                }
                for limit in [1, 3, 100] {
                    let query = Query {
                        statement: statement.clone(),
                        by,
                        descending,
                        limit,
                    };
                    let (mut found, mut walked) = (Vec::new(), Vec::new());
                    let (mut after, mut at) = (None, None);
                    loop {
                        let (page, next) = found::page(&ctx, &query, after).await.unwrap();
                        assert!(page.len() <= limit);
                        found.extend(page);
                        let classes = found::classes(&ctx, &query).await.unwrap();
                        let (page, then) = found::walk(&ctx, &query, &classes, at).await.unwrap();
                        walked.extend(page);
                        assert_eq!(next, then, "both ways go on at the same place");
                        (after, at) = (next, then);
                        if after.is_none() {
                            break;
                        }
                    }
                    let told = format!("{by:?} {descending} {statement:?} by {limit}");
                    assert_eq!(arns(&found), arns(&expected), "{told}");
                    assert_eq!(arns(&walked), arns(&expected), "{told}, walked");
                }
            }
        }
    }
}

#[tokio::test]
async fn deleting_everything_leaves_no_row() {
    let world = filled().await;
    assert!(!world.keys::<()>(INDEX).await.is_empty());
    for certificate in everything(&world).await {
        if certificate.uses > 0 {
            world.release(&certificate.arn, NODE).await.unwrap();
        }
        world.delete(&certificate.arn).await.unwrap();
    }
    assert!(world.keys::<()>(INDEX).await.is_empty());
}

#[tokio::test]
async fn what_was_stored_without_rows_is_indexed_once() {
    let world = filled().await;
    let rows = world.keys::<()>(INDEX).await;
    let mut batch = Batch::new();
    for row in &rows {
        batch.delete(INDEX, row.as_str(), Expect::Any);
    }
    batch.delete(Collection("acm.index-form"), "1", Expect::Any);
    world.app.store.commit(batch).await.unwrap();
    let world = World(world.0.restart().await);
    world.run_due().await;
    assert_eq!(world.keys::<()>(INDEX).await, rows);
}

async fn search(
    world: &World,
    filter: wire::CertificateFilterStatement,
) -> Result<Vec<wire::CertificateSearchResult>, ErrorKind> {
    let input = wire::SearchCertificatesRequest {
        filter_statement: Some(filter),
        ..wire::SearchCertificatesRequest::default()
    };
    let answer = acm::search_certificates(&world.ctx(), input).await;
    answer
        .map(|answer| answer.results.unwrap())
        .map_err(|error| error.kind)
}

#[tokio::test]
async fn unions_have_one_member_and_ranges_an_end() {
    let world = World::new().await;
    let filter = |filter| wire::CertificateFilterStatement {
        filter: Some(filter),
        ..wire::CertificateFilterStatement::default()
    };
    let attribute = |attribute| {
        filter(wire::CertificateFilter {
            x509_attribute_filter: Some(attribute),
            ..wire::CertificateFilter::default()
        })
    };
    let range = |start, end| {
        attribute(wire::X509AttributeFilter {
            not_after: Some(wire::TimestampRange { start, end }),
            ..wire::X509AttributeFilter::default()
        })
    };
    let now = world.now();
    let both = wire::CertificateFilterStatement {
        or: Some(vec![range(Some(now), None)]),
        ..range(Some(now), None)
    };
    for refused in [
        wire::CertificateFilterStatement::default(),
        both,
        filter(wire::CertificateFilter::default()),
        attribute(wire::X509AttributeFilter::default()),
        range(None, None),
        range(Some(now), Some(now - DAY)),
    ] {
        let told = format!("{refused:?}");
        let answer = search(&world, refused).await.map(drop);
        assert_eq!(answer, Err(ErrorKind::Validation), "{told}");
    }
    assert_eq!(
        search(&world, range(Some(now), Some(now))).await,
        Ok(vec![])
    );
}

/// Each commit of a revocation fails once, unheard or not: whoever asks again comes to the end, nothing is REVOKED whose CA
/// does not say so, and the CA has signed nothing for it.
#[tokio::test]
async fn a_revocation_that_was_cut_off_is_asked_for_again() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..20 {
            let world = World::new().await;
            let ca = world.ca().await;
            world.grant(&ca).await;
            let arn = world.private(&ca).await;
            world.export(&arn).await.unwrap();
            world.renew(&arn).await.unwrap();
            let serials = serials(&world, &arn).await;
            assert_eq!(serials.len(), 2);
            let issued = super::crash::issued_by(&world).await;
            world.app.store.fail_commit(nth, failure);
            let first = revoke(&world, &arn).await;
            let failed = !world.app.store.is_to_fail();
            world.app.store.fail_commit(0, failure);
            let status = world.describe(&arn).await.status;
            let is_revoked = status == Some(wire::CertificateStatus::Revoked);
            if first.is_ok() || is_revoked {
                assert!(
                    is_revoked && all_revoked(&world, &ca, &serials).await,
                    "{failure:?} {nth}"
                );
            }
            let again = revoke(&world, &arn).await;
            let expected = if is_revoked {
                Err(ErrorKind::Validation)
            } else {
                Ok(())
            };
            assert_eq!(again, expected, "{failure:?} {nth}");
            assert!(
                all_revoked(&world, &ca, &serials).await,
                "{failure:?} {nth}"
            );
            let status = world.describe(&arn).await.status;
            assert_eq!(
                status,
                Some(wire::CertificateStatus::Revoked),
                "{failure:?} {nth}"
            );
            assert_eq!(
                super::crash::issued_by(&world).await,
                issued,
                "{failure:?} {nth}"
            );
            if !failed {
                assert!(nth > 3, "two revocations and the mark are three commits");
                break;
            }
        }
    }
}

async fn all_revoked(world: &World, ca: &str, serials: &[Vec<u8>]) -> bool {
    let ctx = world.ctx();
    for serial in serials {
        let (account, region) = (ctx.account(), &ctx.region);
        let revoked = crate::pca::internal::has_revoked(&world.app, account, region, ca, serial);
        if !revoked.await.unwrap() {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_revoked_certificate_is_over() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arn = world.private(&ca).await;
    assert_eq!(
        revoke(&world, &arn).await,
        Err(ErrorKind::Validation),
        "never exported"
    );
    world.export(&arn).await.unwrap();
    world.associate(&arn, NODE).await.unwrap();
    assert_eq!(revoke(&world, &arn).await, Err(ErrorKind::ResourceInUse));
    world.release(&arn, NODE).await.unwrap();
    world.renew(&arn).await.unwrap();
    let serials = serials(&world, &arn).await;
    assert_eq!(revoke(&world, &arn).await, Ok(()));
    let shown = world.describe(&arn).await;
    assert_eq!(shown.status, Some(wire::CertificateStatus::Revoked));
    assert_eq!(shown.revoked_at, Some(world.now()));
    assert_eq!(
        shown.revocation_reason,
        Some(wire::RevocationReason::KeyCompromise)
    );
    assert_eq!(
        shown.renewal_eligibility,
        Some(wire::RenewalEligibility::Ineligible)
    );
    let ctx = world.ctx();
    for serial in serials {
        let revoked =
            crate::pca::internal::has_revoked(&world.app, ctx.account(), &ctx.region, &ca, &serial);
        assert!(revoked.await.unwrap(), "both versions are");
    }
    assert_eq!(
        revoke(&world, &arn).await,
        Err(ErrorKind::Validation),
        "once is enough"
    );
    assert_eq!(world.renew(&arn).await, Err(ErrorKind::Validation));
    assert!(matches!(
        world.export(&arn).await,
        Err(ErrorKind::Validation)
    ));
    assert_eq!(
        world.associate(&arn, NODE).await,
        Err(ErrorKind::InvalidState)
    );
    world.pass_and_run(DAY * 400).await;
    let shown = world.describe(&arn).await;
    assert_eq!(
        shown.status,
        Some(wire::CertificateStatus::Revoked),
        "for ever"
    );
    assert_eq!(world.delete(&arn).await, Ok(()));
}

/// The serial numbers of all versions that are kept.
pub(super) async fn serials(world: &World, arn: &str) -> Vec<Vec<u8>> {
    let key = super::renewing::acm_key(arn);
    let mut serials = Vec::new();
    for version in [1, 2] {
        let material = acm::record::material(&world.app.store, &key, version)
            .await
            .unwrap();
        let leaf =
            keystead_crypto::x509::Certificate::parse(material.certificate.unwrap().as_bytes());
        serials.push(leaf.unwrap().serial);
    }
    serials
}
