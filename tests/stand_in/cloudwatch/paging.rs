//! `GetMetricData`'s pages: a limited number of datapoints in one answer, and a token for the rest.

use serde_json::{Value, json};

use super::super::refusal::{Coded, Refusal};

/// One query's answer before it is split into pages.
pub(super) struct Series {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) timestamps: Vec<f64>,
    pub(super) values: Vec<f64>,
}

/// The part of `all` that follows the datapoints already returned according to `token`, and the token for the rest.
pub(super) fn page(all: Vec<Series>, token: Option<&str>, most: usize) -> Result<Value, Refusal> {
    let total: usize = all.iter().map(|series| series.timestamps.len()).sum();
    let given = match token {
        None => 0,
        Some(token) => given_by(token).filter(|given| *given < total).ok_or_else(invalid_token)?,
    };
    let mut results = Vec::new();
    let mut offset = 0;
    for series in all {
        let Series { id, label, timestamps, values } = series;
        let points = timestamps.len();
        let from = given.saturating_sub(offset).min(points);
        let until = (given + most).saturating_sub(offset).min(points);
        offset += points;
        // A series without datapoints is on the first page; one whose datapoints are on other pages is not on this one.
        if from == until && (points > 0 || given > 0) {
            continue;
        }
        // Garbage has more values than timestamps: it is sent unchanged.
        let values = if values.len() == points { values[from..until].to_vec() } else { values };
        let status = if until < points { "PartialData" } else { "Complete" };
        results.push(json!({
            "Id": id, "Label": label, "StatusCode": status,
            "Timestamps": timestamps[from..until], "Values": values,
        }));
    }
    let mut output = json!({ "MetricDataResults": results, "Messages": [] });
    if given + most < total {
        output["NextToken"] = token_after(given + most).into();
    }
    Ok(output)
}

const TOKEN_PREFIX: &str = "datapoints-given-";

fn token_after(given: usize) -> String {
    format!("{TOKEN_PREFIX}{given}")
}

fn given_by(token: &str) -> Option<usize> {
    token.strip_prefix(TOKEN_PREFIX)?.parse().ok()
}

fn invalid_token() -> Refusal {
    Coded::new(400, "InvalidNextToken", "InvalidNextToken", "The next token specified is invalid.").into()
}
