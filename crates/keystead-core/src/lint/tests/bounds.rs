//! What the certificates above leave to those below.

use std::slice::from_ref;

use super::build::{Parts, ext, ia5, name, oid_tlv, seq, tlv};
use super::{Bounds, broken, issuer, lint_tbs};

const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];

fn subtrees(list: u8, bases: &[Vec<u8>]) -> Vec<u8> {
    let all: Vec<u8> = bases.iter().flat_map(|base| seq(&[base])).collect();
    match bases {
        [] => Vec::new(),
        _ => tlv(list, &all),
    }
}

/// An authority's certificate that permits and excludes these.
fn authority(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let lists = [subtrees(0xa0, permitted), subtrees(0xa1, excluded)];
    with(ext::critical(
        ext::NAME_CONSTRAINTS,
        &tlv(0x30, &lists.concat()),
    ))
}

fn with(extension: ext::Ext) -> Vec<u8> {
    let mut parts = Parts::ca();
    parts.set(extension);
    certificate(&parts)
}

fn certificate(parts: &Parts) -> Vec<u8> {
    seq(&[&parts.tbs(), &parts.signature, &tlv(3, &[0, 1])])
}

fn for_purpose(oid: &[u8]) -> ext::Ext {
    ext::plain(ext::EXTENDED_KEY_USAGE, &seq(&[&oid_tlv(oid)]))
}

fn below(path: &[Vec<u8>], names: &[Vec<u8>]) -> Parts {
    let mut parts = Parts::leaf();
    parts.names(names);
    parts.bounds = Some(Bounds::of(path.iter().map(Vec::as_slice)).unwrap());
    parts
}

fn directory(parts: &[(u8, u8, &[u8])]) -> Vec<u8> {
    tlv(0xa4, &name(parts))
}

const PERMITTED: &str = "rfc5280_6_1_3_b_names_are_permitted";
const EXCLUDED: &str = "rfc5280_6_1_3_c_names_are_not_excluded";
const PURPOSES: &str = "rfc5280_4_2_1_12_purposes_are_the_issuers";

fn names() -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let utf8 = |text: &str| {
        tlv(
            0xa0,
            &[
                oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 8, 9]),
                tlv(0xa0, &tlv(12, text.as_bytes())),
            ]
            .concat(),
        )
    };
    vec![
        // (base, a name within, a name without)
        (ia5(2, "a.test"), ia5(2, "x.A.test"), ia5(2, "xa.test")),
        (ia5(1, "a.test"), ia5(1, "me@a.test"), ia5(1, "me@b.test")),
        (ia5(1, ".a.test"), utf8("ü@b.a.test"), utf8("ü@a.test")),
        (
            ia5(6, ".a.test"),
            ia5(6, "https://b.a.test/"),
            ia5(6, "https://a.test/"),
        ),
        (
            tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]),
            tlv(0x87, &[10, 1, 2, 3]),
            tlv(0x87, &[11, 1, 2, 3]),
        ),
        (
            directory(&[(6, 0x13, b"NL"), (10, 0x0c, b"eXample")]),
            directory(&[(6, 0x13, b"NL"), (10, 0x13, b"Example"), (3, 0x0c, b"x")]),
            directory(&[(6, 0x13, b"NL"), (3, 0x0c, b"Example")]),
        ),
    ]
}

pub(super) fn bad() -> Vec<(&'static str, Parts)> {
    let mut all = Vec::new();
    let open = certificate(&Parts::ca());
    for (base, within, without) in names() {
        // Wherever in the path it is.
        for path in [
            vec![authority(from_ref(&base), &[]), open.clone()],
            vec![open.clone(), authority(from_ref(&base), &[])],
        ] {
            all.push((PERMITTED, below(&path, from_ref(&without))));
        }
        all.push((EXCLUDED, below(&[authority(&[], &[base])], &[within])));
    }
    let hidden = ia5(2, "b.a.test");
    all.push((
        EXCLUDED,
        below(&[authority(&[], &[hidden])], &[ia5(2, "*.a.test")]),
    ));
    // What nobody can compare.
    let other = tlv(
        0xa0,
        &[oid_tlv(&[0x55, 4, 3]), tlv(0xa0, &[0x13, 2, b'm', b'o'])].concat(),
    );
    all.push((
        PERMITTED,
        below(&[authority(from_ref(&other), &[])], from_ref(&other)),
    ));
    all.push((
        EXCLUDED,
        below(&[authority(&[], from_ref(&other))], &[other]),
    ));
    // The common name, where nothing else names a host.
    let mut common = below(&[authority(&[ia5(2, "b.test")], &[])], &[]);
    common.remove(ext::SUBJECT_ALT_NAME);
    all.push((PERMITTED, common));
    let mut purposes = Parts::leaf();
    purposes.bounds = Some(Bounds::of([with(for_purpose(SERVER_AUTH)).as_slice()]).unwrap());
    all.push((PURPOSES, purposes));
    all
}

