//! Words that a machine has drawn: keys, tokens, signatures.

/// How the keys and tokens of well-known services begin.
const PREFIXES: [&str; 13] = [
    "xoxb-",
    "xoxp-",
    "xapp-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "hvs.",
    "AIza",
    "eyJ",
    "SG.",
];
/// AWS's ids are no secrets, though they look random.
const IDS: [&str; 5] = ["vpn-", "vgw-", "tgw-", "cgw-", "arn"];

/// Whether a character may stand in such a word.
pub fn is_within(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/_-.".contains(c)
}

/// Whether a word of [`is_within`]'s characters looks as if a machine had drawn it. A UUID may be anything's name, and does not.
pub fn is_drawn(word: &str) -> bool {
    if PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16 {
        return true;
    }
    let starts_id = |id: &&str| word.get(..id.len()).is_some_and(|start| start.eq_ignore_ascii_case(id));
    if IDS.iter().any(starts_id) {
        return false;
    }
    let all = |of: fn(u8) -> bool| word.bytes().all(of);
    let any = |of: fn(&u8) -> bool| word.bytes().any(|b| of(&b));
    let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let random = mixed && changes(word) * 3 >= word.len();
    // The secret of an AWS access key has 40 characters of base64, an MD5 or a PagerDuty key 32 hexadecimal digits or letters.
    // A path may have as many characters as a secret, but is made of words.
    (word.len() == 40 && all(base64) && mixed && !word.starts_with('/'))
        || (word.len() >= 32 && all(|b| b.is_ascii_hexdigit()))
        || (word.len() >= 28 && all(base64) && random)
        || (word.len() >= 20
            && all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'_' | b'-'))
            && random)
}

/// Some services' API keys are UUIDs (RFC 9562, section 4), and AWS's ids of requests.
pub fn is_uuid(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// How often capitals, small letters and digits take turns. In words they seldom do.
fn changes(word: &str) -> usize {
    let class = |b: u8| match b {
        b'A'..=b'Z' => Some(0),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = word.bytes().filter_map(class).collect();
    classes.windows(2).filter(|pair| pair[0] != pair[1]).count()
}
