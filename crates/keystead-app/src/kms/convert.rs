//! Between the model's enumerations and those of `core`, by AWS's names.

use keystead_core::Result;
use keystead_core::kms::{
    EncryptionAlgorithm, Fault, Key, KeySpec, KeyUsage, MacAlgorithm, MessageType, SigningAlgorithm,
};
use keystead_wire::kms as wire;

/// The same value of the model.
pub(super) trait Shown {
    /// Its type in the model.
    type Wire;

    /// The value.
    fn shown(self) -> Option<Self::Wire>;
}

macro_rules! shown {
    ($($ours:ident => $theirs:ident,)*) => {
        $(impl Shown for $ours {
            type Wire = wire::$theirs;

            fn shown(self) -> Option<wire::$theirs> {
                wire::$theirs::parse(self.name())
            }
        })*
    };
}

shown! {
    EncryptionAlgorithm => EncryptionAlgorithmSpec,
    KeySpec => KeySpec,
    MacAlgorithm => MacAlgorithmSpec,
    SigningAlgorithm => SigningAlgorithmSpec,
}

/// An encryption algorithm that was asked for.
pub(super) fn encryption(
    asked: Option<wire::EncryptionAlgorithmSpec>,
) -> Result<Option<EncryptionAlgorithm>> {
    let known = |asked: wire::EncryptionAlgorithmSpec| {
        EncryptionAlgorithm::from_name(asked.as_str()).ok_or_else(|| elsewhere(asked.as_str()))
    };
    asked.map(known).transpose()
}

/// A signing algorithm that was asked for.
pub(super) fn signing(asked: wire::SigningAlgorithmSpec) -> Result<SigningAlgorithm> {
    SigningAlgorithm::from_name(asked.as_str()).ok_or_else(|| elsewhere(asked.as_str()))
}

/// A MAC algorithm that was asked for.
pub(super) fn mac(asked: wire::MacAlgorithmSpec) -> Result<MacAlgorithm> {
    MacAlgorithm::from_name(asked.as_str()).ok_or_else(|| elsewhere(asked.as_str()))
}

/// What a signature covers; the message itself where nothing else is said.
pub(super) fn message_type(asked: Option<wire::MessageType>) -> Result<MessageType> {
    asked.map_or(Ok(MessageType::Raw), |asked| {
        MessageType::from_name(asked.as_str()).ok_or_else(|| elsewhere(asked.as_str()))
    })
}

/// The refusal of what AWS has in its China regions only.
fn elsewhere(name: &str) -> keystead_core::Error {
    Fault::UnsupportedOperation.error(format!("{name} is not supported in this region."))
}

/// What a key can do, in lists that are there only where the key's usage asks for them (`KeyMetadata`).
pub(super) struct Algorithms {
    pub(super) encryption: Option<Vec<wire::EncryptionAlgorithmSpec>>,
    pub(super) signing: Option<Vec<wire::SigningAlgorithmSpec>>,
    pub(super) mac: Option<Vec<wire::MacAlgorithmSpec>>,
    pub(super) agreement: Option<Vec<wire::KeyAgreementAlgorithmSpec>>,
    pub(super) encapsulation: Option<Vec<wire::EncapsulationAlgorithmSpec>>,
}

/// The algorithms of a key.
pub(super) fn algorithms(key: &Key) -> Algorithms {
    fn all<T: Shown + Copy>(names: &[T]) -> Option<Vec<T::Wire>> {
        names.iter().map(|name| name.shown()).collect()
    }
    let is_for = |usage| key.usage == usage;
    Algorithms {
        encryption: is_for(KeyUsage::EncryptDecrypt)
            .then(|| all(key.spec.encryption_algorithms()))
            .flatten(),
        signing: is_for(KeyUsage::SignVerify)
            .then(|| all(key.spec.signing_algorithms()))
            .flatten(),
        mac: is_for(KeyUsage::GenerateVerifyMac)
            .then(|| all(key.spec.mac_algorithm().as_slice()))
            .flatten(),
        agreement: is_for(KeyUsage::KeyAgreement)
            .then(|| vec![wire::KeyAgreementAlgorithmSpec::Ecdh]),
        encapsulation: is_for(KeyUsage::EncapsulateDecapsulate)
            .then(|| vec![wire::EncapsulationAlgorithmSpec::MlKem]),
    }
}
