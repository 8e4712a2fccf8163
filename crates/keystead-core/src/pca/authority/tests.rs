//! The life of an authority, over every (status, command) pair.

use super::*;
use crate::pca::StandardAttribute;

const DAY: i64 = 86_400;

pub(in super::super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn installed(not_after: i64) -> Installed {
    Installed {
        fingerprint: vec![1; 32],
        serial: vec![2; 16],
        subject_der: vec![0x30, 0],
        key_id: vec![3; 20],
        not_before: 0,
        not_after,
        path_len: None,
        bounds: None,
    }
}

fn creating() -> CertificateAuthority {
    let subject = Subject::standard([(StandardAttribute::CommonName, "Test CA".into())]).unwrap();
    let new = NewAuthority {
        id: "11111111-2222-4333-8444-555555555555".into(),
        account: AccountId::parse("000000000000").unwrap(),
        region: Region::parse("eu-west-1").unwrap(),
        kind: Kind::Root,
        key_spec: KeySpec::EcP256,
        signing_algorithm: SignatureAlgorithm::Sha256WithEcdsa,
        subject,
        csr_extensions: CsrExtensions::default(),
        usage: UsageMode::default(),
        key_storage: "FIPS_140_2_LEVEL_3_OR_HIGHER".into(),
        revocation: RevocationConfiguration::default(),
        tags: Tags::new(),
    };
    CertificateAuthority::create(new, at(0)).unwrap()
}

/// An authority of each status at second 100.
pub(in super::super) fn in_status(status: Status) -> CertificateAuthority {
    let mut authority = creating();
    match status {
        Status::Creating => return authority,
        Status::Failed => {
            authority.key_failed(at(1));
            return authority;
        }
        _ => authority.key_is_ready(),
    }
    if status == Status::PendingCertificate {
        return authority;
    }
    let not_after = if status == Status::Expired {
        50
    } else {
        1000 * DAY
    };
    authority.install(installed(not_after), at(2)).unwrap();
    match status {
        Status::Disabled => authority.set_active(false, at(3)).unwrap(),
        Status::Deleted => {
            authority.set_active(false, at(3)).unwrap();
            authority.delete(Some(7), at(4)).unwrap();
        }
        _ => {}
    }
    authority
}

fn apply(authority: &mut CertificateAuthority, command: Command, now: Timestamp) -> Result<()> {
    match command {
        Command::Install => authority.install(installed(2000 * DAY), now),
        Command::Update => authority.set_active(false, now),
        Command::Delete => authority.delete(None, now).map(|_| ()),
        Command::Restore => authority.restore(now),
        other => authority.check(other, now),
    }
}

/// Every (status, command) pair: what is refused changes nothing; what is allowed leads where
/// the life cycle leads.
#[test]
fn every_pair_leads_where_it_should() {
    for status in Status::ALL {
        assert_eq!(in_status(status).status(at(100)), status);
        for command in Command::ALL {
            let before = in_status(status);
            let mut after = before.clone();
            let verdict = apply(&mut after, command, at(100));
            if verdict.is_err() {
                assert_eq!(after, before, "{status:?} {command:?} refused, but changed");
                continue;
            }
            let expected = match (status, command) {
                (_, Command::Install) => Status::Active,
                (_, Command::Update | Command::Restore) => Status::Disabled,
                (_, Command::Delete) => Status::Deleted,
                (status, _) => status,
            };
            assert_eq!(after.status(at(100)), expected, "{status:?} {command:?}");
        }
    }
}

#[test]
fn a_deleted_authority_comes_back_as_it_was() {
    for status in [
        Status::PendingCertificate,
        Status::Disabled,
        Status::Expired,
    ] {
        let mut authority = in_status(status);
        let gone_at = authority.delete(Some(7), at(100)).unwrap();
        assert_eq!(gone_at, at(100 + 7 * DAY));
        assert_eq!(authority.restorable_until(), Some(gone_at));
        assert!(!authority.is_to_be_purged(at(100 + 7 * DAY - 1)));
        authority.restore(at(101)).unwrap();
        assert_eq!(authority.status(at(101)), status);
    }
}

#[test]
fn nothing_comes_back_after_its_time() {
    let mut authority = in_status(Status::Disabled);
    authority.delete(None, at(100)).unwrap();
    let end = at(100 + 30 * DAY);
    assert!(authority.is_to_be_purged(end));
    assert_eq!(
        authority.restore(end).unwrap_err().kind,
        ErrorKind::InvalidState
    );
    let mut never_made = in_status(Status::Failed);
    assert_eq!(never_made.delete(None, at(100)).unwrap(), at(100));
    assert_eq!(never_made.restorable_until(), None);
    assert!(never_made.is_to_be_purged(at(100)));
    assert!(never_made.restore(at(100)).is_err());
}

#[test]
fn the_restoration_period_is_a_week_to_a_month() {
    for (days, fits) in [(6, false), (7, true), (30, true), (31, false)] {
        let mut authority = in_status(Status::Disabled);
        assert_eq!(
            authority.delete(Some(days), at(100)).is_ok(),
            fits,
            "{days}"
        );
        assert_eq!(authority.status(at(100)) == Status::Deleted, fits);
    }
}

#[test]
fn expiry_shows_by_itself_and_a_new_certificate_ends_it() {
    let mut authority = in_status(Status::Disabled);
    let end = at(1000 * DAY);
    assert_eq!(authority.status(end), Status::Disabled);
    let after = at(1000 * DAY + 1);
    assert_eq!(authority.status(after), Status::Expired);
    assert_eq!(authority.last_state_change(after), end);
    authority.install(installed(3000 * DAY), after).unwrap();
    assert_eq!(authority.status(after), Status::Disabled);
}

#[test]
fn a_key_makes_only_its_own_signatures() {
    let error = fits(KeySpec::Rsa2048, SignatureAlgorithm::Sha384WithEcdsa).unwrap_err();
    assert_eq!(
        error.message,
        "Signing algorithm SHA384WITHECDSA cannot be used with key type RSA_2048. \
         Valid signing algorithms are: SHA256WITHRSA, SHA384WITHRSA, SHA512WITHRSA, SHA256WITHRSA_PSS, SHA384WITHRSA_PSS, SHA512WITHRSA_PSS."
    );
    assert_eq!(fits(KeySpec::MlDsa65, SignatureAlgorithm::MlDsa65), Ok(()));
}

#[test]
fn the_arn_is_aws_shaped() {
    assert_eq!(
        creating().arn(),
        "arn:aws:acm-pca:eu-west-1:000000000000:certificate-authority/11111111-2222-4333-8444-555555555555"
    );
}

#[test]
fn one_report_in_thirty_minutes() {
    let mut authority = in_status(Status::Active);
    let minutes = |minutes: i64| at(100 + 60 * minutes);
    assert_eq!(authority.report(minutes(0)), Ok(()));
    let early = authority.report(minutes(29)).map_err(|error| error.kind);
    assert_eq!(early, Err(ErrorKind::RequestInProgress));
    assert_eq!(authority.report(minutes(30)), Ok(()));
    let again = authority.report(minutes(31)).map_err(|error| error.kind);
    assert_eq!(again, Err(ErrorKind::RequestInProgress));
}
