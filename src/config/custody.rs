//! File ownership and modes: who else can read the secrets in the files, and who else can replace the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files;
use super::problem::Provenance;
use super::problem::{ConfigProblem, ProblemKind};
use crate::access::{self, Foreign, Secret, UNKNOWN_USER};

/// The secrets in AWS's own files. The id of an access key alone is in many a file that everybody may read.
const AWS: [Secret; 2] = [Secret::AwsSecretAccessKey, Secret::AwsSessionToken];

/// Secrets that every user of this host can read in the configuration at `path`. The secrets themselves are not shown.
pub fn exposed(path: &Path) -> Vec<ConfigProblem> {
    let configuration = files::paths(path).unwrap_or_else(|_| vec![path.to_owned()]);
    let mend = |file: &Path| {
        let file = file.display();
        format!(
            "chmod o-r {file}, and where bothends runs as a user of its own, who reads it by its group, \
             chgrp bothends {file} && chmod 640 {file}"
        )
    };
    configuration.iter().filter_map(|file| exposed_in(file, &Secret::ALL, mend)).collect()
}

/// The same for the AWS credentials beside the configuration at `path`, which the package's unit passes on.
pub fn exposed_credentials(path: &Path) -> Option<ConfigProblem> {
    exposed_in(&credentials(path), &AWS, mend_of_aws)
}

/// The same for the other files that AWS credentials come from according to `env`.
pub fn exposed_of_aws(path: &Path, env: &BTreeMap<String, String>) -> Vec<ConfigProblem> {
    let mut files = aws_files(env);
    files.remove(&credentials(path));
    files.iter().filter_map(|file| exposed_in(file, &AWS, mend_of_aws)).collect()
}

fn mend_of_aws(file: &Path) -> String {
    format!("chmod 600 {}", file.display())
}

fn credentials(path: &Path) -> PathBuf {
    path.with_file_name("credentials")
}

/// Secrets that may lie beside a configuration for the service: keys, a proxy's variables, copies of the configuration.
const BESIDE: [Secret; 5] = [
    Secret::AwsSecretAccessKey,
    Secret::AwsSessionToken,
    Secret::UrlPassword,
    Secret::Webhook,
    Secret::PrivateKey,
];

/// At most this many files beside the configuration are searched, in the order of their names, and no long ones: a start reads
/// no archive.
const BESIDE_MAX: usize = 256;
const BESIDE_SIZE_MAX: u64 = 1024 * 1024;

/// Secrets that every user of this host can read in the other files of the configuration's directory.
pub fn exposed_beside(path: &Path, env: &BTreeMap<String, String>) -> Vec<ConfigProblem> {
    let listed = directory_of(path).and_then(|directory| directory.read_dir().ok());
    let mut covered = aws_files(env);
    covered.extend([path.to_owned(), credentials(path)]);
    let listed = listed.into_iter().flatten().flatten();
    let files: BTreeSet<_> = listed.map(|entry| path.with_file_name(entry.file_name())).collect();
    let short = |file: &PathBuf| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= BESIDE_SIZE_MAX)
    };
    let mend = |file: &Path| {
        let file = file.display();
        format!(
            "chmod 600 {file}, or where bothends itself reads it, chgrp bothends {file} && chmod 640 {file}"
        )
    };
    let files = files.difference(&covered).filter(|file| short(file)).take(BESIDE_MAX);
    files.filter_map(|file| exposed_in(file, &BESIDE, mend)).collect()
}

fn exposed_in(file: &Path, sorts: &[Secret], mend: impl Fn(&Path) -> String) -> Option<ConfigProblem> {
    // A file that cannot be read to its end is reported where its content is needed.
    let (line, secret) = access::exposed(file, sorts).ok()??;
    let what = format!("holds {}, and every user of this host can read it: {}", secret.as_str(), mend(file));
    Some(ConfigProblem {
        place: Provenance::line(file, line),
        key: String::new(),
        what: ProblemKind::Other(what),
    })
}

