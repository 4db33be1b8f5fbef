#!/usr/bin/env bash
# minijinja writes every value of a template named *.json as JSON, a text that stands in the template included. The usual
# `{{ "," if not loop.last }}` between the members of a list becomes `","`, quotation marks and all, and after the last member `null`: no JSON.
# `{% if not loop.last %},{% endif %}` is template text, and stays as it is. (Jinja2 escapes no JSON.)
#
# Needs cargo, python3 and pip.
set -euo pipefail
JINJA2=3.1.6

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"

[dependencies]
minijinja = { version = "=3.1.0", features = ["json"] }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let template = std::env::args().nth(1).unwrap();
    let mut environment = minijinja::Environment::new();
    environment.add_template("body.json", &template).unwrap();
    let body = environment.get_template("body.json").unwrap().render(minijinja::context! {}).unwrap();
    println!("{body}");
}
RUST
cargo -q build
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install "jinja2==$JINJA2"
IDIOM='[{% for n in [1, 2] %}{{ n }}{{ "," if not loop.last }}{% endfor %}]'
BLOCK='[{% for n in [1, 2] %}{{ n }}{% if not loop.last %},{% endif %}{% endfor %}]'
echo "version:   minijinja $(cargo -q metadata --format-version 1 | grep -oE '"name":"minijinja","version":"[^"]*"' | cut -d'"' -f8), Jinja2 $JINJA2"
echo "behaviour: a text that the template itself prints is written as JSON, too"
idiom=$(target/debug/seen "$IDIOM")
block=$(target/debug/seen "$BLOCK")
jinja=$(venv/bin/python -c 'import jinja2, sys
print(jinja2.Environment(autoescape=jinja2.select_autoescape()).from_string(sys.argv[1]).render())' "$IDIOM")
echo "seen:      $IDIOM"
echo "             minijinja: $idiom"
echo "             Jinja2:    $jinja"
echo "           $BLOCK"
echo "             minijinja: $block"
if [[ "$idiom" == '[1","2null]' && "$block" == "[1,2]" && "$jinja" == "[1,2]" ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
