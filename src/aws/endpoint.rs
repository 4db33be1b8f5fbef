//! Where services are that are called by hand. The SDK's clients know their endpoints; these must be told.

use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::api::Api;

/// A service's endpoint: `AWS_ENDPOINT_URL_<ID>` or the profile's `services` section, then `AWS_ENDPOINT_URL` or the
/// profile's `endpoint_url`, then the Region's own, as the AWS SDKs and Tools Reference Guide orders them
/// ("Service-specific endpoints").
pub(super) fn of(api: &Api, config: &SdkConfig, region: &str) -> String {
    configured(api, config).unwrap_or_else(|| {
        let (fips, dual_stack) = (config.use_fips(), config.use_dual_stack());
        regional(api.host, region, fips.unwrap_or(false), dual_stack.unwrap_or(false))
    })
}

/// Incident Manager's endpoint where the profile's `services` section calls it `ssm_incidents`, as the AWS SDKs and Tools
/// Reference Guide spells it ("Service-specific endpoints"). The Rust SDK reads `ssm-incidents` alone.
pub(super) fn of_incident_manager(config: &SdkConfig) -> Option<String> {
    if config.get_origin("endpoint_url").is_client_config() {
        return None;
    }
    let named = |service_id| {
        let key = ServiceConfigKey::builder();
        let key = key.service_id(service_id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        config.service_config()?.load_config(key)
    };
    // The variable, which is one for both, counts with the first.
    named("SSM Incidents").or_else(|| named("SSM_Incidents"))
}

fn configured(api: &Api, config: &SdkConfig) -> Option<String> {
    let everywhere = || config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return everywhere();
    }
    let key = ServiceConfigKey::builder()
        .service_id(api.service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let for_it = key.ok().zip(config.service_config()).and_then(|(key, service)| service.load_config(key));
    for_it.or_else(everywhere)
}

/// The partitions, from the SDK's own `partitions.json`: the prefix of their Regions, their name in ARNs, the plain suffix of
/// their host names and the dual-stack one.
const PARTITIONS: [(&str, &str, &str, &str); 8] = [
    ("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", ANY, "amazonaws.com", "api.aws"),
];
const ANY: &str = "aws";

/// The partition that a Region is in, as ARNs name it.
pub fn partition(region: &str) -> &'static str {
    let found = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    found.map_or(ANY, |(_, partition, ..)| partition)
}

/// The Region's own endpoint of a service whose host names begin so.
pub(super) fn regional(host: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let (plain, dual) = PARTITIONS
        .iter()
        .find(|(prefix, ..)| region.starts_with(prefix))
        .map_or(("amazonaws.com", "api.aws"), |(_, _, plain, dual)| (*plain, *dual));
    let suffix = if dual_stack { dual } else { plain };
    // The plain endpoints of EC2, SSM and SNS in GovCloud are FIPS endpoints already (the services' endpoint rules).
    let already_fips = region.starts_with("us-gov-") && !dual_stack;
    let fips = if fips && !already_fips { "-fips" } else { "" };
    format!("https://{host}{fips}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_the_partition_that_its_name_begins_with() {
        for (region, expected) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition(region), expected);
        }
    }

    #[tokio::test]
    async fn a_profile_may_spell_incident_manager_as_the_guide_or_as_the_sdk_does() {
        use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
        for spelling in ["ssm_incidents", "ssm-incidents"] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let text = format!(
                "[default]\nregion = eu-west-1\nservices = local\n[services local]\n{spelling} =\n  endpoint_url = http://127.0.0.1:9\n"
            );
            std::fs::write(file.path(), text).unwrap();
            let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Config, file.path()).build();
            let http =
                crate::aws::http::client(None, false, Default::default(), &Default::default()).unwrap();
            let loader = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).http_client(http);
            let config = loader.profile_files(files).no_credentials().load().await;
            assert_eq!(of_incident_manager(&config).as_deref(), Some("http://127.0.0.1:9"), "{spelling}");
        }
    }

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
            assert_eq!(regional("ec2", region, fips, dual_stack), expected);
        }
    }
}
