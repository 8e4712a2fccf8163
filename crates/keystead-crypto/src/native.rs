//! What the library can do but its safe interface leaves out: three calls into C.
//!
//! Everything else goes through aws-lc-rs. Each function here checks every length before it hands
//! a pointer over, keeps none, and frees what it was given in a guard's `drop`.

#![expect(unsafe_code, reason = "the library's C functions")]

use std::ptr;

use aws_lc_sys as c;
use zeroize::Zeroizing;

/// Bytes of the message representative mu (FIPS 204 section 6.2).
pub(crate) const MU: usize = 64;
/// Bytes of a SHA-512 digest, which Ed25519ph signs.
pub(crate) const ED25519PH_DIGEST: usize = 64;

/// An Ed25519ph signature over a SHA-512 digest with an empty context (RFC 8032 section 5.1); the
/// private key is the seed with the public key behind it.
pub(crate) fn ed25519ph_sign(
    private_key: &[u8; 64],
    digest: &[u8; ED25519PH_DIGEST],
) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    // SAFETY: the three arrays have the lengths that the function reads and writes; of a context
    // of no bytes nothing is read.
    let done = unsafe {
        c::ED25519ph_sign_digest(
            signature.as_mut_ptr(),
            digest.as_ptr(),
            private_key.as_ptr(),
            ptr::null(),
            0,
        )
    };
    (done == 1).then_some(signature)
}

/// Whether it is an Ed25519ph signature over the digest with an empty context.
pub(crate) fn ed25519ph_verify(
    public_key: &[u8; 32],
    digest: &[u8; ED25519PH_DIGEST],
    signature: &[u8; 64],
) -> bool {
    // SAFETY: as in `ed25519ph_sign`.
    let verified = unsafe {
        c::ED25519ph_verify_digest(
            digest.as_ptr(),
            signature.as_ptr(),
            public_key.as_ptr(),
            ptr::null(),
            0,
        )
    };
    verified == 1
}

/// An ML-DSA signature over a message representative (FIPS 204 algorithm 7 from line 7 on), under
/// the key of this PKCS #8 DER. `None` when it is no ML-DSA key.
pub(crate) fn ml_dsa_sign_mu(pkcs8: &[u8], mu: &[u8; MU]) -> Option<Vec<u8>> {
    let key = Key::private(pkcs8)?.of_kind(c::EVP_PKEY_PQDSA)?;
    let context = Context::new(&key)?;
    let mut length = 0;
    // SAFETY: the context is valid; without an output the call only writes the length.
    let sized = unsafe {
        c::EVP_PKEY_sign_init(context.0) == 1
            && c::EVP_PKEY_sign(context.0, ptr::null_mut(), &raw mut length, mu.as_ptr(), MU) == 1
    };
    if !sized {
        return None;
    }
    let mut signature = vec![0; length];
    // SAFETY: the output has `length` bytes, which the call does not exceed.
    let signed = unsafe {
        c::EVP_PKEY_sign(
            context.0,
            signature.as_mut_ptr(),
            &raw mut length,
            mu.as_ptr(),
            MU,
        )
    };
    signature.truncate(length);
    (signed == 1).then_some(signature)
}

/// Whether it is an ML-DSA signature over the message representative, under the key of this
/// SubjectPublicKeyInfo. `None` when that is no ML-DSA key.
pub(crate) fn ml_dsa_verify_mu(spki: &[u8], mu: &[u8; MU], signature: &[u8]) -> Option<bool> {
    let key = Key::public(spki)?.of_kind(c::EVP_PKEY_PQDSA)?;
    let context = Context::new(&key)?;
    // SAFETY: the context is valid, and the lengths are those of the slices.
    let verified = unsafe {
        c::EVP_PKEY_verify_init(context.0) == 1
            && c::EVP_PKEY_verify(
                context.0,
                signature.as_ptr(),
                signature.len(),
                mu.as_ptr(),
                MU,
            ) == 1
    };
    Some(verified)
}

/// The expanded decapsulation key (FIPS 203 section 7.1) of an ML-KEM key in PKCS #8 DER, which
/// holds its seed or itself (RFC 9935 section 6). `None` when it is no ML-KEM key.
pub(crate) fn ml_kem_expanded(pkcs8: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = Key::private(pkcs8)?.of_kind(c::EVP_PKEY_KEM)?;
    let mut length = 0;
    // SAFETY: the key is valid; without an output the call only writes the length.
    let sized = unsafe { c::EVP_PKEY_get_raw_private_key(key.0, ptr::null_mut(), &raw mut length) };
    if sized != 1 {
        return None;
    }
    let mut expanded = Zeroizing::new(vec![0; length]);
    // SAFETY: the output has `length` bytes, which the call does not exceed.
    let written =
        unsafe { c::EVP_PKEY_get_raw_private_key(key.0, expanded.as_mut_ptr(), &raw mut length) };
    (written == 1 && length == expanded.len()).then_some(expanded)
}

/// A key of the library's; freed, and its memory overwritten, when dropped.
struct Key(*mut c::EVP_PKEY);

impl Key {
    fn private(pkcs8: &[u8]) -> Option<Self> {
        Self::parse(pkcs8, c::EVP_parse_private_key)
    }

    fn public(spki: &[u8]) -> Option<Self> {
        Self::parse(spki, c::EVP_parse_public_key)
    }

    fn parse(
        der: &[u8],
        parser: unsafe extern "C" fn(*mut c::CBS) -> *mut c::EVP_PKEY,
    ) -> Option<Self> {
        let mut input = c::CBS {
            data: der.as_ptr(),
            len: der.len(),
        };
        // SAFETY: the cursor covers exactly the slice, which outlives the call.
        let key = unsafe { parser(&raw mut input) };
        let key = (!key.is_null()).then_some(Self(key))?;
        (input.len == 0).then_some(key)
    }

    fn of_kind(self, kind: i32) -> Option<Self> {
        // SAFETY: the key is valid.
        (unsafe { c::EVP_PKEY_id(self.0) } == kind).then_some(self)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is valid and nobody else's.
        unsafe { c::EVP_PKEY_free(self.0) }
    }
}

/// An operation with a key; holds its own reference to it.
struct Context(*mut c::EVP_PKEY_CTX);

impl Context {
    fn new(key: &Key) -> Option<Self> {
        // SAFETY: the key is valid; no engine is named.
        let context = unsafe { c::EVP_PKEY_CTX_new(key.0, ptr::null_mut()) };
        (!context.is_null()).then_some(Self(context))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is valid and nobody else's.
        unsafe { c::EVP_PKEY_CTX_free(self.0) }
    }
}
