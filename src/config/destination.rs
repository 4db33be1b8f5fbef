//! What makes a sink the same sink, whatever it is called and wherever in the files it stands.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::domain::names::Destination;

use super::settings::Vendor;
use crate::settings::{WebhookBody, WebhookSettings, WebhookUrl};

/// The destination of a sink. The store keeps it: it must be the same in every release.
///
/// Of files it goes by their paths: what is in them (a secret that was changed, a template's text) makes no other
/// place of it. The Region is the sink's own or that of `[aws]`; of a plan and a topic the ARN says all.
pub(super) fn destination(vendor: &Vendor, region: Option<&str>, role_arn: Option<&str>) -> Destination {
    let mut parts = vec![vendor.as_str().to_owned()];
    match vendor {
        Vendor::IncidentManager { response_plan } => parts.push(response_plan.to_string()),
        Vendor::OpsCenter => {
            parts.extend([region, role_arn].map(|text| text.unwrap_or_default().to_owned()));
        }
        Vendor::Sns { topic_arn } => parts.push(topic_arn.to_string()),
        Vendor::Webhook(webhook) => parts.extend(of_webhook(webhook)),
    }
    digest(&parts)
}

/// Many services have one address, and tell who is meant by the body, a header or the secret.
fn of_webhook(webhook: &WebhookSettings) -> Vec<String> {
    let WebhookSettings {
        url,
        body,
        headers,
        secret,
        signing_secret: _,
        ca_file: _,
        allow_http: _,
        timeout: _,
        repeat_every: _,
    } = webhook;
    let text = |path: &Path| path.display().to_string();
    let mut parts = match url {
        WebhookUrl::Plain(url) => vec!["url".to_owned(), url.to_string()],
        WebhookUrl::Secret(path) => vec!["url_file".to_owned(), text(path)],
    };
    parts.extend(match body {
        WebhookBody::Preset(preset) => ["preset".to_owned(), preset.as_str().to_owned()],
        WebhookBody::Template { path, text: _ } => ["template_file".to_owned(), text(path)],
    });
    parts.push(secret.as_deref().map(text).unwrap_or_default());
    let mut headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{}: {value}", name.to_lowercase())).collect();
    headers.sort();
    parts.extend(headers);
    parts
}

/// Half a SHA-256 in hexadecimal: a digest, and no secret of an address, is what lies in the store.
fn digest(parts: &[String]) -> Destination {
    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that no two lists of parts run together into the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    Destination::new(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::WebhookPreset;

    fn webhook() -> WebhookSettings {
        WebhookSettings {
            url: WebhookUrl::Plain("https://events.pagerduty.com/v2/enqueue".into()),
            body: WebhookBody::Preset(WebhookPreset::PagerDuty),
            headers: vec![("X-Team".into(), "network".into()), ("X-Site".into(), "milan".into())],
            secret: Some("/etc/bothends/key".into()),
            signing_secret: None,
            ca_file: None,
            allow_http: false,
            timeout: Duration::from_secs(10),
            repeat_every: None,
        }
    }

    fn of(webhook: WebhookSettings) -> Destination {
        destination(&Vendor::Webhook(Box::new(webhook)), None, None)
    }

    #[test]
    fn a_webhook_is_its_address_body_secrets_file_and_headers_and_nothing_else() {
        let same = [
            WebhookSettings { timeout: Duration::from_secs(1), ..webhook() },
            WebhookSettings { repeat_every: Some(Duration::from_secs(60)), ..webhook() },
            WebhookSettings { signing_secret: Some("/etc/bothends/signing".into()), ..webhook() },
            WebhookSettings {
                headers: vec![("x-site".into(), "milan".into()), ("x-team".into(), "network".into())],
                ..webhook()
            },
        ];
        for same in same {
            assert_eq!(of(same.clone()), of(webhook()), "{same:?}");
        }
        let template = |text: &str| WebhookSettings {
            body: WebhookBody::Template { path: "/etc/bothends/body.j2".into(), text: text.into() },
            ..webhook()
        };
        assert_eq!(of(template("{}")), of(template("{ }")));
        let others = [
            WebhookSettings {
                url: WebhookUrl::Plain("https://events.eu.pagerduty.com/".into()),
                ..webhook()
            },
            WebhookSettings {
                url: WebhookUrl::Secret("https://events.pagerduty.com/v2/enqueue".into()),
                ..webhook()
            },
            WebhookSettings { body: WebhookBody::Preset(WebhookPreset::Slack), ..webhook() },
            template("{}"),
            WebhookSettings { secret: Some("/etc/bothends/other".into()), ..webhook() },
            WebhookSettings { secret: None, ..webhook() },
            WebhookSettings { headers: vec![("X-Team".into(), "network".into())], ..webhook() },
        ];
        for other in others {
            assert_ne!(of(other.clone()), of(webhook()), "{other:?}");
        }
    }

    #[test]
    fn ops_center_is_its_region_and_role_and_a_plan_or_a_topic_is_its_arn() {
        let ops_center = |region, role| destination(&Vendor::OpsCenter, region, role);
        assert_ne!(ops_center(Some("eu-west-1"), None), ops_center(Some("eu-west-2"), None));
        assert_ne!(ops_center(None, Some("eu-west-1")), ops_center(Some("eu-west-1"), None));
        let arn = "arn:aws:sns:eu-west-1:123456789012:bothends";
        let topic = |region| destination(&Vendor::Sns { topic_arn: arn.into() }, region, None);
        assert_eq!(topic(None), topic(Some("eu-west-2")));
        let plan = Vendor::IncidentManager { response_plan: arn.into() };
        assert_ne!(destination(&plan, None, None), topic(None));
    }

    #[test]
    fn a_destination_is_the_same_in_every_release() {
        let topic = Vendor::Sns { topic_arn: "arn:aws:sns:eu-west-1:123456789012:bothends".into() };
        assert_eq!(destination(&topic, None, None).as_str(), "38480594edddb3d38253c83fe72530b9");
        assert_eq!(of(webhook()).as_str(), "da8483d95a8ec2288436f9f1fc7c12b1");
    }
}
