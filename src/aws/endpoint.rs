//! Where EC2 is asked. The SDK's clients know their endpoints; the one call made by hand must be told.

use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// EC2's endpoint: `AWS_ENDPOINT_URL_EC2` or the profile's `services` section, then `AWS_ENDPOINT_URL` or the
/// profile's `endpoint_url`, then the Region's own, as the AWS SDKs and Tools Reference Guide orders them
/// ("Service-specific endpoints").
pub(super) fn ec2(config: &SdkConfig, region: &str) -> String {
    configured(config).unwrap_or_else(|| {
        regional(region, config.use_fips().unwrap_or(false), config.use_dual_stack().unwrap_or(false))
    })
}

fn configured(config: &SdkConfig) -> Option<String> {
    let everywhere = || config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return everywhere();
    }
    let key =
        ServiceConfigKey::builder().service_id("EC2").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let for_ec2 = key.ok().zip(config.service_config()).and_then(|(key, service)| service.load_config(key));
    for_ec2.or_else(everywhere)
}

/// The suffixes of the partitions, from the SDK's own `partitions.json`: the prefix of their Regions, the plain suffix
/// and the dual-stack one.
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
];

fn regional(region: &str, fips: bool, dual_stack: bool) -> String {
    let (plain, dual) = PARTITIONS
        .iter()
        .find(|(prefix, _, _)| region.starts_with(prefix))
        .map_or(("amazonaws.com", "api.aws"), |(_, plain, dual)| (*plain, *dual));
    let suffix = if dual_stack { dual } else { plain };
    // EC2's plain endpoints in GovCloud are FIPS endpoints already (EC2's endpoint rules).
    let already_fips = region.starts_with("us-gov-") && !dual_stack;
    let service = if fips && !already_fips { "ec2-fips" } else { "ec2" };
    format!("https://{service}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_partition_fips_and_dual_stack() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "https://ec2.eu-west-1.amazonaws.com"),
            ("eu-west-1", true, false, "https://ec2-fips.eu-west-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://ec2.eu-west-1.api.aws"),
            ("us-east-1", true, true, "https://ec2-fips.us-east-1.api.aws"),
            ("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", true, false, "https://ec2.us-gov-west-1.amazonaws.com"),
            ("us-isob-east-1", false, false, "https://ec2.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(regional(region, fips, dual_stack), expected);
        }
    }
}
