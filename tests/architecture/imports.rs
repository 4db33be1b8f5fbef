//! Which file imports which: an import counts for the file that defines the name, whichever re-exports it goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `["aws", "ec2"]` for `src/aws/ec2.rs` and `src/aws/ec2/mod.rs`.
type Module = Vec<String>;

struct File {
    /// Its path below `src`.
    path: PathBuf,
    tokens: Vec<String>,
    /// What it declares with `mod name;`.
    children: BTreeSet<String>,
    /// The modules declared for tests only.
    tests: BTreeSet<String>,
    /// Its imports: each name, and the paths that it stands for, one per scope.
    uses: BTreeMap<String, BTreeSet<Vec<String>>>,
    /// The same for `*`.
    globs: Vec<Vec<String>>,
    /// Every name outside its imports.
    named: BTreeSet<String>,
}

/// Every circle as its arrows, `FROM -> TO: NAMES`, in these files: each its path below `src` and its code without
/// comments.
pub(crate) fn circles(files: &[(PathBuf, &str)]) -> Vec<Vec<String>> {
    let mut files: BTreeMap<Module, File> =
        files.iter().map(|(path, code)| (module(path), File::new(path, code))).collect();
    let tests: Vec<Module> = files
        .iter()
        .flat_map(|(at, file)| {
            file.tests.iter().map(|test| [at.as_slice(), std::slice::from_ref(test)].concat())
        })
        .collect();
    files.retain(|at, _| !tests.iter().any(|test| at.starts_with(test)));
    let mut arrows: BTreeMap<&Module, BTreeMap<&Module, BTreeSet<String>>> = BTreeMap::new();
    for (from, file) in &files {
        for path in file.paths(from, &files) {
            let Some((to, name)) = definer(&files, &path, 0) else { continue };
            if to != from {
                arrows.entry(from).or_default().entry(to).or_default().insert(name);
            }
        }
    }

    let reached: BTreeMap<&Module, BTreeSet<&Module>> = files
        .keys()
        .map(|from| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(
                    arrows.get(at).into_iter().flat_map(BTreeMap::keys).filter(|to| seen.insert(**to)),
                );
            }
            (from, seen)
        })
        .collect();
    let mut circles = BTreeMap::<BTreeSet<&Module>, Vec<String>>::new();
    for (from, to) in &arrows {
        for (to, names) in to {
            if reached[to].contains(from) {
                let members =
                    reached[from].iter().filter(|other| reached[*other].contains(from)).copied().collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let arrow = format!(
                    "{} -> {}: {}",
                    files[*from].path.display(),
                    files[*to].path.display(),
                    names.join(", ")
                );
                circles.entry(members).or_default().push(arrow);
            }
        }
    }
    circles.into_values().collect()
}

fn module(path: &Path) -> Module {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// The module that defines the target of a path from the crate's root, and the name.
fn definer<'f>(
    files: &'f BTreeMap<Module, File>,
    path: &[String],
    depth: usize,
) -> Option<(&'f Module, String)> {
    let mut length = path.len();
    while !files.contains_key(&path[..length]) {
        length = length.checked_sub(1)?;
    }
    let (at, file) = files.get_key_value(&path[..length])?;
    let Some(name) = path.get(length) else { return Some((at, "the module".to_owned())) };
    if depth < 8
        && let Some(found) = file
            .uses
            .get(name)
            .into_iter()
            .flatten()
            .find_map(|stands_for| definer(files, &[stands_for, &path[length + 1..]].concat(), depth + 1))
    {
        return Some(found);
    }
    // The crate's root defines nothing that a file imports.
    (!at.is_empty()).then(|| (at, name.clone()))
}

