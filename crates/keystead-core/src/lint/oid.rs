//! Object identifiers as the content octets of their DER.

// Extensions: id-ce, 2.5.29 (RFC 5280 section 4.2.1); id-pe, 1.3.6.1.5.5.7.1 (section 4.2.2).
pub(super) const DIRECTORY_ATTRIBUTES: &[u8] = &[0x55, 0x1d, 9];
pub(super) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
pub(super) const ISSUER_ALT_NAME: &[u8] = &[0x55, 0x1d, 18];
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
pub(super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
pub(super) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
pub(super) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
pub(super) const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
pub(super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
pub(super) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
pub(super) const FRESHEST_CRL: &[u8] = &[0x55, 0x1d, 46];
pub(super) const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
pub(super) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

pub(super) const SUBJECT_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 11];
/// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
pub(super) const OCSP_NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];

/// id-ad-ocsp (RFC 5280 section 4.2.2.1).
pub(super) const ACCESS_OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
// Policies (RFC 5280 section 4.2.1.4).
pub(super) const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];
/// What the CA/Browser Forum's policies begin with (2.23.140.1.2), and the one for extended validation.
pub(super) const CABF_POLICIES: &[u8] = &[0x67, 0x81, 0x0c, 1, 2];
pub(super) const CABF_EV: &[u8] = &[0x67, 0x81, 0x0c, 1, 1];
pub(super) const QUALIFIER_CPS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 1];
pub(super) const QUALIFIER_NOTICE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 2];
// Other names: id-on, 1.3.6.1.5.5.7.8 (RFC 4985 section 2, RFC 9598 section 3).
pub(super) const DNS_SRV: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 7];
pub(super) const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];

// Purposes: id-kp, 1.3.6.1.5.5.7.3 (RFC 5280 section 4.2.1.12).
pub(super) const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 37, 0];
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(super) const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
pub(super) const EMAIL_PROTECTION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
pub(super) const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
pub(super) const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];

// Public keys (RFC 3279 section 2.3.1, RFC 5480 section 2.1.1, RFC 8410 section 3, RFC 9881
// section 2).
pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
pub(super) const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
pub(super) const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
pub(super) const ML_DSA_44: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17];
pub(super) const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18];
pub(super) const ML_DSA_87: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19];

// Attributes of names: id-at, 2.5.4 (RFC 5280 appendix A.1).
pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const SURNAME: &[u8] = &[0x55, 4, 4];
pub(super) const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
pub(super) const COUNTRY: &[u8] = &[0x55, 4, 6];
pub(super) const LOCALITY: &[u8] = &[0x55, 4, 7];
pub(super) const STATE: &[u8] = &[0x55, 4, 8];
pub(super) const ORGANIZATION: &[u8] = &[0x55, 4, 10];
pub(super) const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 4, 11];
pub(super) const TITLE: &[u8] = &[0x55, 4, 12];
pub(super) const GIVEN_NAME: &[u8] = &[0x55, 4, 42];
pub(super) const INITIALS: &[u8] = &[0x55, 4, 43];
pub(super) const GENERATION_QUALIFIER: &[u8] = &[0x55, 4, 44];
pub(super) const DN_QUALIFIER: &[u8] = &[0x55, 4, 46];
pub(super) const PSEUDONYM: &[u8] = &[0x55, 4, 65];
pub(super) const DOMAIN_COMPONENT: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
pub(super) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

/// Whether the rules know what the extension holds, and that it is DER.
pub(super) fn is_known_extension(oid: &[u8]) -> bool {
    matches!(
        oid,
        DIRECTORY_ATTRIBUTES
            | SUBJECT_KEY_ID
            | KEY_USAGE
            | SUBJECT_ALT_NAME
            | ISSUER_ALT_NAME
            | BASIC_CONSTRAINTS
            | NAME_CONSTRAINTS
            | CRL_DISTRIBUTION_POINTS
            | CERTIFICATE_POLICIES
            | POLICY_MAPPINGS
            | AUTHORITY_KEY_ID
            | POLICY_CONSTRAINTS
            | EXTENDED_KEY_USAGE
            | FRESHEST_CRL
            | INHIBIT_ANY_POLICY
            | AUTHORITY_INFO_ACCESS
            | SUBJECT_INFO_ACCESS
            | OCSP_NO_CHECK
    )
}