/// The files in which the SDK looks for credentials.
fn aws_files(env: &BTreeMap<String, String>) -> BTreeSet<PathBuf> {
    let home = env.get("HOME").map(Path::new);
    let named = |variable: &str, default: &str| {
        let set = env.get(variable).filter(|file| !file.is_empty()).map_or(default, String::as_str);
        match set.strip_prefix("~/") {
            Some(in_home) => Some(home?.join(in_home)),
            None => Some(PathBuf::from(set)),
        }
    };
    [named("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), named("AWS_CONFIG_FILE", "~/.aws/config")]
        .into_iter()
        .flatten()
        .collect()
}

/// Ways in which somebody who is neither root nor `us` can change the configuration at `path`: its files, `conf.d`, and the
/// directories that they lie in. Such a user would decide what is watched and who is paged.
pub fn foreign(path: &Path, us: u32) -> Vec<ConfigProblem> {
    let mut looked_at = BTreeSet::new();
    let files = files::paths(path).unwrap_or_else(|_| vec![path.to_owned()]);
    for file in &files {
        // For a link, the directory of its target counts as well.
        let target = file.canonicalize().ok();
        for file in [Some(file.as_path()), target.as_deref()].into_iter().flatten() {
            looked_at.extend(directory_of(file));
        }
        looked_at.insert(file.clone());
    }
    looked_at.insert(files::drop_ins(path));
    looked_at
        .iter()
        .filter_map(|path| {
            // A missing file has no owner.
            let foreign = access::foreign(&path.metadata().ok()?, us)?;
            let what = ProblemKind::Other(in_words(path, foreign));
            Some(ConfigProblem { place: Provenance::file(path), key: String::new(), what })
        })
        .collect()
}

fn directory_of(file: &Path) -> Option<PathBuf> {
    match file.parent()? {
        here if here.as_os_str().is_empty() => Some(PathBuf::from(".")),
        directory => Some(directory.to_owned()),
    }
}

fn in_words(path: &Path, foreign: Foreign) -> String {
    let path = path.display();
    match foreign {
        Foreign::Owner(UNKNOWN_USER) => format!(
            "is owned neither by root nor by the user that bothends runs as, so another user controls what bothends does \
             (the owner shows as {UNKNOWN_USER}, nobody, as every other user does to a service with PrivateUsers=yes; \
             `stat -c %U {path}` tells): chown root {path}"
        ),
        Foreign::Owner(owner) => format!(
            "is owned by the user with the number {owner}, neither root nor the user that bothends runs as, so \
             another user controls what bothends does: chown root {path}"
        ),
        Foreign::Group => {
            format!("is writable by its group, so other users control what bothends does: chmod g-w {path}")
        }
        Foreign::Anybody => format!(
            "is writable by every user of this host, so anybody controls what bothends does: chmod go-w {path}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A directory with the configuration, `conf.d` and a file in it, all of them right.
    fn home() -> TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("conf.d")).unwrap();
        for (file, mode) in [("", 0o755), ("conf.d", 0o755)] {
            set_mode(&home, file, mode);
        }
        for file in ["bothends.toml", "conf.d/rome.toml"] {
            fs::write(home.path().join(file), "# nothing\n").unwrap();
            set_mode(&home, file, 0o644);
        }
        home
    }

    fn set_mode(home: &TempDir, file: &str, mode: u32) {
        fs::set_permissions(home.path().join(file), Permissions::from_mode(mode)).unwrap();
    }

    fn messages(home: &TempDir, problems: &[ConfigProblem]) -> String {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n").replace(home.path().to_str().unwrap(), "HOME")
    }

    fn exposed_at(home: &TempDir, env: &[(&str, &str)]) -> String {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let path = home.path().join("bothends.toml");
        let credentials = exposed_credentials(&path).into_iter().collect();
        messages(home, &[exposed(&path), credentials, exposed_of_aws(&path, &env)].concat())
    }

    fn foreign_at(home: &TempDir, us: u32) -> String {
        messages(home, &foreign(&home.path().join("bothends.toml"), us))
    }

    fn us(home: &TempDir) -> u32 {
        home.path().metadata().unwrap().uid()
    }

    #[test]
    fn a_secret_that_all_can_read_is_reported_by_place_and_type_and_not_repeated() {
        let home = home();
        let rome = home.path().join("conf.d/rome.toml");
        fs::write(&rome, "[[vpn]]\nrunbook_url = \"https://noc:hunter2@wiki.example.com\"\n").unwrap();
        insta::assert_snapshot!(exposed_at(&home, &[]), @"HOME/conf.d/rome.toml:2: holds a URL with a password in it, and every user of this host can read it: chmod o-r HOME/conf.d/rome.toml, and where bothends runs as a user of its own, who reads it by its group, chgrp bothends HOME/conf.d/rome.toml && chmod 640 HOME/conf.d/rome.toml");
        set_mode(&home, "conf.d/rome.toml", 0o640);
        assert_eq!(exposed_at(&home, &[]), "");
    }

    #[test]
    fn credentials_of_aws_that_all_can_read_are_found_wherever_the_sdk_would_look() {
        let home = home();
        let directory = home.path().to_str().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        for file in [".aws/credentials", ".aws/config", "given", "credentials"] {
            let path = home.path().join(file);
            fs::write(&path, "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\nregion = x\n").unwrap();
            set_mode(&home, file, 0o644);
            assert_eq!(exposed_at(&home, &[("HOME", directory)]), "", "the id of a key is no secret here");
            fs::write(&path, "[default]\naws_secret_access_key = wJalrXUtnFEMI\n").unwrap();
            let given = path.to_str().unwrap();
            let by_variable = [("AWS_SHARED_CREDENTIALS_FILE", given), ("AWS_CONFIG_FILE", "/dev/null")];
            let env: &[_] = if file == "given" { &by_variable } else { &[("HOME", directory)] };
            let expected = format!(
                "HOME/{file}:2: holds an aws_secret_access_key, and every user of this host can read it: chmod 600 HOME/{file}"
            );
            assert_eq!(exposed_at(&home, env), expected);
            set_mode(&home, file, 0o600);
            assert_eq!(exposed_at(&home, env), "");
        }
        assert_eq!(
            exposed_at(&home, &[("AWS_CONFIG_FILE", "~/.aws/config")]),
            "",
            "without a home there is none"
        );
    }

    #[test]
    fn credentials_beside_the_configuration_are_reported_once() {
        let home = home();
        let (path, file) = (home.path().join("bothends.toml"), home.path().join("credentials"));
        fs::write(&file, "aws_secret_access_key = wJalrXUtnFEMI\n").unwrap();
        set_mode(&home, "credentials", 0o644);
        let named = file.to_str().unwrap().to_owned();
        let env = BTreeMap::from([("AWS_SHARED_CREDENTIALS_FILE".to_owned(), named)]);
        assert!(exposed_credentials(&path).is_some());
        assert_eq!(messages(&home, &[exposed_of_aws(&path, &env), exposed_beside(&path, &env)].concat()), "");
    }

    #[test]
    fn whatever_lies_beside_the_configuration_is_looked_into() {
        let home = home();
        let beside = |text: &str, file: &str, mode| {
            fs::write(home.path().join(file), text).unwrap();
            set_mode(&home, file, mode);
            messages(&home, &exposed_beside(&home.path().join("bothends.toml"), &BTreeMap::new()))
        };
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n";
        assert_eq!(beside(key, "private-key.pem", 0o640), "");
        let key_message = "HOME/private-key.pem:1: holds a private key, and every user of this host can read it: \
                           chmod 600 HOME/private-key.pem, or where bothends itself reads it, \
                           chgrp bothends HOME/private-key.pem && chmod 640 HOME/private-key.pem";
        assert_eq!(beside(key, "private-key.pem", 0o644), key_message);
        fs::remove_file(home.path().join("private-key.pem")).unwrap();
        let proxy = "NO_PROXY=localhost\nHTTPS_PROXY=http://noc:hunter2@proxy.example.com:3128\n";
        let proxy_message = beside(proxy, "proxy.env", 0o644);
        assert!(
            proxy_message.starts_with("HOME/proxy.env:2: holds a URL with a password"),
            "{proxy_message}"
        );
        assert!(proxy_message.lines().count() == 1 && !proxy_message.contains("hunter2"), "{proxy_message}");
        assert_eq!(beside(proxy, "proxy.env", 0o600), "");
        // Only other files are searched here: the configuration and AWS's files have checks of their own, and long files are
        // skipped.
        assert_eq!(beside(proxy, "bothends.toml", 0o644), "");
        assert_eq!(beside(&key.repeat(40_000), "backup.tar", 0o644), "");
        assert_eq!(beside("-----BEGIN CERTIFICATE-----\n", "certificate.pem", 0o644), "");
    }

    #[test]
    fn a_configuration_that_is_ours_or_roots_alone_is_in_good_hands() {
        let home = home();
        assert_eq!(foreign_at(&home, us(&home)), "");
    }

    #[test]
    fn a_file_or_directory_that_others_can_change_is_reported_with_its_remedy() {
        let home = home();
        let us = us(&home);
        set_mode(&home, "", 0o1777);
        set_mode(&home, "conf.d", 0o775);
        set_mode(&home, "bothends.toml", 0o666);
        insta::assert_snapshot!(foreign_at(&home, us), @r"
        HOME: is writable by every user of this host, so anybody controls what bothends does: chmod go-w HOME
        HOME/bothends.toml: is writable by every user of this host, so anybody controls what bothends does: chmod go-w HOME/bothends.toml
        HOME/conf.d: is writable by its group, so other users control what bothends does: chmod g-w HOME/conf.d
        ");
    }

    #[test]
    fn the_directory_that_a_links_target_lies_in_counts_as_well() {
        let (home, elsewhere) = (home(), home());
        set_mode(&elsewhere, "", 0o777);
        fs::remove_file(home.path().join("bothends.toml")).unwrap();
        symlink(elsewhere.path().join("bothends.toml"), home.path().join("bothends.toml")).unwrap();
        let message = foreign_at(&home, us(&home));
        assert!(
            message.starts_with(elsewhere.path().to_str().unwrap()) && message.lines().count() == 1,
            "{message}"
        );
    }

    #[test]
    fn an_owner_whom_the_namespace_does_not_show_is_not_called_nobody_alone() {
        let path = Path::new("/etc/bothends");
        let hidden = in_words(path, Foreign::Owner(65534));
        assert!(
            hidden.contains("PrivateUsers=yes") && hidden.ends_with("chown root /etc/bothends"),
            "{hidden}"
        );
        let shown = in_words(path, Foreign::Owner(1000));
        assert!(shown.contains("number 1000") && shown.ends_with("chown root /etc/bothends"), "{shown}");
    }
}