impl File {
    fn new(path: &Path, code: &str) -> Self {
        let (tokens, of_tests) = without_tests(tokens(code));
        let at = module(path);
        let children = |tokens: &[String]| {
            let declared = tokens.windows(3).filter(|three| three[0] == "mod" && three[2] == ";");
            declared.map(|three| three[1].clone()).collect()
        };
        let mut file = Self {
            path: path.to_owned(),
            children: children(&tokens),
            tests: children(&of_tests),
            tokens,
            uses: BTreeMap::new(),
            globs: Vec::new(),
            named: BTreeSet::new(),
        };
        let starts: Vec<usize> = (0..file.tokens.len()).filter(|at| file.tokens[*at] == "use").collect();
        for start in starts {
            file.take_uses(&at, &mut (start + 1), Vec::new());
        }
        let mut in_use = false;
        file.tokens.retain(|token| {
            let kept = !in_use && token != "use";
            in_use = (in_use || token == "use") && token != ";";
            kept
        });
        let declares = |at: usize| at > 0 && file.tokens[at - 1] == "mod";
        let named = file.tokens.iter().enumerate().filter(|(at, _)| !declares(*at));
        file.named = named.map(|(_, token)| token.clone()).collect();
        file
    }

    /// Reads one branch of a `use` tree, starting at a token.
    fn take_uses(&mut self, at: &Module, next: &mut usize, mut path: Vec<String>) {
        while let Some(token) = self.tokens.get(*next).cloned() {
            *next += 1;
            match token.as_str() {
                "::" => {}
                "{" => {
                    while self.tokens.get(*next).is_some_and(|token| token != "}") {
                        self.take_uses(at, next, path.clone());
                        if self.tokens.get(*next).is_some_and(|token| token == ",") {
                            *next += 1;
                        }
                    }
                    *next += 1;
                    return;
                }
                "*" => {
                    self.globs.extend(self.absolute(at, &path));
                    return;
                }
                "as" => {
                    let name = self.tokens[*next].clone();
                    *next += 1;
                    self.add_use(at, name, &path);
                    return;
                }
                "self" if !path.is_empty() => {}
                _ => path.push(token),
            }
            let ends = [",", "}", ";"];
            if self.tokens.get(*next).is_none_or(|token| ends.contains(&token.as_str())) {
                let name = path.last().cloned().unwrap_or_default();
                self.add_use(at, name, &path);
                return;
            }
        }
    }

    fn add_use(&mut self, at: &Module, name: String, path: &[String]) {
        if let Some(path) = self.absolute(at, path) {
            self.uses.entry(name).or_default().insert(path);
        }
    }

    /// A path from the crate's root; `None` if it leads out of the crate.
    fn absolute(&self, at: &Module, path: &[String]) -> Option<Vec<String>> {
        let mut base = at.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first if self.children.contains(first) => {}
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// Every path of the crate that the file names.
    fn paths(&self, at: &Module, files: &BTreeMap<Module, Self>) -> Vec<Vec<String>> {
        // Importing a module counts as importing the names used of it; what is only re-exported is not needed here.
        let needed =
            self.uses.iter().filter(|(name, _)| self.named.contains(*name)).flat_map(|(_, paths)| paths);
        let mut paths: Vec<Vec<String>> = needed.filter(|path| !files.contains_key(*path)).cloned().collect();
        paths.extend(self.globs.iter().cloned());
        let mut start = 0;
        while start < self.tokens.len() {
            let mut path = vec![self.tokens[start].clone()];
            let mut next = start + 1;
            while self.tokens.get(next).is_some_and(|token| token == "::")
                && self.tokens.get(next + 1).is_some_and(|token| is_name(token))
            {
                path.push(self.tokens[next + 1].clone());
                next += 2;
            }
            let before = &self.tokens[..start];
            let is_visibility = before.ends_with(&["pub", "(", "in"].map(str::to_owned));
            if path.len() > 1 && !is_visibility && before.last().is_none_or(|last| last != "::") {
                match self.uses.get(&path[0]) {
                    Some(bases) => paths.extend(bases.iter().map(|base| [base, &path[1..]].concat())),
                    None => paths.extend(self.absolute(at, &path)),
                }
            }
            start = next;
        }
        paths
    }
}

/// The tokens of the product, and those under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut product, mut tests) = (Vec::new(), Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        product.push(token);
        let begins = [&["#", "[", "cfg", "(", "test"][..], &["#", "[", "cfg", "(", "all", "(", "test"]]
            .into_iter()
            .any(|attribute| {
                product.len() >= attribute.len() && product[product.len() - attribute.len()..] == *attribute
            });
        if !begins {
            continue;
        }
        // The item under the attribute ends where its brackets are closed: at `;`, at `,`, at the end of its block, or
        // at the end of its container.
        while tokens.next().is_some_and(|token| token != "]") {}
        let mut depth = 0_usize;
        while let Some(token) =
            tokens.next_if(|token| depth > 0 || !["}", ")", "]"].contains(&token.as_str()))
        {
            match token.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let is_end = depth == 0 && [";", ",", "}"].contains(&token.as_str());
            tests.push(token);
            if is_end {
                break;
            }
        }
    }
    (product, tests)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names and signs, without strings and numbers.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphabetic() || first == '_' {
            let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
            if let Some(raw) = raw_text(rest) {
                rest = raw;
                continue;
            }
            tokens.push(rest[..end].to_owned());
            end
        } else if first == '"' {
            text_length(rest)
        } else if let Some(after) = rest.strip_prefix('\'').and_then(after_character) {
            rest = after;
            continue;
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The code after a raw string at the start, if there is one.
fn raw_text(code: &str) -> Option<&str> {
    let inside = code.strip_prefix("br").or_else(|| code.strip_prefix('r'))?;
    let text = inside.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(inside.len() - text.len()));
    let text = text.strip_prefix('"')?;
    text.split_once(end.as_str()).map(|(_, after)| after)
}

