//! Verifiers over well-kept libraries, one a feature.

#[cfg(any(feature = "p256", feature = "p384", feature = "p521", feature = "rsa"))]
use super::{Algorithm, JwsVerifier, VerifyError};
#[cfg(any(feature = "p256", feature = "p384", feature = "p521", feature = "rsa"))]
use crate::jwk::PublicKey;

#[cfg(any(feature = "p256", feature = "p384", feature = "p521"))]
macro_rules! ecdsa {
    ($feature:literal, $name:ident, $library:ident, $algorithm:ident, $doc:literal) => {
        #[cfg(feature = $feature)]
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        #[cfg(feature = $feature)]
        impl JwsVerifier for $name {
            fn verify(
                &self,
                algorithm: Algorithm,
                key: &PublicKey,
                message: &[u8],
                signature: &[u8],
            ) -> Result<(), VerifyError> {
                use $library::ecdsa::signature::Verifier as _;
                use $library::ecdsa::{Signature, VerifyingKey};
                if algorithm != Algorithm::$algorithm {
                    return Err(VerifyError::Unsupported { algorithm });
                }
                let (_, point) = key.as_point().ok_or(VerifyError::Key)?;
                let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| VerifyError::Key)?;
                let signature =
                    Signature::from_slice(signature).map_err(|_| VerifyError::Signature)?;
                key.verify(message, &signature)
                    .map_err(|_| VerifyError::Signature)
            }
        }
    };
}

#[cfg(any(feature = "p256", feature = "p384", feature = "p521"))]
ecdsa!(
    "p256",
    P256,
    p256,
    Es256,
    "Checks ES256, with the crate `p256`."
);
#[cfg(any(feature = "p256", feature = "p384", feature = "p521"))]
ecdsa!(
    "p384",
    P384,
    p384,
    Es384,
    "Checks ES384, with the crate `p384`."
);
#[cfg(any(feature = "p256", feature = "p384", feature = "p521"))]
ecdsa!(
    "p521",
    P521,
    p521,
    Es512,
    "Checks ES512, with the crate `p521`."
);

/// Checks RS256 to RS512 and PS256 to PS512, with the crate `ring`; keys have 2048 to 8192 bits.
#[cfg(feature = "rsa")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Rsa;

#[cfg(feature = "rsa")]
impl JwsVerifier for Rsa {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        use ring::signature::{
            RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
            RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
            RsaPublicKeyComponents,
        };
        let parameters = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
                return Err(VerifyError::Unsupported { algorithm });
            }
        };
        let (n, e) = key.as_rsa().ok_or(VerifyError::Key)?;
        RsaPublicKeyComponents { n, e }
            .verify(parameters, message, signature)
            .map_err(|_| VerifyError::Signature)
    }
}
