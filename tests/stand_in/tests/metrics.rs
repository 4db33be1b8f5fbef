//! CloudWatch's documented limits, and what is returned of what was put.

use std::io::Write as _;

use serde_json::{Value, json};

use super::raw::{Raw, datum, put};
use super::{OTHER_REGION, control, now, started};

fn with(changes: Value) -> Value {
    let mut datum = json!({ "MetricName": "RoundTripTime" });
    for (name, value) in changes.as_object().unwrap() {
        datum[name] = value.clone();
    }
    datum
}

fn query(period: i64, stat: &str) -> Value {
    let metric = json!({ "Namespace": "BothEnds", "MetricName": "RoundTripTime" });
    json!({ "Id": "a", "MetricStat": { "Metric": metric, "Period": period, "Stat": stat } })
}

/// `GetMetricData` over the last hour, and a minute.
fn get(stand_in: &super::StandIn, queries: &Value, further: Value) -> Raw {
    let now = now(stand_in);
    let mut input = json!({
        "MetricDataQueries": queries,
        "StartTime": { "$time": now - 3600.0 },
        "EndTime": { "$time": now + 60.0 },
    });
    for (name, value) in further.as_object().unwrap() {
        input[name] = value.clone();
    }
    Raw::cloudwatch("GetMetricData", &input)
}

#[test]
fn a_call_has_at_most_a_thousand_metrics() {
    let stand_in = started();
    assert_eq!(put(&vec![datum(); 1000]).send(&stand_in).code(), "ok");
    assert_eq!(put(&vec![datum(); 1001]).send(&stand_in).code(), "invalidparametervalue");
    assert_eq!(put(&[]).send(&stand_in).code(), "missingparameter");
}

#[test]
fn a_body_beyond_a_megabyte_is_rejected_even_if_compressed() {
    let stand_in = started();
    let dimensions: Vec<_> =
        (0..20).map(|n| json!({ "Name": format!("d{n}"), "Value": "x".repeat(1024) })).collect();
    let large = put(&vec![with(json!({ "Value": 1.0, "Dimensions": dimensions })); 60]);
    assert!(large.body.len() > 1024 * 1024);
    assert_eq!(large.send(&stand_in).status, 413);
    let mut packed = large;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&packed.body).unwrap();
    packed.body = gzip.finish().unwrap();
    packed.headers.push(("content-encoding", "gzip".to_owned()));
    assert_eq!(packed.send(&stand_in).status, 413);
}

#[test]
fn values_need_as_many_counts_and_number_at_most_150() {
    let stand_in = started();
    let ones = |n: usize| vec![1.0; n];
    let cases = [
        (json!({ "Values": ones(150), "Counts": ones(150) }), "ok"),
        (json!({ "Values": ones(3) }), "ok"),
        (json!({ "Values": ones(151), "Counts": ones(151) }), "invalidparametervalue"),
        (json!({ "Values": ones(3), "Counts": ones(2) }), "invalidparametervalue"),
        (json!({ "Values": [] }), "invalidparametervalue"),
        (json!({ "Values": [1.0], "Counts": [0.0] }), "invalidparametervalue"),
    ];
    for (changes, code) in cases {
        assert_eq!(put(&[with(changes.clone())]).send(&stand_in).code(), code, "{changes}");
    }
}

#[test]
fn a_datum_has_exactly_one_kind_of_value() {
    let stand_in = started();
    let set = json!({ "SampleCount": 1.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0 });
    let cases = [
        (json!({}), "missingparameter"),
        (json!({ "StatisticValues": set }), "ok"),
        (json!({ "Value": 1.0, "Values": [1.0] }), "invalidparametercombination"),
        (json!({ "Value": 1.0, "StatisticValues": set }), "invalidparametercombination"),
    ];
    for (changes, code) in cases {
        assert_eq!(put(&[with(changes.clone())]).send(&stand_in).code(), code, "{changes}");
    }
}

#[test]
fn timestamps_must_be_within_two_weeks_back_and_two_hours_ahead() {
    let stand_in = started();
    let (now, day) = (now(&stand_in), 86_400.0);
    let cases = [(-13.9 * day, "ok"), (7100.0, "ok"), (-14.1 * day, ""), (7300.0, "")];
    for (offset, code) in cases {
        let datum = with(json!({ "Value": 1.0, "Timestamp": { "$time": now + offset } }));
        let expected = if code.is_empty() { "invalidparametervalue" } else { code };
        assert_eq!(put(&[datum]).send(&stand_in).code(), expected, "{offset} s");
    }
}

