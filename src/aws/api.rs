//! What is written down of a service that is called by hand, and of what goes out to it and comes back.

/// What is particular to a service.
#[derive(Debug)]
pub(super) struct Api {
    /// As `AWS_ENDPOINT_URL_<ID>` and the profile's `services` section name it.
    pub(super) service_id: &'static str,
    /// The first part of its host names.
    pub(super) host: &'static str,
    /// As signatures name it.
    pub(super) signing_name: &'static str,
    /// Reads an error answer.
    pub(super) error: fn(&[u8]) -> Option<ErrorAnswer>,
    /// Far more than any answer that is asked for.
    pub(super) longest_answer: usize,
}

/// What an error answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) code: String,
    pub(super) message: String,
    /// What is there already, where that is the error.
    pub(super) existing: Option<String>,
}

/// The member of an error that says what is there already.
pub(super) const EXISTING: &str = "existing";

/// What goes out.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) content_type: &'static str,
    /// `X-Amz-Target`, where the protocol has it.
    pub(super) target: Option<&'static str>,
    pub(super) body: String,
}

/// A form of the Query protocols, from names and values.
pub(super) fn form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = String::new();
    for (name, value) in parameters {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            // RFC 3986's unreserved characters stay as they are.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                form.push(char::from(byte));
            } else {
                form.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_whatever_is_not_plain() {
        assert_eq!(form([("A", "b-1"), ("Text", "a=b & ü\n")]), "A=b-1&Text=a%3Db%20%26%20%C3%BC%0A");
    }
}
