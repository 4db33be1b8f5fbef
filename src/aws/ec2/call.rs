//! The call `DescribeVpnConnections`, made by hand: `aws-sdk-ec2` takes minutes and gigabytes to compile for this one
//! operation.
//!
//! The answer holds pre-shared keys: it is read and parsed here, and dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::body::Bytes;

use super::answer::{self, Garbled, Pieces, VpnConnection};
use crate::aws::api::{Api, Draft, ErrorAnswer, form};
use crate::aws::by_hand::ByHand;
use crate::aws::connection::Connection;
use crate::aws::errors::Failure;
use crate::aws::permission::Call;
use crate::aws::timing::Exchange;
use crate::domain::names::VpnId;

/// The version of the EC2 API that the names in `answer` are of.
const API_VERSION: &str = "2016-11-15";
/// What every question begins with.
const HEAD: [(&str, &str); 2] = [("Action", "DescribeVpnConnections"), ("Version", API_VERSION)];
const API: Api = Api {
    service_id: "EC2",
    host: "ec2",
    signing_name: "ec2",
    error: |body| answer::error(body).map(|(code, message)| ErrorAnswer { code, message, existing: None }),
    longest_answer: 8 << 20,
};

/// A client for the one call.
#[derive(Debug)]
pub(in crate::aws) struct Ec2(Arc<ByHand>);

impl Ec2 {
    /// `None` without a Region.
    pub(in crate::aws) fn at(connection: &Connection) -> Option<Self> {
        connection.by_hand(&API).map(Self)
    }

    /// Asks about these connections.
    ///
    /// # Errors
    /// `NotFound` if AWS does not know one of them.
    pub(super) async fn describe(
        &self,
        ids: &BTreeSet<VpnId>,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question(ids)).await
    }

    /// Asks which of these connections there are, and about them.
    ///
    /// # Errors
    /// Never `NotFound`: that there is none is an answer.
    pub(super) async fn find(
        &self,
        ids: &BTreeSet<VpnId>,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question_by_filter(ids)).await
    }

    /// Asks about the connections that have this tag. AWS takes `*` and `?` in the value as wildcards.
    ///
    /// # Errors
    /// Never `NotFound`: that none has it is an answer.
    pub(super) async fn describe_tagged(
        &self,
        key: &str,
        value: &str,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question_by_tag(key, value)).await
    }

    /// Finds out whether it may ask, and asks nothing: the answer would hold secrets that nobody needs for that.
    ///
    /// # Errors
    /// `Denied` if it may not.
    pub(in crate::aws) async fn dry_run(&self) -> Result<(), Failure> {
        match self.ask(form(HEAD.into_iter().chain([("DryRun", "true")]))).await {
            // "If you have the required permissions, the error response is DryRunOperation" (EC2 API Reference).
            Err(failure) if failure.code() == Some("DryRunOperation") => Ok(()),
            Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&self, body: String) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        let draft = Draft { content_type: "application/x-www-form-urlencoded", target: None, body };
        self.0.call(Call::DescribeVpnConnections, draft, read).await
    }
}

fn read(pieces: Vec<Bytes>) -> Result<Vec<VpnConnection>, Garbled> {
    let mut pieces = Pieces::new(pieces);
    let connections = answer::connections(&mut pieces);
    for piece in pieces.into_inner() {
        // Overwritten where no one else holds it; the HTTP client may still share its read buffer.
        if let Ok(mut owned) = piece.try_into_mut() {
            owned.fill(0);
        }
    }
    connections
}

/// The question as EC2's Query API has it.
fn question(ids: &BTreeSet<VpnId>) -> String {
    let ids: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (format!("VpnConnectionId.{}", index + 1), id.as_str()))
        .collect();
    form(HEAD.into_iter().chain(ids.iter().map(|(name, id)| (name.as_str(), *id))))
}

fn question_by_filter(ids: &BTreeSet<VpnId>) -> String {
    let values: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (format!("Filter.1.Value.{}", index + 1), id.as_str()))
        .collect();
    let values = values.iter().map(|(name, id)| (name.as_str(), *id));
    form(HEAD.into_iter().chain([("Filter.1.Name", "vpn-connection-id")]).chain(values))
}

fn question_by_tag(key: &str, value: &str) -> String {
    let name = format!("tag:{key}");
    form(HEAD.into_iter().chain([("Filter.1.Name", name.as_str()), ("Filter.1.Value.1", value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_names_every_connection_by_number() {
        let ids = ["vpn-0a", "vpn-0b"].map(VpnId::new).into();
        assert_eq!(
            question(&ids),
            "Action=DescribeVpnConnections&Version=2016-11-15&VpnConnectionId.1=vpn-0a&VpnConnectionId.2=vpn-0b"
        );
    }

    #[test]
    fn a_filter_names_every_connection_as_a_value() {
        let ids = ["vpn-0a", "vpn-0b"].map(VpnId::new).into();
        assert_eq!(
            question_by_filter(&ids),
            "Action=DescribeVpnConnections&Version=2016-11-15&Filter.1.Name=vpn-connection-id&Filter.1.Value.1=vpn-0a\
             &Filter.1.Value.2=vpn-0b"
        );
    }

    #[test]
    fn a_tag_is_encoded_whatever_it_holds() {
        assert_eq!(
            question_by_tag("Stand ort", "Zürich & Bern=*"),
            "Action=DescribeVpnConnections&Version=2016-11-15&Filter.1.Name=tag%3AStand%20ort\
             &Filter.1.Value.1=Z%C3%BCrich%20%26%20Bern%3D%2A"
        );
    }
}
