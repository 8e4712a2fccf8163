//! How an exchange with a proxy fails, and what KMS makes of it: the tables of the specification, "Error codes", and of the
//! developer guide, "Troubleshooting external key stores". Where they differ, the reason is beside the row.

use crate::error::{Error, ErrorKind};
use crate::kms::{ConnectionError, Fault};

/// What went wrong between KMS and a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the first twelve are the specification's names"
)]
pub enum ProxyFailure {
    Validation,
    InvalidState,
    InvalidCiphertext,
    InvalidKeyUsage,
    AuthenticationFailed,
    AccessDenied,
    KeyNotFound,
    InvalidUriPath,
    UnsupportedOperation,
    DependencyTimeout,
    Throttling,
    Internal,
    /// No connection.
    Unreachable,
    /// A connection, but no TLS that can be trusted.
    Tls,
    /// No answer in time.
    TimedOut,
    /// An answer that the specification does not know, or that contradicts itself.
    Malformed,
    /// It says that none of its key managers can work.
    Unhealthy,
}

impl ProxyFailure {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Validation,
        Self::InvalidState,
        Self::InvalidCiphertext,
        Self::InvalidKeyUsage,
        Self::AuthenticationFailed,
        Self::AccessDenied,
        Self::KeyNotFound,
        Self::InvalidUriPath,
        Self::UnsupportedOperation,
        Self::DependencyTimeout,
        Self::Throttling,
        Self::Internal,
        Self::Unreachable,
        Self::Tls,
        Self::TimedOut,
        Self::Malformed,
        Self::Unhealthy,
    ];

    /// The refusal that a proxy names so (`errorName`); [`Self::Malformed`] for what the specification does not know.
    pub fn named(name: &str) -> Self {
        match name {
            "ValidationException" => Self::Validation,
            "InvalidStateException" => Self::InvalidState,
            "InvalidCiphertextException" => Self::InvalidCiphertext,
            "InvalidKeyUsageException" => Self::InvalidKeyUsage,
            "AuthenticationFailedException" => Self::AuthenticationFailed,
            "AccessDeniedException" => Self::AccessDenied,
            "KeyNotFoundException" => Self::KeyNotFound,
            "InvalidUriPathException" => Self::InvalidUriPath,
            "UnsupportedOperationException" => Self::UnsupportedOperation,
            "DependencyTimeoutException" => Self::DependencyTimeout,
            "ThrottlingException" => Self::Throttling,
            "InternalException" => Self::Internal,
            _ => Self::Malformed,
        }
    }

    /// The refusal of an operation that uses a key: always of the key's state.
    pub fn in_use(self) -> Error {
        Error::new(ErrorKind::InvalidState, self.words())
    }

    /// The refusal of CreateKey.
    pub fn in_create_key(self) -> Error {
        let fault = match self {
            Self::InvalidState | Self::InvalidKeyUsage => Fault::XksKeyInvalidConfiguration,
            Self::KeyNotFound => Fault::XksKeyNotFound,
            // "XksKeyInvalidResponseException" of the specification is in no model; the guide has this one.
            Self::UnsupportedOperation => Fault::UnsupportedOperation,
            // Of AccessDenied the specification says KMSInvalidStateException, which CreateKey does not have.
            _ => Fault::StoreInvalidState,
        };
        fault.error(self.words())
    }

    /// The refusal of CreateCustomKeyStore and UpdateCustomKeyStore.
    pub fn in_store(self) -> Error {
        let fault = match self {
            Self::AuthenticationFailed => Fault::XksProxyIncorrectCredential,
            // Of TLS the specification says unreachable; the guide's name tells more.
            Self::InvalidUriPath | Self::Tls => Fault::XksProxyInvalidConfiguration,
            Self::InvalidState
            | Self::DependencyTimeout
            | Self::Throttling
            | Self::Unreachable
            | Self::TimedOut
            | Self::Unhealthy => Fault::XksProxyUriUnreachable,
            Self::Validation
            | Self::InvalidCiphertext
            | Self::InvalidKeyUsage
            | Self::AccessDenied
            | Self::KeyNotFound
            | Self::UnsupportedOperation
            | Self::Internal
            | Self::Malformed => Fault::XksProxyInvalidResponse,
        };
        fault.error(self.words())
    }

    /// Why a key store could not be connected.
    pub fn in_connect(self) -> ConnectionError {
        match self {
            Self::AuthenticationFailed => ConnectionError::InvalidCredentials,
            Self::AccessDenied => ConnectionError::XksProxyAccessDenied,
            Self::InvalidUriPath => ConnectionError::XksProxyInvalidConfiguration,
            Self::Tls => ConnectionError::XksProxyInvalidTlsConfiguration,
            Self::InvalidState | Self::Throttling | Self::Unreachable | Self::Unhealthy => {
                ConnectionError::XksProxyNotReachable
            }
            Self::DependencyTimeout | Self::TimedOut => ConnectionError::XksProxyTimedOut,
            Self::Validation
            | Self::InvalidCiphertext
            | Self::InvalidKeyUsage
            | Self::KeyNotFound
            | Self::UnsupportedOperation
            | Self::Internal
            | Self::Malformed => ConnectionError::XksProxyInvalidResponse,
        }
    }

    /// AWS's words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Validation | Self::Malformed => {
                "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."
            }
            Self::InvalidState => {
                "The external key associated with this KMS key in an external key store is not enabled in the external key manager. Enable the external key in the external key manager and retry the request."
            }
            Self::InvalidCiphertext => {
                "The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid."
            }
            Self::InvalidKeyUsage => {
                "The external key associated with this KMS key in an external key store does not support the requested operation. Enable the operation on the key in your external key manager, and try the request again."
            }
            Self::AuthenticationFailed => {
                "The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS proxy authentication credentials for your external key store and update if necessary."
            }
            Self::AccessDenied => {
                "The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again."
            }
            Self::KeyNotFound => {
                "The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID."
            }
            Self::InvalidUriPath => {
                "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary."
            }
            Self::UnsupportedOperation => {
                "The external key store proxy rejected the request because it does not support the requested operation. If you see this error repeatedly, report it to your external key store proxy administrator."
            }
            Self::DependencyTimeout => {
                "The external key store proxy did not respond to the request in the time allotted. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator."
            }
            Self::Throttling => {
                "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store."
            }
            Self::Internal => {
                "The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available."
            }
            Self::Unreachable => {
                "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external key store."
            }
            Self::Tls => {
                "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate."
            }
            Self::TimedOut => {
                "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator."
            }
            Self::Unhealthy => {
                "The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify your external key store proxy administrator."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_fails_as_a_matter_of_the_keys_state() {
        for failure in ProxyFailure::ALL {
            let refusal = failure.in_use();
            assert_eq!(refusal.kind, ErrorKind::InvalidState);
            assert!(refusal.message.ends_with('.'), "{}", refusal.message);
        }
    }

    #[test]
    fn names_are_the_specifications() {
        let mut known = Vec::new();
        for failure in ProxyFailure::ALL {
            let name = format!("{failure:?}Exception");
            if ProxyFailure::named(&name) == failure && failure != ProxyFailure::Malformed {
                known.push(name);
            }
        }
        assert_eq!(known.len(), 12);
        for other in ["", "validationexception", "TlsException", "InternalFailure"] {
            assert_eq!(ProxyFailure::named(other), ProxyFailure::Malformed);
        }
    }

    /// The rows of the specification's table, one a failure.
    #[test]
    fn management_tells_failures_apart() {
        use Fault as F;
        use ProxyFailure as P;
        for (failure, create_key, store) in [
            (
                P::Validation,
                F::StoreInvalidState,
                F::XksProxyInvalidResponse,
            ),
            (
                P::AuthenticationFailed,
                F::StoreInvalidState,
                F::XksProxyIncorrectCredential,
            ),
            (
                P::InvalidUriPath,
                F::StoreInvalidState,
                F::XksProxyInvalidConfiguration,
            ),
            (
                P::DependencyTimeout,
                F::StoreInvalidState,
                F::XksProxyUriUnreachable,
            ),
            (
                P::Throttling,
                F::StoreInvalidState,
                F::XksProxyUriUnreachable,
            ),
            (
                P::Internal,
                F::StoreInvalidState,
                F::XksProxyInvalidResponse,
            ),
            (
                P::Unreachable,
                F::StoreInvalidState,
                F::XksProxyUriUnreachable,
            ),
            (P::TimedOut, F::StoreInvalidState, F::XksProxyUriUnreachable),
            (
                P::Malformed,
                F::StoreInvalidState,
                F::XksProxyInvalidResponse,
            ),
            (
                P::KeyNotFound,
                F::XksKeyNotFound,
                F::XksProxyInvalidResponse,
            ),
            (
                P::InvalidState,
                F::XksKeyInvalidConfiguration,
                F::XksProxyUriUnreachable,
            ),
            (
                P::InvalidKeyUsage,
                F::XksKeyInvalidConfiguration,
                F::XksProxyInvalidResponse,
            ),
        ] {
            assert_eq!(
                failure.in_create_key().kind,
                ErrorKind::Kms(create_key),
                "{failure:?}"
            );
            assert_eq!(
                failure.in_store().kind,
                ErrorKind::Kms(store),
                "{failure:?}"
            );
        }
    }
}
