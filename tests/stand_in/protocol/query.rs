//! AWS Query and EC2 Query: a form in, XML out.

use std::collections::BTreeMap;

use quick_xml::escape::escape;
use serde_json::Value;

use super::super::api::Service;
use super::super::check::Invalid;
use super::super::clock;
use super::super::model::{Kind, Member, Model, Operation, Shape};
use super::super::refusal::{Coded, Refusal};
use super::super::server::{Incoming, Reply};
use super::super::wire::Wire;
use super::{Protocol, form, scalar};

/// A form's dotted names (`Filter.1.Value.1`) as a tree.
#[derive(Default)]
struct Node {
    value: Option<String>,
    below: BTreeMap<String, Node>,
}

pub(super) fn decode(service: Service, operation: &Operation, request: &Incoming) -> Result<Wire, Refusal> {
    if !request
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    {
        return Err(Refusal::Malformed("the body is not a form".to_owned()));
    }
    let model = service.model();
    let mut root = Node::default();
    for (name, value) in form::pairs(&request.body) {
        if name == "Version" && value != model.metadata.api_version {
            return Err(Refusal::UnknownOperation(format!("Version {value}")));
        }
        if name == "Action" || name == "Version" {
            continue;
        }
        let node =
            name.split('.').fold(&mut root, |node, part| node.below.entry(part.to_owned()).or_default());
        if node.value.replace(value).is_some() {
            return Err(Refusal::Malformed(format!("the parameter {name} comes twice")));
        }
    }
    structure(model, service.protocol(), &operation.input.shape, &root).map_err(Refusal::Invalid)
}

fn shaped(model: &Model, protocol: Protocol, name: &str, node: &Node) -> Result<Wire, Invalid> {
    let shape = model.shape(name);
    match shape.kind {
        Kind::Structure => structure(model, protocol, name, node),
        Kind::List => list(model, protocol, shape.member.as_ref(), node),
        Kind::Map => map(model, protocol, shape, node),
        Kind::String | Kind::Blob => Ok(tree(node)),
        Kind::Integer | Kind::Long => Ok(leaf(node, |text| text.parse().ok().map(Wire::Int))),
        Kind::Double | Kind::Float => Ok(leaf(node, |text| text.parse().ok().map(Wire::Float))),
        Kind::Boolean => Ok(leaf(node, |text| text.parse().ok().map(Wire::Bool))),
        Kind::Timestamp => Ok(leaf(node, |text| clock::parse_iso(text).map(Wire::Time))),
    }
}

fn structure(model: &Model, protocol: Protocol, name: &str, node: &Node) -> Result<Wire, Invalid> {
    let shape = model.shape(name);
    if node.value.is_some() {
        return Ok(tree(node));
    }
    let entries = node.below.iter().map(|(sent, below)| {
        // A member's name on the wire may be another member's name in the model, so this cannot wait for `check`.
        let member = shape.members.iter().find(|(name, member)| sent_name(protocol, name, member) == *sent);
        let (name, member) = member.ok_or_else(|| Invalid::Unknown { path: sent.clone() })?;
        Ok((name.clone(), shaped(model, protocol, &member.shape, below)?))
    });
    entries.collect::<Result<_, _>>().map(Wire::Map)
}

/// EC2 capitalises a member's location name in requests; Query leaves it unchanged.
fn sent_name(protocol: Protocol, name: &str, member: &Member) -> String {
    let name = member.location_name.as_deref().unwrap_or(name);
    match protocol {
        Protocol::Ec2Query => name[..1].to_ascii_uppercase() + &name[1..],
        Protocol::Query | Protocol::RpcV2Cbor | Protocol::RestJson | Protocol::Json => name.to_owned(),
    }
}

/// `Name.1`, `Name.2` at EC2, `Name.member.1` elsewhere; numbered from 1 without gaps.
fn list(model: &Model, protocol: Protocol, member: Option<&Member>, node: &Node) -> Result<Wire, Invalid> {
    let items = if protocol == Protocol::Ec2Query { Some(node) } else { node.below.get("member") };
    let (Some(items), Some(member)) = (items, member) else { return Ok(tree(node)) };
    let numbered = (1..=items.below.len()).map(|index| items.below.get(&index.to_string()));
    let Some(numbered) = numbered.collect::<Option<Vec<_>>>() else { return Ok(tree(node)) };
    let listed = numbered.into_iter().map(|item| shaped(model, protocol, &member.shape, item));
    listed.collect::<Result<_, _>>().map(Wire::List)
}

