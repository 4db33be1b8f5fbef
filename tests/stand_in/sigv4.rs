//! Signature Version 4, recomputed from the secret.
//!
//! Source: IAM User Guide, "Create a signed AWS API request".

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::api::Service;
use super::clock::{self, Epoch};
use super::protocol::form;
use super::refusal::Refusal;
use super::server::Incoming;
use super::settings::Credential;

/// How far a signature's time may be from AWS's. EC2's limit is not published; 15 minutes is the value generally known.
const SKEW: f64 = 5.0 * 60.0;
const SKEW_EC2: f64 = 15.0 * 60.0;

/// The principal of a request, and the Region.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) principal: String,
    pub(super) region: String,
}

/// The `Authorization` header, taken apart.
struct Claim<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// The request's principal, if its signature is right for `service` in one of `regions` at `now`.
pub(super) fn authenticate(
    request: &Incoming,
    service: Service,
    credentials: &[Credential],
    regions: &[String],
    now: Epoch,
) -> Result<Caller, Refusal> {
    let header = request.header("authorization").ok_or(Refusal::NotSigned)?;
    let claim = claim(header).ok_or(Refusal::NotSigned)?;
    let credential = credentials
        .iter()
        .find(|known| known.access_key_id == claim.access_key_id)
        .filter(|known| known.session_token.as_deref() == request.header("x-amz-security-token"))
        .ok_or(Refusal::UnknownKey)?;
    scope(&claim, service, regions)?;
    let stamp = request.header("x-amz-date").ok_or(Refusal::NotSigned)?;
    let signed_at = clock::parse_iso(stamp).ok_or(Refusal::NotSigned)?;
    if !stamp.starts_with(claim.date) {
        return wrong(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
        );
    }
    let limit = if service == Service::Ec2 { SKEW_EC2 } else { SKEW };
    if (signed_at - now).abs() > limit {
        let now = clock::basic(now);
        return Err(Refusal::Skewed(format!("Signature expired: {stamp} is too far from {now}")));
    }
    signed_headers(request, &claim)?;
    if signature(request, &claim, stamp, &credential.secret_access_key) != claim.signature {
        return wrong(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        );
    }
    if credential.expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::ExpiredToken);
    }
    Ok(Caller { principal: credential.principal.clone(), region: claim.region.to_owned() })
}

fn claim(header: &str) -> Option<Claim<'_>> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field =
        |name: &str| fields.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let mut scope = field("Credential")?.split('/');
    let claim = Claim {
        access_key_id: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        signed: field("SignedHeaders")?.split(';').collect(),
        signature: field("Signature")?,
    };
    (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(claim)
}

fn scope(claim: &Claim<'_>, service: Service, regions: &[String]) -> Result<(), Refusal> {
    if claim.service != service.signing_name() {
        return wrong(&format!(
            "Credential should be scoped to correct service: '{}'.",
            service.signing_name()
        ));
    }
    if !regions.iter().any(|known| known == claim.region) {
        return wrong("Credential should be scoped to a valid region.");
    }
    Ok(())
}

/// `host` and every `x-amz-*` header received must be signed, and every signed header must have been received.
fn signed_headers(request: &Incoming, claim: &Claim<'_>) -> Result<(), Refusal> {
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned =
        request.headers.iter().any(|(name, _)| must(name) && !claim.signed.contains(&name.as_str()));
    let absent = claim.signed.iter().any(|name| request.header(name).is_none());
    if unsigned || absent || !claim.signed.is_sorted() {
        return wrong(
            "'Host' or a header that begins with 'x-amz-' must be a 'SignedHeader' in the AWS Authorization.",
        );
    }
    Ok(())
}

fn signature(request: &Incoming, claim: &Claim<'_>, stamp: &str, secret: &str) -> String {
    let scope = format!("{}/{}/{}/aws4_request", claim.date, claim.region, claim.service);
    let canonical = hex(&Sha256::digest(canonical(request, &claim.signed)));
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [claim.date, claim.region, claim.service, "aws4_request"] {
        key = hmac(&key, part);
    }
    hex(&hmac(&key, &to_sign))
}

fn canonical(request: &Incoming, signed: &[&str]) -> String {
    // Every service except S3 expects the path encoded once more than it is sent.
    let path = request.path.split('/').map(form::encoded).collect::<Vec<_>>().join("/");
    let mut query: Vec<_> =
        request.query.split('&').filter(|part| !part.is_empty()).map(canonical_pair).collect();
    query.sort();
    let headers: String = signed.iter().map(|name| canonical_header(request, name)).collect();
    let payload = hex(&Sha256::digest(&request.body));
    let (method, query, signed) = (&request.method, query.join("&"), signed.join(";"));
    format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}")
}

fn canonical_pair(part: &str) -> String {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    format!("{}={}", form::encoded(&form::decoded(name)), form::encoded(&form::decoded(value)))
}

fn canonical_header(request: &Incoming, name: &str) -> String {
    let values = request.headers.iter().filter(|(known, _)| known == name);
    let values = values.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "));
    format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wrong<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal::WrongSignature(why.to_owned()))
}
