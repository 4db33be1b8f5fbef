//! The AWS calls that are made and the IAM permission that each of them needs: the one place that knows.

use std::fmt;

/// A call of an AWS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// CloudWatch's view of the tunnels.
    GetMetricData,
    /// Under which dimensions CloudWatch has the tunnels, where the documented ones have no data. It may be refused.
    ListMetrics,
    /// EC2's view of the tunnels.
    DescribeVpnConnections,
    /// The daemon's own metrics.
    PutMetricData,
    /// Looks for records to adopt.
    ListIncidentRecords,
    /// Reads one record.
    GetIncidentRecord,
    /// Starts a record.
    StartIncident,
    /// Adds to a record's timeline.
    CreateTimelineEvent,
    /// Names a related record.
    UpdateRelatedItems,
    /// Resolves a record.
    UpdateIncidentRecord,
    /// Tells whether the account uses Incident Manager at all.
    ListReplicationSets,
    /// Looks for OpsItems to adopt.
    DescribeOpsItems,
    /// Reads one OpsItem.
    GetOpsItem,
    /// Opens an OpsItem.
    CreateOpsItem,
    /// Adds to an OpsItem, and resolves it.
    UpdateOpsItem,
    /// Sends a message to a topic.
    Publish,
    /// Tells whether a topic is there.
    GetTopicAttributes,
    /// Tells in which Regions it does.
    GetReplicationSet,
    /// Reads a response plan.
    GetResponsePlan,
    /// Tells who asks.
    GetCallerIdentity,
    /// Takes on the `role_arn` of a connection or a sink.
    AssumeRole,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 21] = [
        Self::GetMetricData,
        Self::ListMetrics,
        Self::DescribeVpnConnections,
        Self::PutMetricData,
        Self::ListIncidentRecords,
        Self::GetIncidentRecord,
        Self::StartIncident,
        Self::CreateTimelineEvent,
        Self::UpdateRelatedItems,
        Self::UpdateIncidentRecord,
        Self::ListReplicationSets,
        Self::DescribeOpsItems,
        Self::GetOpsItem,
        Self::CreateOpsItem,
        Self::UpdateOpsItem,
        Self::Publish,
        Self::GetTopicAttributes,
        Self::GetReplicationSet,
        Self::GetResponsePlan,
        Self::GetCallerIdentity,
        Self::AssumeRole,
    ];

    /// The API action, as AWS's documentation and CloudTrail spell it.
    pub const fn action(self) -> &'static str {
        match self {
            Self::GetMetricData => "GetMetricData",
            Self::ListMetrics => "ListMetrics",
            Self::DescribeVpnConnections => "DescribeVpnConnections",
            Self::PutMetricData => "PutMetricData",
            Self::ListIncidentRecords => "ListIncidentRecords",
            Self::GetIncidentRecord => "GetIncidentRecord",
            Self::StartIncident => "StartIncident",
            Self::CreateTimelineEvent => "CreateTimelineEvent",
            Self::UpdateRelatedItems => "UpdateRelatedItems",
            Self::UpdateIncidentRecord => "UpdateIncidentRecord",
            Self::ListReplicationSets => "ListReplicationSets",
            Self::DescribeOpsItems => "DescribeOpsItems",
            Self::GetOpsItem => "GetOpsItem",
            Self::CreateOpsItem => "CreateOpsItem",
            Self::UpdateOpsItem => "UpdateOpsItem",
            Self::Publish => "Publish",
            Self::GetTopicAttributes => "GetTopicAttributes",
            Self::GetReplicationSet => "GetReplicationSet",
            Self::GetResponsePlan => "GetResponsePlan",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
        }
    }

    /// The service, in people's words.
    pub const fn service(self) -> &'static str {
        match self {
            Self::GetMetricData | Self::ListMetrics | Self::PutMetricData => "CloudWatch",
            Self::DescribeVpnConnections => "EC2",
            Self::ListIncidentRecords
            | Self::GetIncidentRecord
            | Self::StartIncident
            | Self::CreateTimelineEvent
            | Self::UpdateRelatedItems
            | Self::UpdateIncidentRecord
            | Self::ListReplicationSets
            | Self::GetReplicationSet
            | Self::GetResponsePlan => "Incident Manager",
            Self::DescribeOpsItems | Self::GetOpsItem | Self::CreateOpsItem | Self::UpdateOpsItem => {
                "OpsCenter"
            }
            Self::Publish | Self::GetTopicAttributes => "SNS",
            Self::GetCallerIdentity | Self::AssumeRole => "STS",
        }
    }

    /// The action as an IAM policy names it.
    pub const fn permission(self) -> &'static str {
        match self {
            Self::GetMetricData => "cloudwatch:GetMetricData",
            Self::ListMetrics => "cloudwatch:ListMetrics",
            Self::DescribeVpnConnections => "ec2:DescribeVpnConnections",
            Self::PutMetricData => "cloudwatch:PutMetricData",
            Self::ListIncidentRecords => "ssm-incidents:ListIncidentRecords",
            Self::GetIncidentRecord => "ssm-incidents:GetIncidentRecord",
            Self::StartIncident => "ssm-incidents:StartIncident",
            Self::CreateTimelineEvent => "ssm-incidents:CreateTimelineEvent",
            Self::UpdateRelatedItems => "ssm-incidents:UpdateRelatedItems",
            Self::UpdateIncidentRecord => "ssm-incidents:UpdateIncidentRecord",
            Self::ListReplicationSets => "ssm-incidents:ListReplicationSets",
            Self::DescribeOpsItems => "ssm:DescribeOpsItems",
            Self::GetOpsItem => "ssm:GetOpsItem",
            Self::CreateOpsItem => "ssm:CreateOpsItem",
            Self::UpdateOpsItem => "ssm:UpdateOpsItem",
            Self::Publish => "sns:Publish",
            Self::GetTopicAttributes => "sns:GetTopicAttributes",
            Self::GetReplicationSet => "ssm-incidents:GetReplicationSet",
            Self::GetResponsePlan => "ssm-incidents:GetResponsePlan",
            // It works without any (STS API Reference, GetCallerIdentity).
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::AssumeRole => "sts:AssumeRole",
        }
    }

    /// What the permission can be limited to, after the Service Authorization Reference's tables of resource types and
    /// condition keys.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::PutMetricData => "* (limit it by the condition cloudwatch:namespace)",
            Self::GetMetricData
            | Self::ListMetrics
            | Self::DescribeVpnConnections
            | Self::ListIncidentRecords
            | Self::ListReplicationSets
            | Self::DescribeOpsItems
            | Self::CreateOpsItem
            | Self::GetCallerIdentity => "*",
            Self::GetReplicationSet => "the replication set",
            Self::StartIncident | Self::GetResponsePlan => "the response plan",
            Self::GetIncidentRecord
            | Self::CreateTimelineEvent
            | Self::UpdateRelatedItems
            | Self::UpdateIncidentRecord => "the response plan and its incident records",
            Self::GetOpsItem | Self::UpdateOpsItem => "the OpsItems (arn:aws:ssm:REGION:ACCOUNT:opsitem/*)",
            Self::Publish => {
                "the topic (and, where it is encrypted, kms:GenerateDataKey and kms:Decrypt on its key)"
            }
            Self::GetTopicAttributes => "the topic",
            Self::AssumeRole => "the role, whose trust policy must allow the daemon's own credentials",
        }
    }
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
