//! A decoded request before validation: the common form of CBOR, JSON and forms.

/// A value as received.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wire {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Bytes,
    /// A timestamp where the encoding marks it as such (CBOR's tag 1), in seconds since 1970.
    Time(f64),
    List(Vec<Wire>),
    /// In order of arrival; names may repeat, which `check` rejects.
    Map(Vec<(String, Wire)>),
}

impl Wire {
    pub(super) fn from_json(value: &serde_json::Value) -> Self {
        if let Some(flag) = value.as_bool() {
            return Self::Bool(flag);
        }
        if let Some(number) = value.as_i64() {
            return Self::Int(i128::from(number));
        }
        if let Some(number) = value.as_f64() {
            return Self::Float(number);
        }
        if let Some(text) = value.as_str() {
            return Self::Text(text.to_owned());
        }
        if let Some(list) = value.as_array() {
            return Self::List(list.iter().map(Self::from_json).collect());
        }
        if let Some(map) = value.as_object() {
            return Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from_json(v))).collect());
        }
        Self::Null
    }
}
