//! The documentation leads somewhere: its links, its paths on an installed host, its commands, its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use bothends::cli::Arguments;
use clap::CommandFactory;

use crate::{file, read};

/// A page of Markdown, by its path from the top of the sources.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn all() -> Vec<Self> {
        let single = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"];
        let mut paths: Vec<PathBuf> = single.map(PathBuf::from).to_vec();
        for directory in ["docs", "packaging/aws", "findings", "tests/lab", "tests/boot"] {
            paths.extend(
                files_in(directory).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")),
            );
        }
        assert!(paths.len() > 20, "{paths:?}");
        paths.into_iter().map(|path| Self { text: read(path.to_str().unwrap()), path }).collect()
    }

    /// Where its links lead, as they are written: outside of code, and not to other hosts.
    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in outside_of_blocks(&self.text) {
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            links.extend(prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()));
        }
        links.retain(|link| !link.contains(':'));
        links
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let mut anchors = BTreeSet::new();
        for line in outside_of_blocks(&self.text).filter(|line| line.starts_with('#')) {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let anchor: String = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let count = seen.entry(anchor.clone()).or_default();
            anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
            *count += 1;
        }
        anchors
    }
}

fn files_in(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(file(directory)).unwrap();
    let mut paths: Vec<_> =
        entries.map(|entry| Path::new(directory).join(entry.unwrap().file_name())).collect();
    paths.sort();
    paths
}

