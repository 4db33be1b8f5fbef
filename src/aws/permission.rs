//! The AWS calls that are made, and the IAM permission that each needs; listed nowhere else.

use std::fmt;

/// Makes [`Call`] from a table with a row per call: its service as shown, its permission, and what that can be limited to, from
/// the Service Authorization Reference's tables of resource types and condition keys.
macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident: $service:literal, $permission:literal, $resource:literal;)*) => {
        /// A call of an AWS API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($(#[$doc])* $call,)*
        }

        impl Call {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$call,)*];

            /// The API action, in the spelling of AWS's documentation and CloudTrail.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$call => stringify!($call),)* }
            }

            /// The service's name in AWS's console.
            pub const fn service(self) -> &'static str {
                match self { $(Self::$call => $service,)* }
            }

            /// The action's name in IAM policies.
            pub const fn permission(self) -> &'static str {
                match self { $(Self::$call => $permission,)* }
            }

            /// What the permission can be limited to.
            pub const fn resource(self) -> &'static str {
                match self { $(Self::$call => $resource,)* }
            }
        }
    };
}

calls! {
    /// CloudWatch's view of the tunnels.
    GetMetricData: "CloudWatch", "cloudwatch:GetMetricData", "*";
    /// The dimensions of the tunnels' metrics, if the documented ones have no data. Optional.
    ListMetrics: "CloudWatch", "cloudwatch:ListMetrics", "*";
    /// EC2's view of the tunnels.
    DescribeVpnConnections: "EC2", "ec2:DescribeVpnConnections", "*";
    /// When AWS replaces, or has replaced, a tunnel's endpoint.
    GetVpnTunnelReplacementStatus: "EC2", "ec2:GetVpnTunnelReplacementStatus", "the VPN connection (arn:aws:ec2:REGION:ACCOUNT:vpn-connection/ID)";
    /// The daemon's own metrics.
    PutMetricData: "CloudWatch", "cloudwatch:PutMetricData", "* (limit it by the condition cloudwatch:namespace)";
    /// Looks for records to adopt.
    ListIncidentRecords: "Incident Manager", "ssm-incidents:ListIncidentRecords", "*";
    /// Reads one record.
    GetIncidentRecord: "Incident Manager", "ssm-incidents:GetIncidentRecord", "the response plan and its incident records";
    /// Starts a record.
    StartIncident: "Incident Manager", "ssm-incidents:StartIncident", "the response plan";
    /// Adds to a record's timeline.
    CreateTimelineEvent: "Incident Manager", "ssm-incidents:CreateTimelineEvent", "the response plan and its incident records";
    /// Links a related record.
    UpdateRelatedItems: "Incident Manager", "ssm-incidents:UpdateRelatedItems", "the response plan and its incident records";
    /// Resolves a record.
    UpdateIncidentRecord: "Incident Manager", "ssm-incidents:UpdateIncidentRecord", "the response plan and its incident records";
    /// Whether the account uses Incident Manager at all.
    ListReplicationSets: "Incident Manager", "ssm-incidents:ListReplicationSets", "*";
    /// Looks for OpsItems to adopt.
    DescribeOpsItems: "OpsCenter", "ssm:DescribeOpsItems", "*";
    /// Reads one OpsItem.
    GetOpsItem: "OpsCenter", "ssm:GetOpsItem", "the OpsItems (arn:aws:ssm:REGION:ACCOUNT:opsitem/*)";
    /// Opens an OpsItem.
    CreateOpsItem: "OpsCenter", "ssm:CreateOpsItem", "*";
    /// Adds to an OpsItem, and resolves it.
    UpdateOpsItem: "OpsCenter", "ssm:UpdateOpsItem", "the OpsItems (arn:aws:ssm:REGION:ACCOUNT:opsitem/*)";
    /// Sends a message to a topic.
    Publish: "SNS", "sns:Publish", "the topic (and, where it is encrypted, kms:GenerateDataKey and kms:Decrypt on its key)";
    /// Whether a topic exists.
    GetTopicAttributes: "SNS", "sns:GetTopicAttributes", "the topic";
    /// In which Regions Incident Manager is set up.
    GetReplicationSet: "Incident Manager", "ssm-incidents:GetReplicationSet", "the replication set";
    /// Reads a response plan.
    GetResponsePlan: "Incident Manager", "ssm-incidents:GetResponsePlan", "the response plan";
    /// Our identity. Needs no permission (STS API Reference, GetCallerIdentity).
    GetCallerIdentity: "STS", "sts:GetCallerIdentity", "*";
    /// Assumes the `role_arn` of a connection or a sink.
    AssumeRole: "STS", "sts:AssumeRole", "the role, whose trust policy must allow the daemon's own credentials";
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service(), self.action())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_ends_in_the_action_it_allows() {
        for call in Call::ALL {
            assert_eq!(call.permission().split_once(':').map(|(_, action)| action), Some(call.action()));
        }
    }
}