fn text_length(code: &str) -> usize {
    let mut escaped = false;
    for (at, character) in code.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    code.len()
}

/// The code after a character literal, whose first quote has been read; `None` for a lifetime.
fn after_character(code: &str) -> Option<&str> {
    let length = if code.starts_with('\\') { 2 } else { code.chars().next()?.len_utf8() };
    code.get(length..)?
        .find('\'')
        .filter(|end| *end == 0 || code.starts_with("\\u") || code.starts_with("\\x"))
        .map(|end| &code[length + end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&files.iter().map(|(path, code)| (PathBuf::from(path), *code)).collect::<Vec<_>>())
    }

    #[test]
    fn a_circle_is_found_through_re_exports_nested_imports_and_qualified_paths() {
        let files = [
            ("lib.rs", "pub mod a;"),
            ("a/mod.rs", "mod b; mod c; mod d; pub use b::B;"),
            ("a/b.rs", "use super::{c::C, d}; struct B(C, d::D);"),
            ("a/c.rs", "struct C; fn of(_: &crate::a::B) {}"),
            ("a/d.rs", "struct D;"),
        ];
        assert_eq!(found(&files), [["a/b.rs -> a/c.rs: C", "a/c.rs -> a/b.rs: B"]]);
    }

    #[test]
    fn a_child_extending_its_parents_type_is_no_circle_but_one_providing_a_type_is() {
        let child = ("a/b.rs", "use super::A; impl A { fn twice(&self) {} } struct B;");
        assert!(found(&[("a.rs", "mod b; struct A;"), child]).is_empty());
        assert_eq!(found(&[("a.rs", "mod b; struct A(b::B);"), child]).len(), 1);
    }

    #[test]
    fn test_only_code_imports_nothing() {
        for for_tests in [
            "#[cfg(test)] mod world; #[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(test)] fn three() -> [u8; 3] { crate::b::B::three() }",
            "#[cfg(all(test, unix))] use crate::b::B;",
            "struct Some { #[cfg(test)] of: crate::b::B }",
        ] {
            let a = format!("{for_tests} struct A;");
            let files = [
                ("a.rs", a.as_str()),
                ("a/world.rs", "use crate::b::B;"),
                ("b.rs", "use crate::a::A; struct B(A);"),
            ];
            assert!(found(&files).is_empty(), "{for_tests}");
        }
    }

    #[test]
    fn a_name_imported_in_two_scopes_stands_for_both() {
        let files = [
            ("a.rs", "struct A; fn one() { use crate::b::It; It } fn other() { use crate::c::It; It }"),
            ("b.rs", "struct It(crate::a::A);"),
            ("c.rs", "struct It;"),
        ];
        assert_eq!(found(&files).len(), 1);
    }

    #[test]
    fn strings_and_characters_import_nothing() {
        let files = [
            (
                "a.rs",
                r####"const A: &str = "crate::b::B \" crate::b::B"; const Q: char = '"'; use crate::b::B;"####,
            ),
            (
                "b.rs",
                r####"struct B<'a>(&'a str); const R: &str = r#"crate::a::A " "#; const E: char = '\'';"####,
            ),
        ];
        assert!(found(&files).is_empty());
    }
}
