//! Regions and their partitions: the groups of regions that have ARNs and host names of their own.

use std::fmt;

/// An AWS region, with what its partition decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    name: String,
    partition: &'static Partition,
}

#[derive(Debug, PartialEq, Eq)]
struct Partition {
    /// The second part of every ARN.
    name: &'static str,
    /// The end of every host name.
    dns_suffix: &'static str,
    /// What the names of its regions begin with.
    regions: &'static str,
}

/// The partition of every region whose name has no other partition's prefix.
const AWS: Partition = Partition { name: "aws", dns_suffix: "amazonaws.com", regions: "" };

/// The partitions of the SDKs' endpoint rules (`partitions.json`). The SDK for Rust has them, but
/// in private modules; a test compares each suffix with the endpoint that the SDK resolves.
const PARTITIONS: [Partition; 8] = [
    Partition { name: "aws-cn", dns_suffix: "amazonaws.com.cn", regions: "cn-" },
    Partition { name: "aws-eusc", dns_suffix: "amazonaws.eu", regions: "eusc-" },
    Partition { name: "aws-iso", dns_suffix: "c2s.ic.gov", regions: "us-iso-" },
    Partition { name: "aws-iso-b", dns_suffix: "sc2s.sgov.gov", regions: "us-isob-" },
    Partition { name: "aws-iso-e", dns_suffix: "cloud.adc-e.uk", regions: "eu-isoe-" },
    Partition { name: "aws-iso-f", dns_suffix: "csp.hci.ic.gov", regions: "us-isof-" },
    Partition { name: "aws-us-gov", dns_suffix: "amazonaws.com", regions: "us-gov-" },
    AWS,
];

/// Whether a partition has this name, as the second part of ARNs has it.
pub(crate) fn is_partition(name: &str) -> bool {
    PARTITIONS.iter().any(|partition| partition.name == name)
}

impl Region {
    /// The region of this name, such as `us-west-2`. As in the SDK, a name of unknown form belongs
    /// to the partition `aws`.
    #[must_use]
    pub fn new(name: String) -> Self {
        let of = |partition: &&Partition| name.starts_with(partition.regions);
        let partition = PARTITIONS.iter().find(of).unwrap_or(&AWS);
        Self { name, partition }
    }

    /// `us-west-2`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `aws`, `aws-cn`, `aws-us-gov`, …
    #[must_use]
    pub fn partition(&self) -> &'static str {
        self.partition.name
    }

    /// `amazonaws.com`, `amazonaws.com.cn`, …
    #[must_use]
    pub fn dns_suffix(&self) -> &'static str {
        self.partition.dns_suffix
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};

    const REGIONS: [(&str, &str); 12] = [
        ("us-east-1", "aws"),
        ("eu-central-2", "aws"),
        ("mx-central-1", "aws"),
        ("somewhere-else-7", "aws"),
        ("cn-north-1", "aws-cn"),
        ("cn-northwest-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-west-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("us-gov-east-1", "aws-us-gov"),
    ];

    #[tokio::test]
    async fn regions_have_the_partition_of_the_sdks_endpoint() {
        for (name, partition) in REGIONS {
            let region = Region::new(name.to_owned());
            assert_eq!(region.partition(), partition, "{name}");
            let params = Params::builder().region(name).build().unwrap();
            let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.unwrap();
            let expected = format!("https://dynamodb.{name}.{}", region.dns_suffix());
            assert_eq!(endpoint.url(), expected);
        }
        let tested = |it: &Partition| REGIONS.iter().any(|(_, partition)| *partition == it.name);
        assert!(PARTITIONS.iter().all(tested));
    }
}
