//! ListCertificates: filters, pages, orders.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_wire::acm as wire;

use super::world::{World, private, public};
use crate::acm;

async fn list(
    world: &World,
    request: wire::ListCertificatesRequest,
) -> Result<wire::ListCertificatesResponse, ErrorKind> {
    acm::list_certificates(&world.ctx(), request)
        .await
        .map_err(|error| error.kind)
}

fn all() -> wire::ListCertificatesRequest {
    wire::ListCertificatesRequest {
        includes: Some(wire::Filters {
            key_types: Some(vec![
                wire::KeyAlgorithm::Rsa2048,
                wire::KeyAlgorithm::EcPrime256v1,
            ]),
            ..wire::Filters::default()
        }),
        ..wire::ListCertificatesRequest::default()
    }
}

fn arns(page: &wire::ListCertificatesResponse) -> Vec<String> {
    let summaries = page.certificate_summary_list.iter().flatten();
    summaries
        .map(|summary| summary.certificate_arn.clone().unwrap())
        .collect()
}

/// Every page of a listing.
async fn pages(world: &World, mut request: wire::ListCertificatesRequest) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = list(world, request.clone()).await.unwrap();
        pages.push(arns(&page));
        assert!(pages.len() < 100);
        match page.next_token {
            Some(token) => request.next_token = Some(token),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_hold_everything_once_in_any_order() {
    let world = World::new().await;
    let ca = world.ca().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(world.private(&ca).await);
        world.pass(SignedDuration::from_secs(1));
    }
    let sorted =
        |by: Option<wire::SortBy>, order: Option<wire::SortOrder>| wire::ListCertificatesRequest {
            sort_by: by,
            sort_order: order,
            max_items: Some(3),
            ..all()
        };
    let unsorted = pages(&world, sorted(None, None)).await;
    assert_eq!(unsorted.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let mut found = unsorted.concat();
    found.sort();
    let mut expected = made.clone();
    expected.sort();
    assert_eq!(found, expected);
    let created = Some(wire::SortBy::CreatedAt);
    let ascending = pages(&world, sorted(created, Some(wire::SortOrder::Ascending))).await;
    assert_eq!(ascending.concat(), made);
    let descending = pages(&world, sorted(created, Some(wire::SortOrder::Descending))).await;
    made.reverse();
    assert_eq!(descending.concat(), made);
    world.delete(&made[3]).await.unwrap();
    made.remove(3);
    assert_eq!(
        pages(&world, sorted(created, Some(wire::SortOrder::Descending)))
            .await
            .concat(),
        made
    );
    assert_eq!(
        list(&world, sorted(created, None)).await.map(drop),
        Err(ErrorKind::Validation)
    );
    let exact = wire::ListCertificatesRequest {
        max_items: Some(6),
        ..all()
    };
    assert_eq!(
        list(&world, exact).await.unwrap().next_token,
        None,
        "a full last page is the last"
    );
}

#[tokio::test]
async fn a_token_is_good_for_its_listing_alone() {
    let world = World::new().await;
    let ca = world.ca().await;
    for _ in 0..3 {
        world.private(&ca).await;
    }
    let first = wire::ListCertificatesRequest {
        max_items: Some(1),
        ..all()
    };
    let token = list(&world, first.clone())
        .await
        .unwrap()
        .next_token
        .unwrap();
    let mut altered = token.clone().into_bytes();
    altered[3] ^= 1;
    let other_order = wire::ListCertificatesRequest {
        sort_by: Some(wire::SortBy::CreatedAt),
        sort_order: Some(wire::SortOrder::Ascending),
        ..first.clone()
    };
    for (request, token) in [
        (first.clone(), String::from_utf8(altered).unwrap()),
        (first.clone(), "x".into()),
        (other_order, token),
    ] {
        let request = wire::ListCertificatesRequest {
            next_token: Some(token),
            ..request
        };
        assert_eq!(
            list(&world, request).await.map(drop),
            Err(ErrorKind::InvalidNextToken)
        );
    }
}

#[tokio::test]
async fn filters_choose_and_summaries_say_what_describe_says() {
    let world = World::new().await;
    let ca = world.ca().await;
    let ec = world.private(&ca).await;
    let rsa = wire::RequestCertificateRequest {
        key_algorithm: None,
        ..private(&ca)
    };
    let rsa = world.request(rsa).await.unwrap();
    let pending = world.request(public("a.example.com")).await.unwrap();
    world.export(&ec).await.unwrap();

    let mut shown = arns(
        &list(&world, wire::ListCertificatesRequest::default())
            .await
            .unwrap(),
    );
    shown.sort();
    let mut expected = vec![rsa.clone(), pending.clone()];
    expected.sort();
    assert_eq!(
        shown, expected,
        "by default RSA of 1024 and 2048 bits alone"
    );
    let issued = wire::ListCertificatesRequest {
        certificate_statuses: Some(vec![wire::CertificateStatus::Issued]),
        ..wire::ListCertificatesRequest::default()
    };
    assert_eq!(arns(&list(&world, issued).await.unwrap()), [rsa]);
    let exported = list(&world, all())
        .await
        .unwrap()
        .certificate_summary_list
        .unwrap();
    for summary in exported {
        let arn = summary.certificate_arn.clone().unwrap();
        let detail = world.describe(&arn).await;
        assert_eq!(summary.exported, Some(arn == ec));
        assert_eq!(summary.in_use, Some(false));
        assert_eq!(
            summary.has_additional_subject_alternative_names,
            Some(false)
        );
        assert_eq!(
            summary.subject_alternative_name_summaries,
            detail.subject_alternative_names
        );
        assert_eq!(
            (summary.status, summary.type_),
            (detail.status, detail.type_)
        );
        assert_eq!(
            (summary.not_before, summary.not_after),
            (detail.not_before, detail.not_after)
        );
        assert_eq!(summary.key_algorithm, detail.key_algorithm);
        assert_eq!(summary.renewal_eligibility, detail.renewal_eligibility);
    }
}
