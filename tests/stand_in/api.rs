//! Which service and operation a request is for: the table of everything that the stand-in answers.
//!
//! To add a service: a model, a file with its operations, and a row here.

use std::sync::LazyLock;

use serde_json::Value;

use super::model::{Model, Operation};
use super::protocol::{Protocol, form};
use super::refusal::Refusal;
use super::server::Incoming;
use super::sigv4::Caller;
use super::state::State;
use super::{cloudwatch, ec2, incidents, ops_items, sns, sts};

/// Executes an operation: checked input in, output in the model's shape out.
pub(super) type Handler = fn(&mut State, &Caller, Value) -> Result<Value, Refusal>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Service {
    CloudWatch,
    Ec2,
    Incidents,
    Sns,
    Ssm,
    Sts,
}

/// The operation of a request.
pub(super) struct Target {
    pub(super) service: Service,
    pub(super) name: String,
    /// None if the service has no such operation, or the stand-in does not know it.
    pub(super) found: Option<(&'static Operation, Handler)>,
}

const MODEL_IS_READ: &str = "models/*.json is what reduce.py wrote, and every test reads it";

static CLOUDWATCH: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/cloudwatch.json")).expect(MODEL_IS_READ));
static EC2: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/ec2.json")).expect(MODEL_IS_READ));
static INCIDENTS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/ssm-incidents.json")).expect(MODEL_IS_READ));
static SNS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/sns.json")).expect(MODEL_IS_READ));
static SSM: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/ssm.json")).expect(MODEL_IS_READ));
static STS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("models/sts.json")).expect(MODEL_IS_READ));

impl Service {
    pub(super) fn model(self) -> &'static Model {
        match self {
            Self::CloudWatch => &CLOUDWATCH,
            Self::Ec2 => &EC2,
            Self::Incidents => &INCIDENTS,
            Self::Sns => &SNS,
            Self::Ssm => &SSM,
            Self::Sts => &STS,
        }
    }

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::CloudWatch => Protocol::RpcV2Cbor,
            Self::Ec2 => Protocol::Ec2Query,
            Self::Incidents => Protocol::RestJson,
            Self::Ssm => Protocol::Json,
            Self::Sns | Self::Sts => Protocol::Query,
        }
    }

    /// The service's name in a signature's credential scope.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::CloudWatch => "monitoring",
            Self::Ec2 => "ec2",
            Self::Incidents => "ssm-incidents",
            Self::Sns => "sns",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// The service's name in an IAM action.
    pub(super) fn action_prefix(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            Self::Ec2 => "ec2",
            Self::Incidents => "ssm-incidents",
            Self::Sns => "sns",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    fn operations(self) -> &'static [(&'static str, Handler)] {
        match self {
            Self::CloudWatch => cloudwatch::OPERATIONS,
            Self::Ec2 => ec2::OPERATIONS,
            Self::Incidents => incidents::OPERATIONS,
            Self::Sns => sns::OPERATIONS,
            Self::Ssm => ops_items::OPERATIONS,
            Self::Sts => sts::OPERATIONS,
        }
    }

    fn target(self, name: String) -> Target {
        let operation = self.model().operations.get(&name);
        let handler = self.operations().iter().find(|(known, _)| *known == name).map(|(_, handler)| *handler);
        Target { service: self, found: operation.zip(handler), name }
    }
}

/// Distinguishes the services as their clients address them; whatever matches none is for Incident Manager, whose
/// operations are paths.
pub(super) fn target(request: &Incoming) -> Target {
    let rpc = format!("/service/{}/operation/", CLOUDWATCH.metadata.target_prefix);
    if let Some(name) = request.path.strip_prefix(&rpc) {
        return Service::CloudWatch.target(name.to_owned());
    }
    let called = request.header("x-amz-target").and_then(|target| target.split_once('.'));
    if let Some((prefix, name)) = called
        && prefix == SSM.metadata.target_prefix
    {
        return Service::Ssm.target(name.to_owned());
    }
    if request.path == "/" && request.method == "POST" {
        let parameters = form::pairs(&request.body);
        let value =
            |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let version = value("Version").unwrap_or_default();
        let of = |service: &Service| service.model().metadata.api_version == version;
        let service = [Service::Ec2, Service::Sns].into_iter().find(of).unwrap_or(Service::Sts);
        return service.target(value("Action").unwrap_or_default());
    }
    let named = INCIDENTS.operations.iter().find(|(_, operation)| {
        operation.http.request_uri == request.path && operation.http.method == request.method
    });
    let name = named.map_or_else(|| request.path.trim_matches('/').to_owned(), |(name, _)| name.clone());
    Service::Incidents.target(name)
}