/// The lines that are not in a block of code.
fn outside_of_blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// `a/b/../c` is `a/c`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let pages = Page::all();
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in &pages {
        for link in page.links() {
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if path.is_empty() { page.path.clone() } else { plain(&page.path.with_file_name(path)) };
            let there = match pages.iter().find(|other| other.path == target) {
                Some(other) => anchor.is_empty() || other.anchors().contains(anchor),
                None => anchor.is_empty() && file(target.to_str().unwrap()).exists(),
            };
            if !there {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(seen > 100, "{seen}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_index_leads_to_every_page() {
    let pages = Page::all();
    let index = pages.iter().find(|page| page.path == Path::new("docs/index.md")).unwrap();
    let led_to: BTreeSet<_> =
        index.links().iter().map(|link| link.split('#').next().unwrap().to_owned()).collect();
    let there: BTreeSet<_> = files_in("docs")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "index.md")
        .collect();
    assert_eq!(led_to, there);
}

/// What the package installs, from Cargo.toml: the path there, and the file here, which a build may have to make.
fn installed() -> BTreeMap<PathBuf, PathBuf> {
    let manifest = read("Cargo.toml");
    let assets = manifest.split("\nassets = [\n").nth(1).unwrap().split("\n]").next().unwrap();
    let mut installed = BTreeMap::new();
    for line in assets.lines() {
        let [source, destination, _mode] = line.split('"').skip(1).step_by(2).collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let sources = match source.split_once('*') {
            Some((directory, ending)) => {
                let mut files = files_in(directory.trim_end_matches('/'));
                files.retain(|path| path.to_str().unwrap().ends_with(ending));
                files
            }
            None => vec![PathBuf::from(source)],
        };
        for source in sources {
            let mut there = Path::new("/").join(destination);
            if destination.ends_with('/') {
                there.push(source.file_name().unwrap());
            }
            installed.insert(there, source);
        }
    }
    assert!(installed.len() > 30, "{installed:?}");
    installed
}

#[test]
fn an_installed_page_links_to_what_is_installed() {
    let installed = installed();
    let pages = Page::all();
    let mut lost = Vec::new();
    for (there, source) in &installed {
        let Some(page) = pages.iter().find(|page| page.path == *source) else { continue };
        for link in page.links() {
            let path = link.split('#').next().unwrap();
            if !path.is_empty() && !installed.contains_key(&plain(&there.with_file_name(path))) {
                lost.push(format!("{}: {link}", there.display()));
            }
        }
    }
    assert!(installed.keys().filter(|path| path.starts_with("/usr/share/doc/bothends")).count() > 20);
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn every_path_of_the_package_that_is_named_is_installed() {
    let installed = installed();
    let man = tempfile::tempdir().unwrap();
    let made = Command::new("python3").arg(file("packaging/man/man.py")).arg(man.path()).output().unwrap();
    assert!(made.status.success());
    let mut texts: Vec<_> =
        installed.values().filter_map(|source| fs::read_to_string(file(source.to_str()?)).ok()).collect();
    texts.push(read("packaging/deb/postinst"));
    texts.push(read("systemd/bothends.service"));
    for page in ["bothends.1", "bothends.toml.5"] {
        texts.push(fs::read_to_string(man.path().join(page)).unwrap().replace("\\-", "-"));
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let mut named = BTreeSet::new();
    for text in &texts {
        for (at, _) in
            text.match_indices("/usr/share/").chain(text.match_indices("/usr/lib/systemd/catalog/"))
        {
            let path: String = text[at..].chars().take_while(|c| is_path(*c)).collect();
            named.insert(path.trim_end_matches(['.', '/', '\\']).to_owned());
        }
    }
    named.retain(|path| path.contains("bothends"));
    assert!(named.len() > 10, "{named:?}");
    let missing: Vec<_> =
        named.iter().filter(|path| !installed.keys().any(|there| there.starts_with(path))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_command_that_is_named_exists_and_takes_its_options() {
    let command = Arguments::command();
    let takes = |name: &str, option: &str| {
        let sub = command.get_subcommands().find(|sub| sub.get_name() == name).unwrap();
        let mut longs =
            sub.get_arguments().chain(command.get_arguments()).filter_map(|argument| argument.get_long());
        matches!(option, "help" | "version") || longs.any(|long| long == option)
    };
    let mut unknown = Vec::new();
    let mut seen = BTreeSet::new();
    for page in Page::all()
        .into_iter()
        .filter(|page| page.path.starts_with("docs") || page.path.ends_with("README.md"))
    {
        let mut inside = false;
        for line in page.text.lines() {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            let code: Vec<&str> = if inside {
                vec![line.split(" #").next().unwrap()]
            } else {
                line.split('`').skip(1).step_by(2).collect()
            };
            for code in code {
                let said: Vec<&str> = code.split_whitespace().collect();
                let Some(at) = said.iter().position(|word| *word == "bothends") else { continue };
                let Some(name) = said.get(at + 1).filter(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
                else {
                    continue;
                };
                if command.get_subcommands().all(|sub| sub.get_name() != *name) {
                    unknown.push(format!("{}: {code}", page.path.display()));
                    continue;
                }
                seen.insert((*name).to_owned());
                let options = said[at..].iter().take_while(|word| !matches!(**word, "|" | "&&" | ";"));
                for option in options.filter_map(|word| word.strip_prefix("--")) {
                    if !takes(name, option) {
                        unknown.push(format!("{}: {code}", page.path.display()));
                    }
                }
            }
        }
    }
    assert!(seen.len() >= 7, "{seen:?}");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn the_pages_are_in_the_words_of_the_field() {
    // One word for one thing (docs/glossary.md), and plain English.
    let not_ours =
        ["told", "whoever", "of no use", "taken up", "people's words", "errand", "keeper", "witness"];
    let mut found = Vec::new();
    for page in Page::all() {
        let is_for_operators = page.path.starts_with("docs")
            || ["README.md", "SECURITY.md"].iter().any(|name| page.path == Path::new(name));
        // Tables may be made of the code's own.
        let prose = outside_of_blocks(&page.text).filter(|line| is_for_operators && !line.starts_with('|'));
        for line in prose {
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
            let words = format!(" {} ", prose.replace(|c: char| !c.is_alphanumeric() && c != '\'', " "));
            let of_line = not_ours.iter().filter(|word| words.contains(&format!(" {word} ")));
            found.extend(of_line.map(|word| format!("{}: {word}: {line}", page.path.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_man_pages_have_the_sections_that_a_reader_looks_for() {
    let man = tempfile::tempdir().unwrap();
    let made = Command::new("python3").arg(file("packaging/man/man.py")).arg(man.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for page in ["bothends.1", "bothends.toml.5"] {
        let text = fs::read_to_string(man.path().join(page)).unwrap();
        let sections: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        assert_eq!(sections[..3], ["NAME", "SYNOPSIS", "DESCRIPTION"], "{page}");
        assert_eq!(sections[sections.len() - 2..], ["EXAMPLES", "SEE ALSO"], "{page}");
    }
}

#[test]
fn the_changelog_begins_with_what_comes_next_and_then_with_this_version_and_its_date() {
    let changelog = read("CHANGELOG.md");
    let headings: Vec<_> = changelog.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings[0], "Unreleased");
    let (version, date) = headings[1].split_once(" - ").unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { panic!("{date}") };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[month.parse::<usize>().unwrap() - 1];
    let debian = read("packaging/deb/changelog");
    let trailer = debian.lines().find(|line| line.starts_with(" -- ")).unwrap();
    assert!(trailer.contains(&format!(", {day} {month} {year} ")), "{trailer}");
}
