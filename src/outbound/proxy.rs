//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or small letters, as curl reads them (curl(1),
//! "Environment"). A variable that is set and invalid is an error: bypassing the proxy unasked would be worse.

use std::collections::BTreeMap;
use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// An editor or a shell may put these around a value, and a parser of `NAME=VALUE` lines may keep them.
const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// The proxies of the environment.
#[derive(Debug)]
pub struct Proxies {
    matcher: Matcher,
    for_https: Option<&'static str>,
    for_http: Option<&'static str>,
}

/// A proxy, and the variable that names it.
#[derive(Debug, Clone)]
pub struct Proxy {
    intercept: Intercept,
    variable: &'static str,
}

impl Proxies {
    /// Every host is reached directly, whatever the environment says.
    pub fn none() -> Self {
        Self { matcher: Matcher::builder().build(), for_https: None, for_http: None }
    }

    /// The proxies that these variables name; an empty variable counts as not set.
    ///
    /// # Errors
    /// If one that is set names no usable proxy. A person must act.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self, ProxyVariable> {
        let all = named(env, ALL)?;
        let https = named(env, HTTPS)?.or_else(|| all.clone());
        let http = named(env, HTTP)?.or(all);
        let mut matcher = Matcher::builder();
        if let Some((_, url)) = &https {
            matcher = matcher.https(url);
        }
        if let Some((_, url)) = &http {
            matcher = matcher.http(url);
        }
        if let Some((variable, hosts)) = set(env, NONE) {
            if hosts.contains(QUOTES) {
                return Err(ProxyVariable { variable, fault: VariableFault::Quoted });
            }
            matcher = matcher.no(hosts);
        }
        let variable = |of: Option<(&'static str, String)>| of.map(|(variable, _)| variable);
        Ok(Self { matcher: matcher.build(), for_https: variable(https), for_http: variable(http) })
    }

    /// The proxy for this URL.
    pub fn of(&self, url: &Uri) -> Option<Proxy> {
        let variable = if url.scheme_str() == Some("https") { self.for_https } else { self.for_http };
        Some(Proxy { intercept: self.matcher.intercept(url)?, variable: variable? })
    }
}

impl Proxy {
    /// Its URL, without user and password.
    pub fn url(&self) -> &Uri {
        self.intercept.uri()
    }

    /// The value of `Proxy-Authorization` for it.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// The environment variable that names it.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

/// The URL without user and password, and the variable that names it.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        let scheme = url.scheme_str().unwrap_or("http");
        let authority = url.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority} ({})", self.variable)
    }
}

/// A variable that is set and names no usable proxy. Its value may contain a password and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyVariable {
    variable: &'static str,
    fault: VariableFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VariableFault {
    Quoted,
    Blank,
    Socks,
    Scheme,
    Unescaped,
    Host,
}

impl fmt::Display for ProxyVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = self.variable;
        match self.fault {
            VariableFault::Quoted => write!(
                f,
                "{variable} holds quotation marks, which are not part of a URL or host name: write the value without them \
                 (systemd removes them from Environment= and EnvironmentFile=, `docker run --env-file` does not)"
            ),
            VariableFault::Blank => {
                write!(f, "{variable} is not a proxy's URL: it holds a blank; write http://HOST:PORT")
            }
            VariableFault::Socks => write!(
                f,
                "{variable} names a SOCKS proxy, which is not supported: name an HTTP proxy that allows CONNECT, as \
                 http://HOST:PORT"
            ),
            VariableFault::Scheme => write!(
                f,
                "{variable} is not a proxy's URL: it must begin with http:// or https://, as in http://HOST:PORT"
            ),
            VariableFault::Unescaped => write!(
                f,
                "{variable} is not a proxy's URL: percent-encode the characters / ? # in the user name and password \
                 (%2F, %3F, %23), as in http://USER:PASSWORD@HOST:PORT"
            ),
            VariableFault::Host => {
                write!(f, "{variable} is not a proxy's URL: no host and port in it; write http://HOST:PORT")
            }
        }
    }
}

