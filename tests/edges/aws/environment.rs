//! The environment variables and files of AWS's own tools, with the same meaning.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;

use bothends::domain::names::SourceKind;
use serde_json::json;
use tempfile::TempDir;

use super::child::{REGION_OF_CHAIN, polls};
use super::tls_server::TlsServer;
use super::{DEADLINE, KEY, SECRET, received, stand_in};

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];

fn home() -> TempDir {
    TempDir::new().unwrap()
}

fn with_keys<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&KEYS[..], more].concat()
}

#[test]
fn a_service_endpoint_takes_precedence_over_the_general_one() {
    let (everything, ec2, cloudwatch) = (stand_in(), stand_in(), stand_in());
    let urls = (everything.url(), ec2.url(), cloudwatch.url());
    let all = ("AWS_ENDPOINT_URL", urls.0.as_str());
    for (kind, variable, url, own, operation) in [
        (SourceKind::Ec2, "AWS_ENDPOINT_URL_EC2", &urls.1, &ec2, "DescribeVpnConnections"),
        (SourceKind::CloudWatch, "AWS_ENDPOINT_URL_CLOUDWATCH", &urls.2, &cloudwatch, "GetMetricData"),
    ] {
        let printed = polls(kind, home().path(), &with_keys(&[all]));
        assert!(printed.contains("event: Answered"), "{printed}");
        assert_eq!(received(&everything, operation).len(), 1);
        polls(kind, home().path(), &with_keys(&[all, (variable, url)]));
        assert_eq!((received(&everything, operation).len(), received(own, operation).len()), (1, 1));
    }
}

#[test]
fn a_profile_may_name_region_endpoints_and_keys() {
    let (aws, home) = (stand_in(), home());
    let config = format!(
        "[profile site]\nregion = eu-west-1\nservices = local\n[services local]\nec2 =\n  endpoint_url = {}\n",
        aws.url()
    );
    write(home.path(), "config", &config);
    let keys = format!("[site]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    write(home.path(), "credentials", &keys);
    let printed = polls(SourceKind::Ec2, home.path(), &[("AWS_PROFILE", "site"), REGION_OF_CHAIN]);
    assert!(printed.contains("event: Answered"), "{printed}");
    assert_eq!(received(&aws, "DescribeVpnConnections")[0]["region"], "eu-west-1");
}

#[test]
fn a_credential_process_provides_the_keys() {
    let (aws, home) = (stand_in(), home());
    let made = json!({ "Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET }).to_string();
    write(home.path(), "made.json", &made);
    let command = format!("cat {}", home.path().join(".aws/made.json").display());
    write(home.path(), "config", &format!("[default]\ncredential_process = {command}\n"));
    let url = aws.url();
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        let printed = polls(kind, home.path(), &[("AWS_ENDPOINT_URL", &url)]);
        assert!(printed.contains("event: Answered"), "{printed}");
    }
    assert_eq!(received(&aws, "GetMetricData")[0]["principal"], "arn:aws:iam::123456789012:user/gateway");
}

#[test]
fn a_credential_process_that_fails_is_quoted_without_its_secrets() {
    let (aws, home) = (stand_in(), home());
    let url = aws.url();
    let asked = |script: &str| {
        write(home.path(), "config", &format!("[default]\ncredential_process = {script}\n"));
        polls(SourceKind::CloudWatch, home.path(), &[("AWS_ENDPOINT_URL", &url)])
    };
    let printed = asked("echo the certificate has expired >&2; exit 3");
    assert!(printed.contains("the certificate has expired"), "{printed}");
    let printed = asked(r#"echo '{"Version": 1, "SecretAccessKey": "wJalrXUtn"' >&2; exit 3"#);
    assert!(printed.contains("event: Refused") && !printed.contains("wJalrXUtn"), "{printed}");
}

#[test]
fn an_identity_center_profile_without_a_session_names_the_sign_in_command() {
    let (aws, home) = (stand_in(), home());
    write(home.path(), "config", PROFILES_OF_IDENTITY_CENTER);
    let url = aws.url();
    for (profile, to_sign_in) in [("ops", "ops"), ("older", "older"), ("through", "ops")] {
        let printed = polls(
            SourceKind::CloudWatch,
            home.path(),
            &[("AWS_ENDPOINT_URL", &url), ("AWS_PROFILE", profile)],
        );
        let expected = format!("run `aws sso login --profile {to_sign_in}`. Nobody signs in for a daemon");
        assert!(printed.contains("event: Refused") && printed.contains(&expected), "{printed}");
    }
    assert!(received(&aws, "GetMetricData").is_empty());
}

const PROFILES_OF_IDENTITY_CENTER: &str = "
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile ops]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Ops
[profile older]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = Ops
[profile through]
role_arn = arn:aws:iam::123456789012:role/vpn
source_profile = ops
";

#[test]
fn without_credentials_the_problem_says_what_to_provide() {
    let aws = stand_in();
    let url = aws.url();
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        let printed = polls(kind, home().path(), &[("AWS_ENDPOINT_URL", &url)]);
        assert!(printed.contains("no AWS credentials"), "{printed}");
    }
}

#[test]
fn the_problem_says_where_credentials_were_looked_for_and_what_is_wrong_there() {
    let (aws, home) = (stand_in(), home());
    let url = aws.url();
    let asked = |environment: &[(&str, &str)]| {
        let environment = [&[("AWS_ENDPOINT_URL", url.as_str())], environment].concat();
        polls(SourceKind::CloudWatch, home.path(), &environment)
    };
    write(home.path(), "config", "[profile me]\nregion = eu-west-1\n");
    let here = home.path().display();
    let config = format!("{here}/.aws/config");
    let missing = format!("{here}/typo");
    let in_config = |name: &str| format!("no profile [{name}] in {config} (there is: me)");
    for (environment, expected) in [
        (vec![], in_config("default")),
        (vec![("AWS_PROFILE", "you")], in_config("you")),
        (vec![("AWS_PROFILE", "me")], format!("the profile [me] in {config}")),
        (vec![KEYS[0]], "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not".to_owned()),
        (
            vec![("AWS_SHARED_CREDENTIALS_FILE", missing.as_str())],
            format!("AWS_SHARED_CREDENTIALS_FILE names {missing}, which does not exist"),
        ),
    ] {
        let printed = asked(&environment);
        assert!(printed.contains("event: Refused") && printed.contains(&expected), "{expected}: {printed}");
    }
    write(home.path(), "config", "[default]\naws_access_key_id = AKIASTANDINEXAMPLE01\n");
    let printed = asked(&[]);
    let expected = "the profile [default] has aws_access_key_id and no aws_secret_access_key";
    assert!(printed.contains(expected) && !printed.contains("withheld"), "{printed}");
    write(home.path(), "config", "[default]\nno sense\n");
    let printed = asked(&[]);
    assert!(printed.contains(&config) && printed.contains("line 2"), "{printed}");
    let login = "[default]\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    write(home.path(), "config", login);
    let printed = asked(&[]);
    let expected = "aws configure export-credentials --profile default";
    assert!(printed.contains(expected) && !printed.contains("cargo"), "{printed}");
}

#[test]
fn without_a_region_the_problem_says_what_to_set() {
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        for set in [&[REGION_OF_CHAIN][..], &[REGION_OF_CHAIN, ("AWS_REGION", "")]] {
            let printed = polls(kind, home().path(), &with_keys(set));
            assert!(printed.contains("set region under [aws]"), "{printed}");
        }
    }
}

