//! Secrets: kept in files and read for each try, so a new one counts at once; and found in receivers' answers, which may repeat
//! them.

use std::iter;
use std::path::Path;

use hyper::Uri;
use hyper::header::HeaderValue;

use crate::access::{NoSecret, read_secret};

/// The file's text without surrounding blanks. Read on another thread: a disk that hangs must not block the I/O thread.
pub(super) async fn read(path: &Path) -> Result<String, String> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_secret(&owned)).await;
    let unread = |_| Err(NoSecret::Wrong(format!("{} could not be read", path.display())));
    read.unwrap_or_else(unread).map_err(NoSecret::into_text)
}

/// This many consecutive characters of a secret count as a part of it; fewer occur in any text.
const PART: usize = 6;
/// A shorter secret would be found by accident.
const SHORTEST: usize = 4;
/// Also finds what was escaped twice, such as a receiver's text quoted by a proxy.
const ESCAPES: usize = 3;

/// The secrets of one request: a receiver may repeat them, and nobody may read them.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// The address itself is a secret: nothing of the receiver's answer is quoted, because it may repeat the secret in any form.
    address: bool,
    /// Letters and digits only.
    secrets: Vec<Vec<char>>,
}

impl Hidden {
    /// Hides a whole address.
    pub(super) fn address(&mut self, url: &Uri) {
        self.address = true;
        for part in url.path().split('/') {
            self.secret(part);
        }
        self.query(url);
    }

    /// Hides the query of an address that is otherwise public.
    pub(super) fn query(&mut self, url: &Uri) {
        for part in url.query().unwrap_or_default().split(['&', '=']) {
            self.secret(part);
        }
    }

    /// Hides the value of a header.
    pub(super) fn header(&mut self, value: &HeaderValue) {
        self.secret(&String::from_utf8_lossy(value.as_bytes()));
    }

    pub(super) fn secret(&mut self, secret: &str) {
        let plain = plain(secret);
        if plain.len() >= SHORTEST {
            self.secrets.push(plain);
        }
    }

    /// Whether nothing of the receiver's answer may be quoted.
    pub(super) const fn is_all(&self) -> bool {
        self.address
    }

    /// Whether a text contains a part of a secret, in any spelling.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let text = plain(text);
        let mut parts = self.secrets.iter().flat_map(|secret| secret.windows(secret.len().min(PART)));
        parts.any(|part| text.windows(part.len()).any(|seen| seen == part))
    }
}

/// The letters and digits of a text, in lower case and without escapes (`%58`, `\u0058`): the same however the text was quoted.
fn plain(text: &str) -> Vec<char> {
    let mut text = text.to_owned();
    for _ in 0..ESCAPES {
        text = unescaped(&text);
    }
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = hexadecimal(rest, b"%", 2).or_else(|| hexadecimal(rest, b"\\u", 4));
        if let Some((code, after)) = escape {
            // In UTF-8 every byte has its percent sign, in JSON every character its \u.
            match u8::try_from(code) {
                Ok(byte) if first == &b'%' || byte.is_ascii() => bytes.push(byte),
                Ok(_) | Err(_) => {
                    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    bytes.extend(iter::once(c).collect::<String>().bytes());
                }
            }
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number after `mark`, of this many digits, and the rest.
fn hexadecimal<'t>(text: &'t [u8], mark: &[u8], digits: usize) -> Option<(u32, &'t [u8])> {
    let (number, after) = text.strip_prefix(mark)?.split_at_checked(digits)?;
    let number = std::str::from_utf8(number).ok().filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(number, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_address(url: &str) -> Hidden {
        let mut hidden = Hidden::default();
        hidden.address(&url.parse().unwrap());
        hidden
    }

    #[test]
    fn a_part_of_a_secret_is_found_in_any_spelling() {
        let hidden =
            of_address("https://hooks.example.com/services/T000/B000/XyZ0SecretToken?k=QuerySecret99");
        for text in [
            "token XyZ0SecretToken is not known",
            "no /services/T000/B000/XyZ0SecretToken",
            r"no \/services\/T000\/B000\/XyZ0Secret\u0054oken",
            "%58yZ0SecretToken",
            "%2558yZ0Secr%65tToken",
            "XYZ0SECRETTOKEN",
            "beginning with XyZ0Se…",
            "k=QuerySecret99",
            "k=Query%53ecret99",
        ] {
            assert!(hidden.is_in(text), "{text}");
        }
        for text in ["", "invalid_payload", "no such hook", "T00", "query"] {
            assert!(!hidden.is_in(text), "{text}");
        }
        assert!(of_address("https://h.example.com/a%2Fb%20c%2Dsecret").is_in("no a/b c-secret here"));
        assert!(of_address("https://h.example.com/?Zürich99").is_in(r"no Z\u00fcrich99"));
    }

    #[test]
    fn a_short_secret_is_found_as_a_whole_and_a_trivial_one_not_at_all() {
        let mut hidden = Hidden::default();
        hidden.secret("pin4");
        hidden.secret("/");
        assert!(hidden.is_in("your PIN4 is wrong") && !hidden.is_in("your pin is wrong / sorry"));
    }

    #[test]
    fn a_public_address_hides_only_its_query() {
        let mut hidden = Hidden::default();
        hidden.query(&"https://h.example.com/api/v2/alerts?team=network-1".parse().unwrap());
        assert!(hidden.is_in("no team network-1") && !hidden.is_in("no /api/v2/alerts"));
        assert!(!hidden.is_all());
    }
}
