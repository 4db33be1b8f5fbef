//! Hand-made requests, for what the SDK would never send. Has its own signing code, so that the two sides check each
//! other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ciborium::Value as Cbor;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::StandIn;
use super::super::clock;
use super::{KEY, REGION, SECRET, now};

/// A request; every part of its signature can be made wrong.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) method: &'static str,
    /// With the query string; already encoded.
    pub(super) target: String,
    /// Lower-case names, values as sent; `host` and `x-amz-date` are added.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) region: &'static str,
    pub(super) service: &'static str,
    /// When it is signed, in seconds from the stand-in's own time.
    pub(super) skew: f64,
    /// The date in the credential's scope, if it differs from the signature's.
    pub(super) scope_date: Option<&'static str>,
    /// A header that is sent but not signed.
    pub(super) unsigned: Option<&'static str>,
}

/// A parsed answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Raw {
    pub(super) fn new(
        service: &'static str,
        method: &'static str,
        target: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: vec![("content-type", kind.to_owned())],
            body,
            key: KEY.to_owned(),
            secret: SECRET.to_owned(),
            token: None,
            region: REGION,
            service,
            skew: 0.0,
            scope_date: None,
            unsigned: None,
        }
    }

    /// A CloudWatch operation. In `input`, `{"$time": n}` is a timestamp and `{"$float": "NaN"}` a float that JSON lacks.
    pub(super) fn cloudwatch(operation: &str, input: &Value) -> Self {
        let mut body = Vec::new();
        ciborium::into_writer(&cbor(input), &mut body).unwrap();
        let target = format!("/service/GraniteServiceVersion20100801/operation/{operation}");
        let mut raw = Self::new("monitoring", "POST", &target, "application/cbor", body);
        raw.headers.push(("smithy-protocol", "rpc-v2-cbor".to_owned()));
        raw.headers.push(("x-amzn-query-mode", "true".to_owned()));
        raw
    }

    /// An Incident Manager operation with a JSON body.
    pub(super) fn incidents(path: &str, input: &Value) -> Self {
        Self::new("ssm-incidents", "POST", path, "application/json", input.to_string().into_bytes())
    }

    pub(super) fn ec2(form: &str) -> Self {
        let body = format!("Action=DescribeVpnConnections&Version=2016-11-15{form}");
        Self::new("ec2", "POST", "/", "application/x-www-form-urlencoded", body.into_bytes())
    }

    /// `GetVpnTunnelReplacementStatus`.
    pub(super) fn replacement(vpn: &str, outside_ip: &str) -> Self {
        let body = format!(
            "Action=GetVpnTunnelReplacementStatus&Version=2016-11-15&VpnConnectionId={vpn}&VpnTunnelOutsideIpAddress={outside_ip}"
        );
        Self::new("ec2", "POST", "/", "application/x-www-form-urlencoded", body.into_bytes())
    }

    pub(super) fn sts(form: &str) -> Self {
        let body = format!("Version=2011-06-15&{form}");
        Self::new("sts", "POST", "/", "application/x-www-form-urlencoded", body.into_bytes())
    }

    /// Signs and sends it, and reads until the connection closes.
    pub(super) fn send(&self, stand_in: &StandIn) -> Answer {
        let bytes = self.exchanged(stand_in);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: bytes[end + 4..].to_vec() }
    }

    /// All bytes received; none if the connection closes without an answer.
    pub(super) fn exchanged(&self, stand_in: &StandIn) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut stream = self.sent(stand_in);
        // A reset counts as no answer, like an early end.
        drop(stream.read_to_end(&mut bytes));
        bytes
    }

    /// Signs and sends it; the caller reads the answer.
    pub(super) fn sent(&self, stand_in: &StandIn) -> TcpStream {
        let host = stand_in.url().replace("http://", "");
        let mut stream = TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in self.signed(&host, now(stand_in)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        // A server that rejects a large body may close before it has all of it.
        drop(stream.write_all(&self.body));
        stream
    }

    fn signed(&self, host: &str, now: f64) -> Vec<(&'static str, String)> {
        let stamp = clock::basic(now + self.skew);
        let mut headers = self.headers.clone();
        headers.extend([("host", host.to_owned()), ("x-amz-date", stamp.clone())]);
        headers.extend(self.token.clone().map(|token| ("x-amz-security-token", token)));
        headers.sort();
        let signing = headers.iter().filter(|(name, _)| Some(*name) != self.unsigned);
        let names = signing.clone().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signing.map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let (method, payload) = (self.method, hex(&Sha256::digest(&self.body)));
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
        let date = self.scope_date.unwrap_or(&stamp[..8]);
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hex(&Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}");
        let start = format!("AWS4{}", self.secret).into_bytes();
        let key = scope.split('/').fold(start, |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &to_sign));
        let credential = format!("{}/{scope}", self.key);
        let value =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.push(("authorization", value));
        headers
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The error's code, wherever the protocol puts it; `ok` for an answer that is not an error. Lower case from
    /// headers.
    pub(super) fn code(&self) -> String {
        if self.status < 300 {
            return "ok".to_owned();
        }
        let query_error =
            self.header("x-amzn-query-error").map(|value| value.split(';').next().unwrap_or(value));
        let text = self.text();
        let xml = || text.split("<Code>").nth(1)?.split("</Code>").next();
        let code = query_error.or(self.header("x-amzn-errortype")).or_else(xml);
        code.unwrap_or_else(|| panic!("no code in {self:?}")).to_ascii_lowercase()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A CBOR answer as JSON, timestamps as numbers.
    pub(super) fn cbor(&self) -> Value {
        json(&ciborium::from_reader(self.body.as_slice()).unwrap())
    }
}

fn cbor(value: &Value) -> Cbor {
    if let Some(time) = value.get("$time") {
        return Cbor::Tag(1, Box::new(Cbor::Float(time.as_f64().unwrap())));
    }
    if let Some(float) = value.get("$float") {
        return Cbor::Float(float.as_str().unwrap().parse().unwrap());
    }
    if let Some(entries) = value.as_object() {
        return Cbor::Map(
            entries.iter().map(|(name, value)| (Cbor::from(name.as_str()), cbor(value))).collect(),
        );
    }
    if let Some(items) = value.as_array() {
        return Cbor::Array(items.iter().map(cbor).collect());
    }
    Cbor::serialized(value).unwrap()
}

fn json(value: &Cbor) -> Value {
    if let Cbor::Tag(_, inner) = value {
        return json(inner);
    }
    if let Some(entries) = value.as_map() {
        return entries
            .iter()
            .map(|(name, value)| (name.as_text().unwrap().to_owned(), json(value)))
            .collect();
    }
    if let Some(items) = value.as_array() {
        return items.iter().map(json).collect();
    }
    value.deserialized().unwrap_or(Value::Null)
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A valid datum.
pub(super) fn datum() -> Value {
    json!({ "MetricName": "TunnelUp", "Value": 1.0 })
}

/// `PutMetricData` with these data.
pub(super) fn put(data: &[Value]) -> Raw {
    Raw::cloudwatch("PutMetricData", &json!({ "Namespace": "BothEnds", "MetricData": data }))
}
