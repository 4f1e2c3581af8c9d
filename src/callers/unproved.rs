//! Why a caller has proved nothing.

/// Why what a caller showed proves nothing. The words are fit for the caller: they never repeat any
/// part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// Its token.
    #[error(transparent)]
    Token(#[from] BadToken),
}

/// Why a certificate gives no id, though an authority has signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// It is no X.509 certificate, or its names are not as they should be.
    #[error("the certificate, or its subject alternative names, cannot be read")]
    Malformed,
    /// There is neither a URI nor a DNS name.
    #[error("the certificate has neither a URI nor a DNS name as subject alternative name")]
    NoName,
    /// There is more than one URI.
    #[error("the certificate has more than one URI as subject alternative name")]
    ManyUris,
    /// There is no URI, and more than one DNS name.
    #[error("the certificate has no URI and more than one DNS name as subject alternative name")]
    ManyDnsNames,
    /// The URI is no SPIFFE id.
    #[error("the certificate's URI is not a SPIFFE id")]
    NoSpiffeId,
    /// The DNS name is none, or has a wildcard.
    #[error("the certificate's DNS name is not the name of one host")]
    NoHostName,
    /// The id is in another trust domain than the one that is accepted, or in none.
    #[error("the certificate's id is not in the trust domain that is accepted")]
    OtherTrustDomain,
}

/// Why a token gives no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is longer than any token that is looked at.
    #[error("the token is longer than {} bytes", super::token::MAX_TOKEN)]
    TooLong,
    /// It is no signed JWT.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// It is not signed, or not by an asymmetric algorithm that is known.
    #[error("the token is not signed by an algorithm that is accepted")]
    Algorithm,
    /// It has a critical header, of which none is known.
    #[error("the token has a critical header, and none is accepted")]
    Critical,
    /// No key was to be had so far.
    #[error("the keys that sign tokens are not to be had at present")]
    NoKeys,
    /// It names a key that is not known.
    #[error("the token names a key that is not known")]
    UnknownKey,
    /// It names no key, and there is none or more than a few that it could be.
    #[error("the token names no key, and which one signed it is not clear")]
    UnnamedKey,
    /// The key that it names is for other algorithms.
    #[error("the token's algorithm does not fit its key")]
    OtherAlgorithm,
    /// The signature is not of the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim that is needed is not there.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// A claim is not of its kind, or a subject is no id.
    #[error("the token's `{0}` is malformed")]
    Claim(&'static str),
    /// Somebody else issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for others.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time is yet to come.
    #[error("the token is not valid yet")]
    NotYet,
}

impl BadToken {
    /// Whether newer keys may make it good.
    pub(super) fn may_pass_with_newer_keys(self) -> bool {
        matches!(self, Self::NoKeys | Self::UnknownKey | Self::UnnamedKey)
    }
}
