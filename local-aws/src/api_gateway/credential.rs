//! The credential of a Signature Version 4 in the `Authorization` header.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html>

use axum::http::{HeaderMap, header};

use crate::{DEFAULT_ACCOUNT, partition};

/// `KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credential<'a> {
    pub(super) access_key: &'a str,
    region: &'a str,
    pub(super) service: &'a str,
}

impl<'a> Credential<'a> {
    /// `None` for a request without such a signature.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let mut fields = fields.split(',').map(str::trim);
        let credential = fields.find_map(|field| field.strip_prefix("Credential="))?;
        let mut parts = credential.split('/');
        let access_key = parts.next()?;
        let mut scope = parts.skip(1);
        let region = scope.next().unwrap_or_default();
        let service = scope.next().unwrap_or_default();
        Some(Self { access_key, region, service })
    }

    /// The access key id where that is an account id, so that a client chooses its account by its
    /// credentials.
    pub(super) fn account(&self) -> &'a str {
        let key = self.access_key;
        let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        if is_account { key } else { DEFAULT_ACCOUNT }
    }

    pub(super) fn user_arn(&self) -> String {
        let (partition, account) = (partition::of(self.region), self.account());
        format!("arn:{partition}:iam::{account}:user/local")
    }
}