/// `Name.entry.1.<key>` and `Name.entry.1.<value>`.
fn map(model: &Model, protocol: Protocol, shape: &Shape, node: &Node) -> Result<Wire, Invalid> {
    let (Some(entries), Some(key), Some(value)) = (node.below.get("entry"), &shape.key, &shape.value) else {
        return Ok(tree(node));
    };
    let called =
        |member: &Member, name: &str| member.location_name.clone().unwrap_or_else(|| name.to_owned());
    let (key, below) = (called(key, "key"), called(value, "value"));
    let mut found = Vec::new();
    for entry in entries.below.values() {
        let name = entry.below.get(&key).and_then(|name| name.value.clone());
        let (Some(name), Some(node)) = (name, entry.below.get(&below)) else { return Ok(tree(node)) };
        found.push((name, shaped(model, protocol, &value.shape, node)?));
    }
    Ok(Wire::Map(found))
}

fn leaf(node: &Node, parse: impl Fn(&str) -> Option<Wire>) -> Wire {
    node.value.as_deref().and_then(parse).unwrap_or_else(|| tree(node))
}

/// The form unchanged, where it does not match the model; `check` reports that.
fn tree(node: &Node) -> Wire {
    match &node.value {
        Some(value) => Wire::Text(value.clone()),
        None => Wire::Map(node.below.iter().map(|(name, below)| (name.clone(), tree(below))).collect()),
    }
}

pub(super) fn encode(service: Service, name: &str, operation: &Operation, output: &Value) -> Reply {
    let model = service.model();
    let mut body = String::new();
    if let Some(shape) = &operation.output {
        let inner = inner_xml(model, &shape.shape, output);
        body = match &shape.result_wrapper {
            Some(wrapper) => format!("<{wrapper}>{inner}</{wrapper}>"),
            None => inner,
        };
    }
    let id = Reply::REQUEST_ID;
    let content = if service.protocol() == Protocol::Ec2Query {
        format!("<requestId>{id}</requestId>{body}")
    } else {
        // The SDK expects the result as the first element.
        format!("{body}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>")
    };
    let namespace = format!("{}{}", model.metadata.xml_namespace, trailing_slash(service));
    xml(200, format!("<{name}Response xmlns=\"{namespace}\">{content}</{name}Response>"))
}

/// EC2's answers have a slash at the end of the namespace that its model does not have.
fn trailing_slash(service: Service) -> &'static str {
    match service.protocol() {
        Protocol::Ec2Query => "/",
        Protocol::Query | Protocol::RpcV2Cbor | Protocol::RestJson | Protocol::Json => "",
    }
}

pub(super) fn encode_error(service: Service, coded: &Coded) -> Reply {
    let (code, message) = (coded.code, escape(coded.message.as_str()));
    if service.protocol() == Protocol::Ec2Query {
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let body = format!(
            "<Response><Errors>{error}</Errors><RequestID>{}</RequestID></Response>",
            Reply::REQUEST_ID
        );
        return xml(coded.status, body);
    }
    let fault = if coded.status >= 500 { "Receiver" } else { "Sender" };
    let error = format!("<Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    let namespace = &service.model().metadata.xml_namespace;
    let id = format!("<RequestId>{}</RequestId>", Reply::REQUEST_ID);
    xml(coded.status, format!("<ErrorResponse xmlns=\"{namespace}\">{error}{id}</ErrorResponse>"))
}

fn xml(status: u16, body: String) -> Reply {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    Reply::new(status, "text/xml;charset=UTF-8", text.into_bytes())
}

/// The content of an element of this shape.
fn inner_xml(model: &Model, name: &str, value: &Value) -> String {
    let shape = model.shape(name);
    match shape.kind {
        Kind::Structure => {
            let members = shape.members.iter().filter_map(|(name, member)| {
                let value = value.get(name)?;
                let tag = member.location_name.as_deref().unwrap_or(name);
                Some(format!("<{tag}>{}</{tag}>", inner_xml(model, &member.shape, value)))
            });
            members.collect()
        }
        Kind::List => {
            let Some(member) = &shape.member else { return String::new() };
            let tag = member.location_name.as_deref().unwrap_or("member");
            let items = value.as_array().into_iter().flatten();
            items.map(|item| format!("<{tag}>{}</{tag}>", inner_xml(model, &member.shape, item))).collect()
        }
        Kind::Map => {
            let (Some(key), Some(member)) = (&shape.key, &shape.value) else { return String::new() };
            let tag = |member: &Member, name: &str| member.location_name.clone().unwrap_or(name.to_owned());
            let (key_tag, value_tag) = (tag(key, "key"), tag(member, "value"));
            let entry = |(name, value): (&String, &Value)| {
                let inner = inner_xml(model, &member.shape, value);
                let name = escape(name.as_str());
                format!("<entry><{key_tag}>{name}</{key_tag}><{value_tag}>{inner}</{value_tag}></entry>")
            };
            value.as_object().into_iter().flatten().map(entry).collect()
        }
        Kind::String
        | Kind::Integer
        | Kind::Long
        | Kind::Double
        | Kind::Float
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::Blob => escape(scalar(shape.kind, value).as_str()).into_owned(),
    }
}
