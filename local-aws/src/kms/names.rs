//! The enumerations of the API. A value has the same name on the wire and in the file.

use serde::{Deserialize, Serialize};

pub(super) trait Named: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, value)| *value == self);
        found.map(|(name, _)| *name).unwrap_or_default()
    }
}

macro_rules! enumerations {
    ($($name:ident { $($value:ident = $text:literal,)* })*) => {
        $(
            #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
            pub(super) enum $name {
                $(
                    #[serde(rename = $text)]
                    $value,
                )*
            }

            impl Named for $name {
                const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$value),)*];
            }
        )*
    };
}

enumerations! {
    KeySpec {
        Symmetric = "SYMMETRIC_DEFAULT",
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
        P256 = "ECC_NIST_P256",
        P384 = "ECC_NIST_P384",
        P521 = "ECC_NIST_P521",
        Secp256k1 = "ECC_SECG_P256K1",
        Ed25519 = "ECC_NIST_EDWARDS25519",
        Hmac224 = "HMAC_224",
        Hmac256 = "HMAC_256",
        Hmac384 = "HMAC_384",
        Hmac512 = "HMAC_512",
        Sm2 = "SM2",
        MlDsa44 = "ML_DSA_44",
        MlDsa65 = "ML_DSA_65",
        MlDsa87 = "ML_DSA_87",
        MlKem512 = "ML_KEM_512",
        MlKem768 = "ML_KEM_768",
        MlKem1024 = "ML_KEM_1024",
    }
    KeyUsage {
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        SignVerify = "SIGN_VERIFY",
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        KeyAgreement = "KEY_AGREEMENT",
        EncapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE",
    }
    KeyState {
        Enabled = "Enabled",
        Disabled = "Disabled",
        PendingDeletion = "PendingDeletion",
        PendingImport = "PendingImport",
    }
    Origin {
        AwsKms = "AWS_KMS",
        External = "EXTERNAL",
        AwsCloudHsm = "AWS_CLOUDHSM",
        ExternalKeyStore = "EXTERNAL_KEY_STORE",
    }
    DataKeySpec {
        Aes256 = "AES_256",
        Aes128 = "AES_128",
    }
    EncryptionAlgorithm {
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        Sm2Pke = "SM2PKE",
        Symmetric = "SYMMETRIC_DEFAULT",
    }
}

/// An alias can only move between keys of one type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyType {
    Symmetric,
    Asymmetric,
    Hmac,
}

impl KeySpec {
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html>, `KeyUsage`
    pub(super) fn usages(self) -> &'static [KeyUsage] {
        use KeyUsage::{
            EncapsulateDecapsulate, EncryptDecrypt, GenerateVerifyMac, KeyAgreement, SignVerify,
        };
        match self {
            Self::Symmetric => &[EncryptDecrypt],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[EncryptDecrypt, SignVerify],
            Self::P256 | Self::P384 | Self::P521 => &[SignVerify, KeyAgreement],
            Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => &[GenerateVerifyMac],
            Self::Sm2 => &[EncryptDecrypt, SignVerify, KeyAgreement],
            Self::Secp256k1 | Self::Ed25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => {
                &[SignVerify]
            }
            Self::MlKem512 | Self::MlKem768 | Self::MlKem1024 => &[EncapsulateDecapsulate],
        }
    }

    pub(super) fn key_type(self) -> KeyType {
        match self {
            Self::Symmetric => KeyType::Symmetric,
            Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => KeyType::Hmac,
            _ => KeyType::Asymmetric,
        }
    }

    /// Whether a key may have the origin `EXTERNAL`.
    pub(super) fn can_be_imported(self) -> bool {
        !self.name().starts_with("ML_")
    }

    /// SM2 is for the Regions of China, and ML-KEM for all others.
    pub(super) fn exists_in_china(self) -> bool {
        !matches!(self, Self::MlKem512 | Self::MlKem768 | Self::MlKem1024)
    }

    pub(super) fn exists_elsewhere(self) -> bool {
        self != Self::Sm2
    }

    /// Of a key for encryption.
    pub(super) fn encryption_algorithms(self) -> &'static [EncryptionAlgorithm] {
        use EncryptionAlgorithm::{RsaesOaepSha1, RsaesOaepSha256, Sm2Pke, Symmetric};
        match self {
            Self::Symmetric => &[Symmetric],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[RsaesOaepSha1, RsaesOaepSha256],
            Self::Sm2 => &[Sm2Pke],
            _ => &[],
        }
    }

    /// Of a key for signatures.
    pub(super) fn signing_algorithms(self) -> &'static [&'static str] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                "RSASSA_PKCS1_V1_5_SHA_256",
                "RSASSA_PKCS1_V1_5_SHA_384",
                "RSASSA_PKCS1_V1_5_SHA_512",
                "RSASSA_PSS_SHA_256",
                "RSASSA_PSS_SHA_384",
                "RSASSA_PSS_SHA_512",
            ],
            Self::P256 | Self::Secp256k1 => &["ECDSA_SHA_256"],
            Self::P384 => &["ECDSA_SHA_384"],
            Self::P521 => &["ECDSA_SHA_512"],
            Self::Ed25519 => &["ED25519_SHA_512", "ED25519_PH_SHA_512"],
            Self::Sm2 => &["SM2DSA"],
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => &["ML_DSA_SHAKE_256"],
            _ => &[],
        }
    }

    /// Of a key for message authentication codes.
    pub(super) fn mac_algorithms(self) -> &'static [&'static str] {
        match self {
            Self::Hmac224 => &["HMAC_SHA_224"],
            Self::Hmac256 => &["HMAC_SHA_256"],
            Self::Hmac384 => &["HMAC_SHA_384"],
            Self::Hmac512 => &["HMAC_SHA_512"],
            _ => &[],
        }
    }
}
