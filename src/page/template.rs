//! The templates, and the policy by which browsers run nothing but what is in them.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use sha2::{Digest as _, Sha256};

use super::view::PageView;

const PAGE: &str = "page.html";
const TEMPLATES: [(&str, &str); 4] = [
    (PAGE, include_str!("templates/page.html")),
    ("main.html", include_str!("templates/main.html")),
    ("tunnel.html", include_str!("templates/tunnel.html")),
    ("macros.html", include_str!("templates/macros.html")),
];
const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/live.js");

/// The templates, parsed.
#[derive(Debug)]
pub(super) struct Template(Environment<'static>);

impl Template {
    /// # Errors
    /// A template is wrong: a defect that the tests find.
    pub(super) fn new() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    /// The page as HTML.
    ///
    /// # Errors
    /// A template names what the view does not have: a defect that the tests find.
    pub(super) fn render(&self, page: &PageView, version: u64) -> Result<String, minijinja::Error> {
        self.0.get_template(PAGE)?.render(context! {
            page => Value::from(Serde(page)),
            version,
            // These two are ours, and the only ones that are not escaped.
            style => Value::from_safe_string(STYLE.to_owned()),
            script => Value::from_safe_string(SCRIPT.to_owned()),
        })
    }
}

/// Our style and our script by their hashes, news from this server, and nothing else.
pub(super) fn policy() -> Option<HeaderValue> {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_exempt_from_escaping_and_every_attribute_is_in_quotes() {
        for (name, text) in TEMPLATES {
            for unescaped in ["|safe", "| safe", "autoescape", "style=\"", "onclick", "javascript:"] {
                assert!(!text.contains(unescaped), "{name}: {unescaped}");
            }
            assert!(!text.contains("={{"), "{name}: an attribute without quotes");
        }
    }

    #[test]
    fn style_and_script_stay_inside_their_elements() {
        assert!(!STYLE.contains("</") && !STYLE.contains("@import") && !STYLE.contains("url(h"));
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval("));
    }

    #[test]
    fn the_policy_allows_nothing_from_elsewhere() {
        let policy = policy().unwrap();
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    }
}
