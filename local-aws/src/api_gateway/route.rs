//! Finds the resource of a path.

use super::Api;
use super::error::ApiError;

/// The resource of all other paths.
pub(super) const PROXY: &str = "/{proxy+}";

#[derive(Debug)]
pub(super) struct Route<'a> {
    /// `/`, `/push`, `/pull` or [`PROXY`].
    pub(super) resource: &'static str,
    /// The path of the URL without its stage, but with the base path: `path` in version 1.
    pub(super) path: &'a str,
    /// Without the base path too. The empty path is `/`.
    pub(super) below: &'a str,
}

/// # Errors
/// [`ApiError::Forbidden`] outside the stage or the base path.
pub(super) fn find<'a>(api: &Api, path: &'a str) -> Result<Route<'a>, ApiError> {
    let (path, below) = if let Some(base_path) = api.base_path.as_deref() {
        (path, below(path, base_path.trim_matches('/')).ok_or(ApiError::Forbidden)?)
    } else if let Some(stage) = api.named_stage() {
        let below = below(path, stage).ok_or(ApiError::Forbidden)?;
        (below, below)
    } else {
        (path, path)
    };
    // API Gateway ignores a slash at the end; the SDKs for JavaScript and Rust send one.
    let resource = match below {
        "/" => "/",
        "/push" | "/push/" => "/push",
        "/pull" | "/pull/" => "/pull",
        _ => PROXY,
    };
    Ok(Route { resource, path, below })
}

impl Api {
    /// The stage, unless it is the one that no URL names.
    pub(super) fn named_stage(&self) -> Option<&'static str> {
        self.stage.filter(|stage| *stage != "$default")
    }
}

/// The rest of the path after the segments `prefix`, which has no slash at either end.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(path);
    }
    match path.strip_prefix('/')?.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}
