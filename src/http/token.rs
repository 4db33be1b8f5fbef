//! The token that clients of the listener must show: as a bearer token (RFC 6750), or as the password of Basic authentication (RFC
//! 7617), for which a browser asks by itself.

use std::fmt;
use std::path::Path;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::text::text;
use crate::access::{NoSecret, read_secret};

/// A shorter one can be guessed.
const SHORTEST: usize = 16;

/// What answers whether the daemon lives, for load balancers and service managers, which often cannot send a token. It says
/// nothing about the tunnels.
const OPEN_PATH: &str = "/healthz";

/// The token, as its hash: the memory holds no copy of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The token in this file. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// It cannot be read, everybody can read it, or it is no token.
    pub fn read(path: &Path) -> Result<Self, NoSecret> {
        Self::of(&read_token(path)?).ok_or_else(|| {
            NoSecret::Wrong(format!(
                "the secret {} is no token: it must have at least {SHORTEST} letters, digits or signs, without blanks; \
                 `openssl rand -hex 32` makes one",
                path.display()
            ))
        })
    }

    fn of(text: &str) -> Option<Self> {
        is_fit(text).then(|| Self(hash(text.as_bytes())))
    }

    /// Whether a request to this path with these headers may be answered.
    pub(super) fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        path == OPEN_PATH || headers.get(AUTHORIZATION).and_then(shown).is_some_and(|shown| self.is(&shown))
    }

    /// In a time that says nothing about the token.
    fn is(&self, shown: &[u8]) -> bool {
        hash(shown).ct_eq(&self.0).into()
    }
}

/// The text of a token's file, for a client that shows it.
///
/// # Errors
/// It cannot be read, or everybody can read it.
pub(super) fn read_token(path: &Path) -> Result<String, NoSecret> {
    read_secret(path)
}

/// Whether a text can be a token: a header can carry it, and it cannot be guessed.
pub(super) fn is_fit(text: &str) -> bool {
    text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What a client shows: the bearer token, or the password after any user name. Schemes have no case (RFC 9110, 11.1).
fn shown(header: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.as_bytes().to_vec())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD.decode(rest).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        Some(pair[colon + 1..].to_vec())
    } else {
        None
    }
}

/// The answer to a request that does not show the token.
pub(super) fn refusal() -> Response {
    const WHAT: &str = "this listener asks for its token: send it as \"Authorization: Bearer TOKEN\" \
                        (bothends status --token-file FILE); in a browser, give it as the password, with any user name\n";
    let mut answer = text(StatusCode::UNAUTHORIZED, WHAT);
    for challenge in ["Bearer realm=\"bothends\"", "Basic realm=\"bothends\", charset=\"UTF-8\""] {
        answer.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TOKEN: &str = "0123456789abcdef:XYZ";

    fn admits(path: &str, header: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.extend(header.map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())));
        Token::of(TOKEN).unwrap().admits(path, &headers)
    }

    #[test]
    fn the_token_is_taken_as_bearer_and_as_any_users_password_and_nothing_else_is() {
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for right in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN}"),
            basic(&format!("noc:{TOKEN}")),
            basic(&format!(":{TOKEN}")).replace("Basic", "BASIC"),
        ] {
            assert!(admits("/status", Some(&right)), "{right}");
        }
        for wrong in [
            TOKEN.to_owned(),
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Bearer {}", TOKEN.to_lowercase()),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Digest {TOKEN}"),
            format!("Basic {TOKEN}"),
            basic(TOKEN),
            basic(&format!("{TOKEN}:")),
            "Basic ".to_owned(),
        ] {
            assert!(!admits("/status", Some(&wrong)), "{wrong}");
        }
        assert!(!admits("/status", None));
    }

    #[test]
    fn only_the_check_of_whether_the_daemon_lives_needs_no_token() {
        assert!(admits("/healthz", None));
        for path in ["/readyz", "/metrics", "/", "/healthz/", "/healthzx", "//healthz", "/HEALTHZ"] {
            assert!(!admits(path, None), "{path}");
        }
    }

    #[test]
    fn a_refusal_names_both_ways_and_the_first_step() {
        let answer = refusal();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let ways: Vec<_> =
            answer.headers().get_all(WWW_AUTHENTICATE).iter().map(|way| way.to_str().unwrap()).collect();
        assert!(ways[0].starts_with("Bearer realm=") && ways[1].starts_with("Basic realm="), "{ways:?}");
    }

    #[test]
    fn a_file_with_what_can_be_guessed_or_not_be_sent_is_refused_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(0o600)).unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            Token::read(file.path()).map_err(NoSecret::into_text)
        };
        assert_eq!(read(&format!(" {TOKEN}\n")), Ok(Token::of(TOKEN).unwrap()));
        for text in ["hunter2", "two words of some length", "zwölf Boxkämpfer jagen"] {
            let why = read(text).unwrap_err();
            assert!(why.contains("is no token") && why.contains("openssl rand"), "{why}");
            assert!(!why.contains(text), "{why}");
        }
        let shown = format!("{:?}", Token::of(TOKEN).unwrap());
        assert_eq!(shown, "Token(…)");
    }
}