#[test]
fn calls_go_through_the_proxy() {
    for (kind, host) in [
        (SourceKind::CloudWatch, "monitoring.eu-west-1.amazonaws.com:443"),
        (SourceKind::Ec2, "ec2.eu-west-1.amazonaws.com:443"),
    ] {
        let proxy = Listening::start();
        let printed = polls(kind, home().path(), &with_keys(&[("HTTPS_PROXY", &proxy.url)]));
        let refused =
            format!("the proxy {} (HTTPS_PROXY) refused a connection to {host} (502 Bad Gateway)", proxy.url);
        assert!(printed.contains(&refused), "{printed}");
        assert_eq!(proxy.first_line(), format!("CONNECT {host} HTTP/1.1"));
    }
}

#[test]
fn hosts_under_no_proxy_are_called_directly() {
    let (proxy, aws) = (Listening::start(), stand_in());
    let url = aws.url();
    let environment =
        with_keys(&[("ALL_PROXY", &proxy.url), ("NO_PROXY", "127.0.0.1"), ("AWS_ENDPOINT_URL", &url)]);
    let printed = polls(SourceKind::CloudWatch, home().path(), &environment);
    assert!(printed.contains("event: Answered"), "{printed}");
    assert!(proxy.lines.try_recv().is_err(), "the proxy was used");
}

#[test]
fn a_private_ca_is_trusted_only_if_it_is_configured() {
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/edges/aws/tls/authority.pem");
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        let server = TlsServer::start();
        let endpoint = ("AWS_ENDPOINT_URL", server.url.as_str());
        let printed = polls(kind, home().path(), &with_keys(&[endpoint, ("AWS_CA_BUNDLE", authority)]));
        assert!(printed.contains("HTTP 503"), "{printed}");
        let printed = polls(kind, home().path(), &with_keys(&[endpoint, ("SSL_CERT_FILE", authority)]));
        assert!(printed.contains("HTTP 503"), "{printed}");
        let printed = polls(kind, home().path(), &with_keys(&[endpoint]));
        assert!(
            printed.contains("it is not signed by a CA that is trusted here")
                && !printed.contains("UnknownIssuer"),
            "{printed}"
        );
    }
}

#[test]
fn an_unusable_ca_bundle_is_reported_before_any_call() {
    let home = home();
    write(home.path(), "ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let path = home.path().join(".aws/ca.pem");
    let printed = polls(SourceKind::Ec2, home.path(), &[("AWS_CA_BUNDLE", path.to_str().unwrap())]);
    assert!(printed.contains("event: not loaded: AWS_CA_BUNDLE names"), "{printed}");
}

fn write(home: &Path, file: &str, content: &str) {
    let directory = home.join(".aws");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(file), content).unwrap();
}

/// A proxy that rejects, and reports the first line of each connection. Its thread ends with the process.
struct Listening {
    url: String,
    lines: mpsc::Receiver<String>,
}

impl Listening {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if sender.send(refuse(connection)).is_err() {
                    return;
                }
            }
        });
        Self { url, lines }
    }

    fn first_line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap()
    }
}

fn refuse(mut connection: TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line).unwrap();
    connection.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").unwrap();
    line.trim_end().to_owned()
}
