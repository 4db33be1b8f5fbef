//! Checks a decoded value, member by member, against AWS's model; what passes is plain JSON with times in epoch seconds.

use serde_json::{Map, Value};

use super::model::{Kind, Model, Shape};
use super::wire::Wire;

/// What is wrong with a member, and its path (`MetricData.member.1.Unit`).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Invalid {
    Missing { path: String },
    Unknown { path: String },
    WrongType { path: String, wanted: &'static str },
    OutOfBounds { path: String, found: String, constraint: String },
}

/// Checks `wire` against the shape called `shape` and everything below it.
pub(super) fn check(model: &Model, shape: &str, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let found = model.shape(shape);
    match found.kind {
        Kind::Structure => structure(model, found, wire, path),
        Kind::List => list(model, found, wire, path),
        Kind::Map => map(model, found, wire, path),
        Kind::String => string(model, found, wire, path),
        Kind::Integer => integer(found, wire, path, i128::from(i32::MIN)..=i128::from(i32::MAX)),
        Kind::Long => integer(found, wire, path, i128::from(i64::MIN)..=i128::from(i64::MAX)),
        Kind::Double | Kind::Float => double(found, wire, path),
        Kind::Boolean => boolean(wire, path),
        Kind::Timestamp => timestamp(wire, path),
        Kind::Blob => wrong_type(path, "nothing: no operation here takes a blob"),
    }
}

fn structure(model: &Model, shape: &Shape, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let Wire::Map(entries) = wire else { return wrong_type(path, "a structure") };
    let mut checked = Map::new();
    for (name, value) in entries {
        let path = below(path, name);
        let Some(member) = shape.members.get(name) else { return Err(Invalid::Unknown { path }) };
        if *value == Wire::Null {
            continue;
        }
        let value = check(model, &member.shape, value, &path)?;
        if checked.insert(name.clone(), value).is_some() {
            return wrong_type(&path, "a member that comes once");
        }
    }
    if let Some(missing) = shape.required.iter().find(|name| !checked.contains_key(*name)) {
        return Err(Invalid::Missing { path: below(path, missing) });
    }
    if shape.union && checked.len() != 1 {
        return wrong_type(path, "a union with exactly one member");
    }
    Ok(Value::Object(checked))
}

fn list(model: &Model, shape: &Shape, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let (Wire::List(items), Some(member)) = (wire, &shape.member) else { return wrong_type(path, "a list") };
    size(shape, items.len(), path)?;
    let items = items.iter().enumerate().map(|(index, item)| {
        check(model, &member.shape, item, &below(path, &format!("member.{}", index + 1)))
    });
    items.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn map(model: &Model, shape: &Shape, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let (Wire::Map(entries), Some(key), Some(value)) = (wire, &shape.key, &shape.value) else {
        return wrong_type(path, "a map");
    };
    size(shape, entries.len(), path)?;
    let mut checked = Map::new();
    for (name, item) in entries {
        let path = below(path, name);
        check(model, &key.shape, &Wire::Text(name.clone()), &path)?;
        checked.insert(name.clone(), check(model, &value.shape, item, &path)?);
    }
    Ok(Value::Object(checked))
}

fn string(model: &Model, shape: &Shape, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let Wire::Text(text) = wire else { return wrong_type(path, "a string") };
    size(shape, text.chars().count(), path)?;
    if !shape.allowed.is_empty() && !shape.allowed.contains(text) {
        let constraint = format!("Member must satisfy enum value set: [{}]", shape.allowed.join(", "));
        return Err(Invalid::OutOfBounds { path: path.to_owned(), found: text.clone(), constraint });
    }
    if let Some(pattern) = model.broken_pattern(shape, text) {
        let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
        return Err(Invalid::OutOfBounds { path: path.to_owned(), found: text.clone(), constraint });
    }
    Ok(Value::String(text.clone()))
}

fn integer(
    shape: &Shape,
    wire: &Wire,
    path: &str,
    range: std::ops::RangeInclusive<i128>,
) -> Result<Value, Invalid> {
    let Wire::Int(number) = wire else { return wrong_type(path, "an integer") };
    let Some(narrow) = range.contains(number).then(|| i64::try_from(*number).ok()).flatten() else {
        return wrong_type(path, "an integer within the range of its type");
    };
    within(shape, narrow as f64, path)?;
    Ok(Value::from(narrow))
}

fn double(shape: &Shape, wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let number = if let Wire::Float(number) = wire {
        *number
    } else if let Wire::Int(number) = wire {
        *number as f64
    } else {
        return wrong_type(path, "a number");
    };
    within(shape, number, path)?;
    // AWS takes neither NaN nor the infinities anywhere, and JSON has no place for them.
    serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| Invalid::OutOfBounds {
        path: path.to_owned(),
        found: number.to_string(),
        constraint: "Member must be a finite number".to_owned(),
    })
}

fn boolean(wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let Wire::Bool(flag) = wire else { return wrong_type(path, "a boolean") };
    Ok(Value::Bool(*flag))
}

fn timestamp(wire: &Wire, path: &str) -> Result<Value, Invalid> {
    let Wire::Time(seconds) = wire else { return wrong_type(path, "a timestamp") };
    serde_json::Number::from_f64(*seconds)
        .map(Value::Number)
        .ok_or_else(|| Invalid::WrongType { path: path.to_owned(), wanted: "a finite timestamp" })
}

fn size(shape: &Shape, length: usize, path: &str) -> Result<(), Invalid> {
    let length = length as f64;
    bounds(shape, length, path, "length")
}

fn within(shape: &Shape, number: f64, path: &str) -> Result<(), Invalid> {
    bounds(shape, number, path, "value")
}

fn bounds(shape: &Shape, number: f64, path: &str, what: &str) -> Result<(), Invalid> {
    let constraint = match (shape.min, shape.max) {
        (Some(min), _) if number < min => format!("Member must have {what} greater than or equal to {min}"),
        (_, Some(max)) if number > max => format!("Member must have {what} less than or equal to {max}"),
        (_, _) => return Ok(()),
    };
    Err(Invalid::OutOfBounds { path: path.to_owned(), found: format!("{what} {number}"), constraint })
}

fn wrong_type<T>(path: &str, wanted: &'static str) -> Result<T, Invalid> {
    Err(Invalid::WrongType { path: path.to_owned(), wanted })
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
