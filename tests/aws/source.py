"""Facts from the daemon's source: the names of kinds, metrics and alarms, and its AWS calls."""
import re

from template import ROOT

SRC = ROOT / "src"
# The methods of a client, or of its builder, that are not operations.
NO_OPERATION = ("build", "clone", "config")


def product(path):
    """A Rust file without its comments and tests."""
    text = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
    return re.sub(r"(?m)^\s*//.*$", "", text)


def product_files(under=SRC):
    for path in sorted(under.rglob("*.rs")):
        if path.name != "tests.rs" and "tests" not in path.parts[len(SRC.parts):]:
            yield path


def kinds():
    """The words of the kinds that sinks take by default: they have alarms and response plans. `degraded` is for tickets of one's own."""
    text = product(SRC / "domain" / "names.rs")
    body = text[text.index("impl Kind {"):]
    words = dict(re.findall(r'Self::(\w+) => "(\w+)"', body[: body.index("\n}")]))
    (by_default,) = re.findall(r"BY_DEFAULT: \[Self; \d+\] = \[([^\]]*)\]", body)
    return [words[variant] for variant in re.findall(r"Self::(\w+)", by_default)]


def adopted_alarm(vpn, kind):
    """The name of the alarm whose records the daemon adopts."""
    text = product(SRC / "aws" / "incident_manager" / "record.rs")
    (form,) = re.findall(r'format!\("([^"]*)", scope\.of, scope\.kind\.as_str\(\)\)', text)
    return form.replace("{}", vpn, 1).replace("{}", kind, 1)


def published_names():
    text = product(SRC / "publish" / "datum.rs")
    return set(re.findall(r'datum\("(\w+)"', text)) | set(re.findall(r'name: "(\w+)"', text))


def documented_metrics():
    """Sets of dimensions by metric, from docs/cloudwatch.md, which a Rust test compares with the code."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \|", (ROOT / "docs" / "cloudwatch.md").read_text())
    return {
        name: {frozenset(part.removeprefix("and ").strip().split(", ")) for part in dimensions.split(";")
               for part in [part.strip()]}
        for name, dimensions in rows
    }


def sdk_crates():
    """The SDK clients among the dependencies."""
    return set(re.findall(r"(?m)^aws-sdk-(\w+)", (ROOT / "Cargo.toml").read_text()))


def camel(name):
    return "".join(word.capitalize() for word in name.split("_"))


def clients(texts):
    """Fields and variables that hold a client of the SDK, with its crate."""
    return {field: crate for text in texts
            for field, crate in re.findall(r"(\w+)\s*(?::\s*&?(?:Option<)?|=\s*)aws_sdk_(\w+)::Client\b", text)}


def operations(texts, known_actions):
    """The AWS operations in these texts, as (how it was found, name).

    Three ways, so that one of them finds a call of an unusual form: methods called on a client without arguments, as all
    operations of the SDK are; methods with the name of an action of any AWS service; names written by hand for a request
    without the SDK.
    """
    found = set()
    for field in clients(texts):
        for text in texts:
            found |= {("client", camel(name)) for name in re.findall(rf"\b{field}\s*\.\s*([a-z]\w*)\(\)", text)
                      if name not in NO_OPERATION}
    for text in texts:
        for name in re.findall(r"\.\s*([a-z]+(?:_[a-z0-9]+)+)\(\)", text):
            if camel(name) in known_actions:
                found.add(("method", camel(name)))
        by_hand = [r'operation_name\(\s*"(\w+)"', r'Action=(\w+)', r'"Action",\s*"(\w+)"', r'Amazon\w+\.([A-Z]\w+)',
                   r'Layer::new\("(\w+)"\)', r'/operation/([A-Z]\w+)', r'\bCall::([A-Z][a-z]\w+)']
        found |= {("by hand", name) for form in by_hand for name in re.findall(form, text)}
        if "AssumeRoleProvider" in text:
            found.add(("provider", "AssumeRole"))
    return found