impl std::error::Error for ProxyVariable {}

/// The first of two spellings that is set and not empty.
fn set<'e>(env: &'e BTreeMap<String, String>, names: [&'static str; 2]) -> Option<(&'static str, &'e str)> {
    names.into_iter().find_map(|name| {
        let value = env.get(name)?.trim();
        (!value.is_empty()).then_some((name, value))
    })
}

fn named(
    env: &BTreeMap<String, String>,
    names: [&'static str; 2],
) -> Result<Option<(&'static str, String)>, ProxyVariable> {
    let Some((variable, value)) = set(env, names) else { return Ok(None) };
    let url = escaped(value).map_err(|fault| ProxyVariable { variable, fault })?;
    Ok(Some((variable, url)))
}

/// The URL in the form of RFC 3986. The last `@` ends the user part, as in curl: a password may contain one.
fn escaped(value: &str) -> Result<String, VariableFault> {
    if value.starts_with(QUOTES) || value.ends_with(QUOTES) {
        return Err(VariableFault::Quoted);
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(VariableFault::Blank);
    }
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = scheme.to_ascii_lowercase();
    // `http//proxy` and `http:/proxy` would otherwise mean a proxy named http.
    let begin = rest.split(['/', ':']).next().unwrap_or_default();
    let behind = rest[begin.len()..].trim_start_matches(':').strip_prefix('/');
    let again = ["http", "https"].iter().any(|scheme| begin.eq_ignore_ascii_case(scheme));
    if again && behind.is_some_and(|behind| !behind.is_empty()) {
        return Err(VariableFault::Scheme);
    }
    match scheme.as_str() {
        "http" | "https" => {}
        socks if socks.starts_with("socks") => return Err(VariableFault::Socks),
        _ => return Err(VariableFault::Scheme),
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('@') {
        return Err(VariableFault::Unescaped);
    }
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let user = user.map(|user| format!("{}@", percent_encoded(user))).unwrap_or_default();
    let url = format!("{scheme}://{user}{host}/");
    let parsed: Uri = url.parse().map_err(|_| VariableFault::Host)?;
    let names_port = host.rsplit_once(']').map_or(host, |(_, after)| after).contains(':');
    // Not a number between 1 and 65535.
    let port = parsed.port_u16().filter(|port| *port != 0);
    let usable = parsed.host().is_some_and(|host| !host.is_empty()) && names_port == port.is_some();
    if usable { Ok(url) } else { Err(VariableFault::Host) }
}

/// Percent-encodes what RFC 3986 (section 3.2.1) does not allow in the user part; existing escapes stay.
fn percent_encoded(user: &str) -> String {
    let mut encoded = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(env: &[(&str, &str)]) -> Result<Proxies, ProxyVariable> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Proxies::from_env(&env)
    }

    fn to(url: &str, env: &[(&str, &str)]) -> Option<Proxy> {
        proxies(env).unwrap().of(&url.parse().unwrap())
    }

    const EC2: &str = "https://ec2.eu-west-1.amazonaws.com/";

    #[test]
    fn the_proxy_is_named_with_its_variable_and_without_its_password() {
        for (env, shown) in [
            (
                &[("HTTPS_PROXY", "http://proxy.example.com:3128")][..],
                "http://proxy.example.com:3128 (HTTPS_PROXY)",
            ),
            (&[("https_proxy", "proxy:3128")], "http://proxy:3128 (https_proxy)"),
            (&[("ALL_PROXY", "https://u:secret@proxy:3128/")], "https://proxy:3128 (ALL_PROXY)"),
            (&[("HTTPS_PROXY", " http://[2001:db8::1]:3128\n")], "http://[2001:db8::1]:3128 (HTTPS_PROXY)"),
            (&[("HTTPS_PROXY", "HTTP://proxy")], "http://proxy (HTTPS_PROXY)"),
            (
                &[("ALL_PROXY", "http://all:1"), ("HTTPS_PROXY", "http://https:1")],
                "http://https:1 (HTTPS_PROXY)",
            ),
        ] {
            assert_eq!(to(EC2, env).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_proxy_may_be_called_http() {
        assert_eq!(
            to(EC2, &[("HTTPS_PROXY", "http://http:3128/")]).unwrap().to_string(),
            "http://http:3128 (HTTPS_PROXY)"
        );
        assert_eq!(
            to(EC2, &[("HTTPS_PROXY", "http:3128")]).unwrap().to_string(),
            "http://http:3128 (HTTPS_PROXY)"
        );
    }

    #[test]
    fn an_empty_variable_hides_no_other() {
        for env in [
            [("HTTPS_PROXY", ""), ("https_proxy", "http://proxy:1")],
            [("HTTPS_PROXY", "  "), ("all_proxy", "http://proxy:1")],
        ] {
            assert!(to(EC2, &env).is_some(), "{env:?}");
        }
        let direct = [("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", ""), ("no_proxy", "amazonaws.com")];
        assert!(to(EC2, &direct).is_none());
        assert!(to(EC2, &[("HTTP_PROXY", "http://proxy:1")]).is_none());
        assert!(to("http://127.0.0.1/", &[("HTTPS_PROXY", "http://proxy:1")]).is_none());
    }

    #[test]
    fn user_and_password_are_sent_complete() {
        // Basic credentials of "user:p@ss", "user:p@s:s", "dom\user:p%ss" and "user:".
        for (url, sent) in [
            ("http://user:p@ss@proxy:1", "Basic dXNlcjpwQHNz"),
            ("http://user:p%40ss@proxy:1", "Basic dXNlcjpwQHNz"),
            ("user:p@s:s@proxy:1", "Basic dXNlcjpwQHM6cw=="),
            ("http://dom\\user:p%25ss@proxy:1", "Basic ZG9tXHVzZXI6cCVzcw=="),
            ("http://user@proxy:1", "Basic dXNlcjo="),
        ] {
            let proxy = to(EC2, &[("HTTPS_PROXY", url)]).unwrap();
            assert_eq!(proxy.authorization().unwrap(), sent, "{url}");
            assert_eq!(proxy.url().authority().unwrap(), "proxy:1");
        }
    }

    #[test]
    fn an_invalid_proxy_is_refused_by_variable_name_without_its_value() {
        for (variable, value, says) in [
            ("HTTPS_PROXY", "\"http://u:secret@proxy:1\"", "quotation marks"),
            ("https_proxy", "'http://u:secret@proxy:1'", "quotation marks"),
            ("ALL_PROXY", "\u{201c}http://u:secret@proxy:1\u{201d}", "quotation marks"),
            ("NO_PROXY", "\"localhost,secret\"", "quotation marks"),
            ("HTTPS_PROXY", "http://u:sec ret@proxy:1", "a blank"),
            ("HTTPS_PROXY", "socks5://u:secret@proxy:1080", "SOCKS"),
            ("HTTPS_PROXY", "ftp://secret:1", "begin with http"),
            ("HTTPS_PROXY", "http://user:sec/ret@proxy:1", "percent-encode"),
            ("HTTPS_PROXY", "http://user:sec#ret@proxy:1", "percent-encode"),
            ("HTTPS_PROXY", "http//secret:3128", "begin with http"),
            ("HTTPS_PROXY", "http:/secret:3128", "begin with http"),
            ("HTTPS_PROXY", "http://http://secret:3128", "begin with http"),
            ("HTTPS_PROXY", "http://", "no host"),
            ("HTTPS_PROXY", "http://u:secret@:3128", "no host"),
            ("HTTPS_PROXY", "http://secret:port", "no host"),
            ("HTTPS_PROXY", "http://secret:", "no host"),
            ("HTTPS_PROXY", "http://secret:0", "no host"),
            ("HTTPS_PROXY", "http://secret:70000", "no host"),
        ] {
            let refusal = proxies(&[(variable, value)]).unwrap_err().to_string();
            assert!(refusal.starts_with(variable) && refusal.contains(says), "{value}: {refusal}");
            assert!(!refusal.contains("secret") && !refusal.contains("sec "), "{refusal}");
        }
    }
}
