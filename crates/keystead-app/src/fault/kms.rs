//! KMS's codes, as its model names the shapes. Its faults are the caller's (400) or, where the model says `fault`, ours.

use keystead_core::ErrorKind;
use keystead_core::kms::Fault;

/// The error code and the HTTP status for `kind`.
pub(super) fn code(kind: ErrorKind) -> (&'static str, u16) {
    let code = match kind {
        ErrorKind::AccessDenied => "AccessDeniedException",
        ErrorKind::AlreadyExists => "AlreadyExistsException",
        ErrorKind::ConcurrentModification | ErrorKind::Conflict | ErrorKind::RequestInProgress => {
            "ConflictException"
        }
        ErrorKind::Internal
        | ErrorKind::RequestFailed
        | ErrorKind::Secrets(_)
        | ErrorKind::Unavailable
        | ErrorKind::IdentityProviderUnreachable => return ("KMSInternalException", 500),
        ErrorKind::InvalidArn => "InvalidArnException",
        ErrorKind::InvalidNextToken => "InvalidMarkerException",
        ErrorKind::InvalidPolicy => "MalformedPolicyDocumentException",
        ErrorKind::InvalidState | ErrorKind::ResourceInUse => "KMSInvalidStateException",
        ErrorKind::InvalidTag | ErrorKind::TooManyTags => "TagException",
        ErrorKind::Kms(fault) => return own(fault),
        ErrorKind::LimitExceeded => "LimitExceededException",
        ErrorKind::NotFound => "NotFoundException",
        ErrorKind::CertificateMismatch
        | ErrorKind::ExpiredToken
        | ErrorKind::InvalidArgs
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidRequest
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr
        | ErrorKind::NotAttachable
        | ErrorKind::RequestAlreadyProcessed
        | ErrorKind::Validation => "ValidationException",
    };
    (code, 400)
}

fn own(fault: Fault) -> (&'static str, u16) {
    let code = match fault {
        Fault::Disabled => "DisabledException",
        Fault::DryRun => "DryRunOperationException",
        Fault::ExpiredImportToken => "ExpiredImportTokenException",
        Fault::IncorrectKey => "IncorrectKeyException",
        Fault::IncorrectKeyMaterial => "IncorrectKeyMaterialException",
        Fault::InvalidAliasName => "InvalidAliasNameException",
        // Not in the model; what AWS answers (recorded by moto's tests, test__create_alias__raises_if_reserved_alias).
        Fault::ReservedAlias => "NotAuthorizedException",
        Fault::InvalidCiphertext => "InvalidCiphertextException",
        Fault::InvalidGrantId => "InvalidGrantIdException",
        Fault::InvalidGrantToken => "InvalidGrantTokenException",
        Fault::InvalidImportToken => "InvalidImportTokenException",
        Fault::InvalidKeyUsage => "InvalidKeyUsageException",
        Fault::InvalidMac => "KMSInvalidMacException",
        Fault::InvalidSignature => "KMSInvalidSignatureException",
        Fault::KeyUnavailable => return ("KeyUnavailableException", 500),
        Fault::DependencyTimeout => return ("DependencyTimeoutException", 503),
        Fault::UnsupportedOperation => "UnsupportedOperationException",
        Fault::ClusterInUse => "CloudHsmClusterInUseException",
        Fault::ClusterInvalidConfiguration => "CloudHsmClusterInvalidConfigurationException",
        Fault::ClusterNotActive => "CloudHsmClusterNotActiveException",
        Fault::ClusterNotFound => "CloudHsmClusterNotFoundException",
        Fault::ClusterNotRelated => "CloudHsmClusterNotRelatedException",
        Fault::IncorrectTrustAnchor => "IncorrectTrustAnchorException",
        Fault::StoreHasKeys => "CustomKeyStoreHasCMKsException",
        Fault::StoreInvalidState => "CustomKeyStoreInvalidStateException",
        Fault::StoreNameInUse => "CustomKeyStoreNameInUseException",
        Fault::StoreNotFound => "CustomKeyStoreNotFoundException",
        Fault::XksKeyAlreadyInUse => "XksKeyAlreadyInUseException",
        Fault::XksKeyInvalidConfiguration => "XksKeyInvalidConfigurationException",
        Fault::XksKeyNotFound => "XksKeyNotFoundException",
        Fault::XksProxyIncorrectCredential => "XksProxyIncorrectAuthenticationCredentialException",
        Fault::XksProxyInvalidConfiguration => "XksProxyInvalidConfigurationException",
        Fault::XksProxyInvalidResponse => "XksProxyInvalidResponseException",
        Fault::XksProxyUriEndpointInUse => "XksProxyUriEndpointInUseException",
        Fault::XksProxyUriInUse => "XksProxyUriInUseException",
        Fault::XksProxyUriUnreachable => "XksProxyUriUnreachableException",
        Fault::XksProxyVpcEndpointServiceNotFound => "XksProxyVpcEndpointServiceNotFoundException",
    };
    (code, 400)
}
