//! The whole way, from files to domain types.

mod described;
mod merged;
mod mutated;
mod parents;
mod read;
mod rejected;
mod sensors;
mod through;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::files::ReadBy;
use super::schema::RENAMED;
use super::{Config, Loaded, Rejection, Surroundings, load_in};

/// A directory with `bothends.toml` and, beside it, `conf.d`.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new(main: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("conf.d")).unwrap();
        let files = Self { directory };
        fs::write(files.main(), main).unwrap();
        files
    }

    fn with(self, drop_in: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.directory.path().join("conf.d").join(drop_in), text).unwrap();
        self
    }

    fn main(&self) -> PathBuf {
        self.directory.path().join("bothends.toml")
    }

    fn read(&self, env: &[(&str, &str)]) -> Result<Loaded, Rejection> {
        load_file(&self.main(), env)
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, Rejection> {
        self.read(env).map(|loaded| loaded.config)
    }

    /// The problems, one a line, with paths relative to the directory.
    fn problems(&self, env: &[(&str, &str)]) -> String {
        let rejection = self.load(env).unwrap_err().to_string();
        rejection.replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn warnings(&self, env: &[(&str, &str)]) -> String {
        let loaded = self.read(env).unwrap();
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        warnings.join("\n").replace(&format!("{}/", self.directory.path().display()), "")
    }
}

fn load_file(path: &Path, env: &[(&str, &str)]) -> Result<Loaded, Rejection> {
    let env: BTreeMap<_, _> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let host_name = Some("gateway-1".to_owned());
    let trial: super::WebhookTrial<'_> = &|_| Vec::new();
    load_in(path, &Surroundings { env: &env, host_name, renamed: RENAMED, reader: &ReadBy::Us, trial })
}

fn load_text(text: &str) -> Result<Config, Rejection> {
    Files::new(text).load(&[])
}

/// One connection with one tunnel.
const VPN: &str = r#"
[[vpn]]
id = "vpn-0123456789abcdef0"
[[vpn.tunnel]]
outside_ip = "203.0.113.11"
inside_ip = "169.254.10.1"
source_ip = "169.254.10.2"
"#;

/// Another.
const OTHER_VPN: &str = r#"
[[vpn]]
id = "vpn-0123456789abcdef1"
[[vpn.tunnel]]
outside_ip = "203.0.113.21"
inside_ip = "169.254.20.1"
source_ip = "169.254.20.2"
"#;

/// A sink that takes everything.
const SINK: &str = r#"
[[incident.sink]]
type = "incident_manager"
response_plan = "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}"
"#;
