//! The configuration, which is read from the environment once.

use crate::ecr::names::RegistryId;
use crate::ecr::partition::Region;
use crate::ecr::repository::Quotas;

/// What an operator sets. The SDK reads its own variables, such as `AWS_ENDPOINT_URL_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `AWS_REGION`: Lambda sets it.
    pub region: Region,
    /// `TABLE_NAME`.
    pub table: String,
    /// `LAYER_BUCKET`.
    pub layer_bucket: String,
    /// `MANIFEST_BUCKET`.
    pub manifest_bucket: String,
    /// `DEFAULT_KMS_KEY`: encrypts repositories that ask for KMS and name no key.
    pub default_kms_key: Option<String>,
    /// `DEFAULT_REGISTRY_ID`: the caller's account if the event names no account. Local use only.
    pub default_registry: Option<RegistryId>,
    /// `IMAGES_PER_REPOSITORY`, `TAGS_PER_IMAGE`, `LAYERS_PER_IMAGE`.
    pub quotas: Quotas,
}

/// All faults of the environment, in one line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad configuration: {}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the configuration through `variable`, which looks up the environment. An empty
    /// variable counts as unset.
    ///
    /// # Errors
    /// Every variable that is missing or malformed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut faults = Vec::new();
        let mut required = |name| required(&variable, name, &mut faults);
        let region = Region::new(required("AWS_REGION"));
        let table = required("TABLE_NAME");
        let layer_bucket = required("LAYER_BUCKET");
        let manifest_bucket = required("MANIFEST_BUCKET");

        let default_registry = variable("DEFAULT_REGISTRY_ID").and_then(|id| {
            let parsed = RegistryId::parse(id).ok();
            if parsed.is_none() {
                faults.push("DEFAULT_REGISTRY_ID is not an account id of 12 digits".into());
            }
            parsed
        });
        let mut quota = |name, default: u64| {
            let Some(text) = variable(name) else { return default };
            match text.parse::<u32>() {
                Ok(quota) if quota > 0 => u64::from(quota),
                _ => {
                    faults.push(format!("{name} is not a whole number from 1 to {}", u32::MAX));
                    default
                }
            }
        };
        let ecr = Quotas::default();
        let quotas = Quotas {
            images_per_repository: quota("IMAGES_PER_REPOSITORY", ecr.images_per_repository),
            tags_per_image: quota("TAGS_PER_IMAGE", ecr.tags_per_image),
            layers_per_image: quota("LAYERS_PER_IMAGE", ecr.layers_per_image),
        };
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        let default_kms_key = variable("DEFAULT_KMS_KEY");
        Ok(Self {
            region,
            table,
            layer_bucket,
            manifest_bucket,
            default_kms_key,
            default_registry,
            quotas,
        })
    }
}

/// The variables of [`Config`] that the sweeper needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweeperConfig {
    /// `TABLE_NAME`.
    pub table: String,
    /// `MANIFEST_BUCKET`.
    pub manifest_bucket: String,
}

impl SweeperConfig {
    /// Reads the variables as [`Config::read`] does.
    ///
    /// # Errors
    /// Every variable that is missing.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut faults = Vec::new();
        let table = required(&variable, "TABLE_NAME", &mut faults);
        let manifest_bucket = required(&variable, "MANIFEST_BUCKET", &mut faults);
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        Ok(Self { table, manifest_bucket })
    }
}

fn required(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
    faults: &mut Vec<String>,
) -> String {
    variable(name).unwrap_or_else(|| {
        faults.push(format!("{name} is not set"));
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let good = [
            ("AWS_REGION", "us-west-2"),
            ("TABLE_NAME", "ecr"),
            ("LAYER_BUCKET", "layers"),
            ("MANIFEST_BUCKET", "manifests"),
        ];
        Config::read(|name| {
            let mut all = set.iter().chain(&good);
            all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn optional_variables_have_defaults_and_empty_ones_are_unset() {
        let config = read(&[("DEFAULT_KMS_KEY", ""), ("DEFAULT_REGISTRY_ID", "")]).unwrap();
        assert_eq!(config.quotas, Quotas::default());
        assert_eq!((config.default_kms_key, config.default_registry), (None, None));
    }

    #[test]
    fn every_variable_is_read() {
        let config = read(&[
            ("DEFAULT_KMS_KEY", "alias/a"),
            ("DEFAULT_REGISTRY_ID", "012345678910"),
            ("IMAGES_PER_REPOSITORY", "1"),
            ("TAGS_PER_IMAGE", "2"),
            ("LAYERS_PER_IMAGE", "3"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.region.name(), "us-west-2");
        assert_eq!(config.table, "ecr");
        assert_eq!(config.layer_bucket, "layers");
        assert_eq!(config.manifest_bucket, "manifests");
        assert_eq!(config.default_kms_key.as_deref(), Some("alias/a"));
        assert_eq!(config.default_registry.unwrap().as_str(), "012345678910");
        let quotas = Quotas { images_per_repository: 1, tags_per_image: 2, layers_per_image: 3 };
        assert_eq!(config.quotas, quotas);
    }

    #[test]
    fn every_fault_is_named_in_one_message() {
        let faults = read(&[
            ("TABLE_NAME", ""),
            ("MANIFEST_BUCKET", ""),
            ("DEFAULT_REGISTRY_ID", "1234"),
            ("TAGS_PER_IMAGE", "many"),
            ("LAYERS_PER_IMAGE", "0"),
        ]);
        let message = faults.unwrap_err().to_string();
        assert_eq!(
            message,
            "bad configuration: TABLE_NAME is not set; MANIFEST_BUCKET is not set; \
             DEFAULT_REGISTRY_ID is not an account id of 12 digits; \
             TAGS_PER_IMAGE is not a whole number from 1 to 4294967295; \
             LAYERS_PER_IMAGE is not a whole number from 1 to 4294967295"
        );
    }
}