#[test]
fn what_is_within_the_bounds_passes() {
    for (base, within, without) in names() {
        let permitting = authority(from_ref(&base), &[]);
        assert_eq!(broken(&below(&[permitting], &[within])), [""; 0]);
        let mut beside = below(&[authority(&[], &[base])], &[without]);
        beside.subject = name(&[(3, 0x0c, b"beside")]);
        assert_eq!(broken(&beside), [""; 0]);
    }
    let mut purposes = Parts::leaf();
    purposes.bounds = Some(Bounds::of([with(for_purpose(SERVER_AUTH)).as_slice()]).unwrap());
    for purpose in [SERVER_AUTH, OCSP_SIGNING] {
        purposes.set(for_purpose(purpose));
        assert_eq!(broken(&purposes), [""; 0]);
    }
}

#[test]
fn the_path_as_a_whole_limits_how_many_authorities_follow() {
    let limited = |limit: &[u8]| {
        with(ext::critical(
            ext::BASIC_CONSTRAINTS,
            &seq(&[&[1, 1, 0xff], limit]),
        ))
    };
    let left = |path: &[Vec<u8>]| {
        Bounds::of(path.iter().map(Vec::as_slice))
            .unwrap()
            .path_len()
    };
    assert_eq!(left(&[limited(&[])]), None);
    assert_eq!(left(&[limited(&[2, 1, 3]), limited(&[])]), Some(3));
    assert_eq!(left(&[limited(&[]), limited(&[2, 1, 3])]), Some(2));
    assert_eq!(left(&[limited(&[2, 1, 1]), limited(&[2, 1, 3])]), Some(1));
    assert_eq!(left(&[limited(&[]), limited(&[2, 1, 0])]), Some(0));
    assert!(Bounds::of([b"no certificate".as_slice()]).is_err());
}

#[test]
fn a_name_of_our_own_goes_below_what_is_permitted() {
    let own = name(&[(3, 0x0c, b"own")]);
    assert_eq!(*Bounds::default().below(&own), own);
    let long = "x".repeat(150);
    for organization in ["Example", &long] {
        let base = name(&[(10, 0x0c, organization.as_bytes())]);
        let path = authority(&[ia5(2, "a.test"), tlv(0xa4, &base)], &[]);
        let bounds = Bounds::of([path.as_slice()]).unwrap();
        let expected = name(&[(10, 0x0c, organization.as_bytes()), (3, 0x0c, b"own")]);
        assert_eq!(*bounds.below(&own), expected);
    }
}

#[test]
fn damaged_paths_and_names_never_panic() {
    let bases: Vec<Vec<u8>> = names().into_iter().map(|(base, ..)| base).collect();
    let path = authority(&bases, &bases);
    let mut leaf = Parts::with_every_name();
    leaf.bounds = Some(Bounds::of([path.as_slice()]).unwrap());
    let whole = leaf.tbs();
    for flip in [0x01, 0x20, 0x80, 0xff] {
        for at in 0..path.len() {
            let mut damaged = path.clone();
            damaged[at] ^= flip;
            if let Ok(bounds) = Bounds::of([damaged.as_slice()]) {
                let mut below = leaf.clone();
                below.bounds = Some(bounds);
                let _ = broken(&below);
            }
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = lint_tbs(&damaged, &issuer(&leaf));
        }
    }
}