#[test]
fn values_must_be_within_two_to_the_360() {
    let stand_in = started();
    let limit = 2f64.powi(360);
    for (value, code) in [(limit, "ok"), (-limit, "ok"), (limit * 1.01, ""), (-limit * 1.01, "")] {
        let expected = if code.is_empty() { "invalidparametervalue" } else { code };
        assert_eq!(put(&[with(json!({ "Value": value }))]).send(&stand_in).code(), expected, "{value}");
        assert_eq!(put(&[with(json!({ "Values": [value] }))]).send(&stand_in).code(), expected, "{value}");
    }
}

#[test]
fn resolution_namespace_and_dimensions_are_validated() {
    let stand_in = started();
    let bad = "invalidparametervalue";
    for (resolution, code) in [(1, "ok"), (60, "ok"), (30, bad)] {
        let datum = with(json!({ "Value": 1.0, "StorageResolution": resolution }));
        assert_eq!(put(&[datum]).send(&stand_in).code(), code, "{resolution}");
    }
    for (namespace, code) in [("BothEnds", "ok"), ("AWS/VPN", bad), ("both ends?", bad), (" ", bad)] {
        let raw =
            Raw::cloudwatch("PutMetricData", &json!({ "Namespace": namespace, "MetricData": [datum()] }));
        assert_eq!(raw.send(&stand_in).code(), code, "{namespace}");
    }
    for (name, value, code) in
        [("A", "b", "ok"), (":A", "b", bad), (" ", "b", bad), ("A", " ", bad), ("Ä", "b", bad)]
    {
        let dimensions = json!([{ "Name": name, "Value": value }]);
        let datum = with(json!({ "Value": 1.0, "Dimensions": dimensions }));
        assert_eq!(put(&[datum]).send(&stand_in).code(), code, "{name}={value}");
    }
    let twice = json!([{ "Name": "A", "Value": "b" }, { "Name": "A", "Value": "c" }]);
    assert_eq!(put(&[with(json!({ "Value": 1.0, "Dimensions": twice }))]).send(&stand_in).code(), bad);
    let unprintable = json!({ "MetricName": "Tunnel\u{7}", "Value": 1.0 });
    assert_eq!(put(&[unprintable]).send(&stand_in).code(), bad);
}

#[test]
fn with_one_bad_datum_none_is_stored() {
    let stand_in = started();
    put(&[datum(), json!({ "MetricName": "NoValue" })]).send(&stand_in);
    assert_eq!(control(&stand_in, json!({ "metrics": {} })), json!([]));
    put(&[datum()]).send(&stand_in);
    let stored = control(&stand_in, json!({ "metrics": { "namespace": "BothEnds" } }));
    assert_eq!(stored[0]["datum"]["MetricName"], "TunnelUp");
    assert_eq!(control(&stand_in, json!({ "metrics": { "namespace": "Other" } })), json!([]));
}

#[test]
fn get_metric_data_rejects_what_its_reference_forbids() {
    let stand_in = started();
    let average = query(60, "Average");
    let mut other = average.clone();
    other["Id"] = "A".into();
    let mut both = average.clone();
    both["Expression"] = "a+b".into();
    let many: Vec<_> = (0..501)
        .map(|n| {
            let mut query = average.clone();
            query["Id"] = format!("a{n}").into();
            query
        })
        .collect();
    let late = json!({ "StartTime": { "$time": now(&stand_in) + 120.0 } });
    let cases = [
        ("a valid query", json!([average]), json!({}), "ok"),
        ("a period of 45 s", json!([query(45, "Average")]), json!({}), "validationerror"),
        ("a period of 90 s", json!([query(90, "Average")]), json!({}), "validationerror"),
        ("no such statistic", json!([query(60, "Mean")]), json!({}), "validationerror"),
        ("p101", json!([query(60, "p101")]), json!({}), "validationerror"),
        ("an id twice", json!([average, average]), json!({}), "validationerror"),
        ("an id in capitals", json!([other]), json!({}), "validationerror"),
        ("a metric and an expression", json!([both]), json!({}), "validationerror"),
        ("neither", json!([{ "Id": "a" }]), json!({}), "validationerror"),
        ("no query", json!([]), json!({}), "validationerror"),
        ("501 queries", json!(many), json!({}), "validationerror"),
        ("an end before the start", json!([average]), late, "validationerror"),
        ("no order", json!([average]), json!({ "ScanBy": "Random" }), "invalidparametervalue"),
        ("too many datapoints", json!([average]), json!({ "MaxDatapoints": 100_801 }), "validationerror"),
        ("an unknown token", json!([average]), json!({ "NextToken": "x" }), "invalidnexttoken"),
    ];
    for (what, queries, further, code) in cases {
        let answer = get(&stand_in, &queries, further).send(&stand_in);
        assert_eq!(answer.code(), code, "{what}");
    }
    assert_eq!(get(&stand_in, &json!(many[..500]), json!({})).send(&stand_in).code(), "ok");
}

#[test]
fn statistics_come_back_by_period_newest_first() {
    let stand_in = started();
    control(&stand_in, json!({ "hold_clock": { "still": true } }));
    let minute = (now(&stand_in) / 60.0).floor() * 60.0;
    let at = |offset: f64, values: Value, counts: Value| {
        with(json!({ "Values": values, "Counts": counts, "Timestamp": { "$time": minute + offset } }))
    };
    put(&[at(-120.0, json!([10.0, 30.0]), json!([3.0, 1.0])), at(-61.0, json!([50.0]), json!([1.0]))])
        .send(&stand_in);
    put(&[at(-60.0, json!([7.0]), json!([1.0]))]).send(&stand_in);
    let values = |stat: &str| {
        let answer = get(&stand_in, &json!([query(60, stat)]), json!({})).send(&stand_in).cbor();
        assert_eq!(answer["MetricDataResults"][0]["Timestamps"], json!([minute - 60.0, minute - 120.0]));
        answer["MetricDataResults"][0]["Values"].clone()
    };
    assert_eq!(values("Average"), json!([7.0, 22.0]));
    assert_eq!(values("Sum"), json!([7.0, 110.0]));
    assert_eq!(values("SampleCount"), json!([1.0, 5.0]));
    assert_eq!(values("Minimum"), json!([7.0, 10.0]));
    assert_eq!(values("Maximum"), json!([7.0, 50.0]));
    assert_eq!(values("p50"), json!([7.0, 10.0]));
    assert_eq!(values("p90"), json!([7.0, 50.0]));
}

#[test]
fn a_statistic_set_has_no_percentiles_and_another_unit_no_data() {
    let stand_in = started();
    let set = json!({ "SampleCount": 2.0, "Sum": 6.0, "Minimum": 1.0, "Maximum": 5.0 });
    put(&[with(json!({ "StatisticValues": set, "Unit": "Milliseconds" }))]).send(&stand_in);
    let values = |query: Value| {
        let answer = get(&stand_in, &json!([query]), json!({})).send(&stand_in).cbor();
        answer["MetricDataResults"][0]["Values"].clone()
    };
    assert_eq!(values(query(60, "Average")), json!([3.0]));
    assert_eq!(values(query(60, "p50")), json!([]));
    let mut seconds = query(60, "Average");
    seconds["MetricStat"]["Unit"] = "Seconds".into();
    assert_eq!(values(seconds), json!([]));
}

#[test]
fn pages_have_a_limited_size_and_together_hold_all_datapoints() {
    let stand_in = started();
    let now = now(&stand_in);
    let data: Vec<_> = (1..=5)
        .map(|n| with(json!({ "Value": f64::from(n), "Timestamp": { "$time": now - 60.0 * f64::from(n) } })))
        .collect();
    put(&data).send(&stand_in);
    let mut further = json!({ "MaxDatapoints": 2, "ScanBy": "TimestampAscending" });
    let mut seen = Vec::new();
    loop {
        let page = get(&stand_in, &json!([query(60, "Average")]), further.clone()).send(&stand_in).cbor();
        let values = page["MetricDataResults"][0]["Values"].as_array().unwrap().clone();
        assert!(values.len() <= 2);
        seen.extend(values);
        let status = &page["MetricDataResults"][0]["StatusCode"];
        assert_eq!(*status, if page["NextToken"].is_null() { "Complete" } else { "PartialData" });
        if page["NextToken"].is_null() {
            break;
        }
        further["NextToken"] = page["NextToken"].clone();
    }
    assert_eq!(json!(seen), json!([5.0, 4.0, 3.0, 2.0, 1.0]));
}

#[test]
fn a_metric_of_one_region_is_unknown_in_another() {
    let stand_in = started();
    put(&[with(json!({ "Value": 1.0 }))]).send(&stand_in);
    let mut raw = get(&stand_in, &json!([query(60, "Average")]), json!({}));
    assert_eq!(raw.send(&stand_in).cbor()["MetricDataResults"][0]["Values"], json!([1.0]));
    raw.region = OTHER_REGION;
    assert_eq!(raw.send(&stand_in).cbor()["MetricDataResults"][0]["Values"], json!([]));
}

#[test]
fn a_query_that_returns_no_data_is_left_out() {
    let stand_in = started();
    let mut query = query(60, "Average");
    query["ReturnData"] = false.into();
    let answer = get(&stand_in, &json!([query]), json!({})).send(&stand_in).cbor();
    assert_eq!(answer["MetricDataResults"], json!([]));
}
