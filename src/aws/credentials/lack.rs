//! Why there are no credentials: which variables and files were examined, and what is wrong with them. The SDK only says that no
//! provider had any.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use aws_config::profile::{ProfileSet, load};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::os_shim_internal::{Env, Fs};

use crate::access::{Obstacle, obstacle_to_us};
use crate::aws::text::{chain, deepest};

/// At most this many existing profiles are listed when one is missing.
const NAMED: usize = 5;

/// Wraps the SDK's chain, and explains where it looked when it has no credentials.
#[derive(Debug)]
pub(in crate::aws) struct Explained {
    inner: SharedCredentialsProvider,
}

impl Explained {
    pub(in crate::aws) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner }
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        let error = match self.inner.provide_credentials().await {
            Ok(credentials) => return Ok(credentials),
            Err(error) => error,
        };
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            let (seen, variables) = (ProfileFiles::load().await, Variables::of(&Env::real()));
            return Err(CredentialsError::not_loaded(NoCredentials::of(&seen, &variables, None)));
        }
        if matches!(error, CredentialsError::InvalidConfiguration(_)) && !NoCredentials::is_in(&error) {
            let (seen, variables) = (ProfileFiles::load().await, Variables::of(&Env::real()));
            let cause = Some(deepest(&error));
            return Err(CredentialsError::invalid_configuration(NoCredentials::of(&seen, &variables, cause)));
        }
        if answer(&error).is_some()
            && let Some(role) = ProfileFiles::load().await.only_role()
        {
            return Err(CredentialsError::provider_error(RoleError { role, source: error }));
        }
        Err(error)
    }
}

impl ProvideCredentials for Explained {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

/// The role of the profile in use could not be assumed.
#[derive(Debug)]
pub(in crate::aws) struct RoleError {
    pub(in crate::aws) role: String,
    source: CredentialsError,
}

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the role {} could not be assumed", self.role)
    }
}

impl Error for RoleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Why there are no credentials, and what to do.
#[derive(Debug)]
pub(in crate::aws) struct NoCredentials {
    found: String,
    /// What to do, unless the findings say so themselves.
    pub(in crate::aws) advice: &'static str,
}

impl NoCredentials {
    /// A profile of `aws login`.
    pub(super) fn login(profile: &str) -> Self {
        let found = format!(
            "the profile [{profile}] signs in by `aws login`, whose sessions bothends does not read; run \
             `eval \"$(aws configure export-credentials --profile {profile} --format env)\"` in this shell"
        );
        Self { found, advice: "a daemon needs keys or a credential_process (IAM Roles Anywhere)" }
    }

    fn of(seen: &ProfileFiles, variables: &Variables, sdk: Option<String>) -> Self {
        let mut found: Vec<String> = variables.half().into_iter().collect();
        found.extend(seen.files.iter().filter_map(LookedAtFile::trouble));
        match &seen.profiles {
            Err(cause) => {
                // An unreadable file is reported separately.
                if found.is_empty() {
                    found.push(cause.clone());
                }
            }
            // If no file could be read, that says it all.
            Ok(_) if !found.is_empty() && seen.paths().is_empty() => {}
            Ok(profiles) => found.extend(seen.of_profile(profiles, sdk)),
        }
        let advice = if seen.files.iter().any(LookedAtFile::is_handed_over) {
            "write keys to /etc/bothends/credentials (chmod 600), which the service reads at its start, or give it a profile, a \
             credential_process (IAM Roles Anywhere) or AWS_ACCESS_KEY_ID"
        } else {
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        };
        Self { found: found.join("; "), advice }
    }

    fn is_in(error: &(dyn Error + 'static)) -> bool {
        chain(error).any(|error| error.is::<Self>())
    }
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)
    }
}

impl Error for NoCredentials {}

/// Which of the two key variables are set.
struct Variables {
    id: bool,
    secret: bool,
}

impl Variables {
    fn of(env: &Env) -> Self {
        let set = |name| env.get(name).is_ok_and(|value| !value.trim().is_empty());
        Self { id: set("AWS_ACCESS_KEY_ID"), secret: set("AWS_SECRET_ACCESS_KEY") }
    }

    fn half(&self) -> Option<String> {
        let half = |set, unset| Some(format!("{set} is set, and {unset} is not"));
        match (self.id, self.secret) {
            (true, false) => half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            (false, true) => half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            (true, true) | (false, false) => None,
        }
    }
}

/// The content of the profile files.
struct ProfileFiles {
    files: Vec<LookedAtFile>,
    profiles: Result<ProfileSet, String>,
}

impl ProfileFiles {
    async fn load() -> Self {
        let env = Env::real();
        let files = [
            ("AWS_CONFIG_FILE", ".aws/config", false),
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", true),
        ];
        let files = files
            .into_iter()
            .filter_map(|(variable, usual, keys)| LookedAtFile::at(&env, variable, usual, keys));
        let profiles = load(&Fs::real(), &env, &EnvConfigFiles::default(), None::<Cow<'static, str>>).await;
        Self { files: files.collect(), profiles: profiles.map_err(|error| deepest(&error)) }
    }

    /// What is wrong with the profile in use.
    fn of_profile(&self, profiles: &ProfileSet, sdk: Option<String>) -> Option<String> {
        let name = profiles.selected_profile();
        let Some(profile) = profiles.get_profile(name) else { return Some(self.without(profiles, name)) };
        let has = |key| profile.get(key).is_some_and(|value| !value.trim().is_empty());
        let halves = ("aws_access_key_id", "aws_secret_access_key");
        let half = |set, unset| Some(format!("the profile [{name}] has {set} and no {unset}"));
        match (has(halves.0), has(halves.1)) {
            (true, false) => return half(halves.0, halves.1),
            (false, true) => return half(halves.1, halves.0),
            (true, true) | (false, false) => {}
        }
        match profile.get("source_profile") {
            Some(source) if has("role_arn") && profiles.get_profile(source).is_none() => {
                let missing = self.without(profiles, source);
                return Some(format!(
                    "the profile [{name}] has source_profile = {source}, and there is {missing}"
                ));
            }
            Some(_) | None => {}
        }
        if has("role_arn")
            && !["source_profile", "credential_source", "web_identity_token_file"].into_iter().any(has)
        {
            return Some(format!("the profile [{name}] has role_arn and no source_profile"));
        }
        let paths = self.paths();
        Some(match sdk {
            Some(cause) => format!("the profile [{name}] in {paths}: {cause}"),
            None => format!("the profile [{name}] in {paths} names no credentials"),
        })
    }

    /// Says that the profile does not exist.
    fn without(&self, profiles: &ProfileSet, name: &str) -> String {
        let paths = self.paths();
        let mut names: Vec<&str> = profiles.profiles().collect();
        names.sort_unstable();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        match (names.is_empty(), more) {
            _ if paths.is_empty() => {
                format!("no profile [{name}], for there is neither ~/.aws/config nor ~/.aws/credentials")
            }
            (true, _) => format!("no profile [{name}] in {paths} (no profile at all)"),
            (false, 0) => format!("no profile [{name}] in {paths} (there is: {})", names.join(", ")),
            (false, _) => {
                format!("no profile [{name}] in {paths} (there is: {} and {more} more)", names.join(", "))
            }
        }
    }

    /// The files that could be read.
    fn paths(&self) -> String {
        let read = self.files.iter().filter(|file| file.unread.is_none());
        read.map(LookedAtFile::name).collect::<Vec<_>>().join(" and ")
    }

    /// The role that the profile in use assumes, if there is exactly one.
    fn only_role(&self) -> Option<String> {
        let profiles = self.profiles.as_ref().ok()?;
        let mut name = profiles.selected_profile();
        let mut visited = Vec::new();
        let mut roles = Vec::new();
        while let Some(profile) = profiles.get_profile(name).filter(|_| !visited.contains(&name)) {
            visited.push(name);
            // Needs no file permission of ours.
            if profile.get("web_identity_token_file").is_some() {
                return None;
            }
            roles.extend(profile.get("role_arn"));
            name = profile.get("source_profile").unwrap_or(name);
        }
        if let [role] = roles[..] { Some(role.to_owned()) } else { None }
    }
}

/// A file of profiles.
struct LookedAtFile {
    path: PathBuf,
    /// The variable that names it.
    variable: Option<&'static str>,
    /// It is the file for keys.
    keys: bool,
    unread: Option<ErrorKind>,
}

impl LookedAtFile {
    fn at(env: &Env, variable: &'static str, usual: &str, keys: bool) -> Option<Self> {
        let named = env.get(variable).ok().filter(|path| !path.is_empty());
        let home = env.get("HOME").ok();
        let under_home = |path: &str| home.as_ref().map(|home| Path::new(home).join(path));
        let variable = named.is_some().then_some(variable);
        let path = match named {
            Some(named) => match named.strip_prefix("~/") {
                Some(rest) => under_home(rest)?,
                None => PathBuf::from(named),
            },
            None => under_home(usual)?,
        };
        let unread = match path.metadata() {
            // Opening a pipe would wait for its writer.
            Ok(metadata) if !metadata.is_file() => None,
            Ok(_) => {
                File::open(&path).and_then(|mut file| file.read(&mut [0])).err().map(|error| error.kind())
            }
            Err(error) => Some(error.kind()),
        };
        Some(Self { path, variable, keys, unread })
    }

    /// The systemd unit's copy of root's file.
    fn is_handed_over(&self) -> bool {
        self.keys && std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|at| self.path.starts_with(at))
    }

    fn name(&self) -> String {
        let path = self.path.display();
        if self.is_handed_over() {
            format!("{path} (what /etc/bothends/credentials held when the service started)")
        } else {
            path.to_string()
        }
    }

    /// Why it contributes nothing although it should.
    fn trouble(&self) -> Option<String> {
        let path = self.path.display();
        match (self.unread?, self.variable) {
            (ErrorKind::NotFound, Some(variable)) => {
                Some(format!("{variable} names {path}, which does not exist"))
            }
            // The file is optional.
            (ErrorKind::NotFound, None) => None,
            (ErrorKind::PermissionDenied, _) => {
                let uid = nix::unistd::geteuid();
                let user =
                    nix::unistd::User::from_uid(uid).ok().flatten().map_or(uid.to_string(), |user| user.name);
                Some(match obstacle_to_us(&self.path) {
                    Obstacle::Directory(at) => {
                        let at = at.display();
                        format!("{path} cannot be read by {user}, who may not enter {at}: chmod o+x {at}")
                    }
                    Obstacle::Itself if self.keys => {
                        format!("{path} cannot be read by {user}: chgrp {user} {path} && chmod 640 {path}")
                    }
                    Obstacle::Itself => format!("{path} cannot be read by {user}: chmod 644 {path}"),
                })
            }
            (other, _) => Some(format!("{path} cannot be read: {other}")),
        }
    }
}

//--- error answers of STS and IAM Identity Center to credential requests, by the SDK's own types

/// STS's error answer, if it is among the causes.
pub(in crate::aws) fn answer<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<(&'e ErrorMetadata, &'e HttpResponse)> {
    chain(error).find_map(|error| {
        answer_of::<AssumeRoleError>(error).or_else(|| answer_of::<AssumeRoleWithWebIdentityError>(error))
    })
}

/// The error answer of IAM Identity Center, if it is among the causes.
pub(in crate::aws) fn answer_to_session<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<(&'e ErrorMetadata, &'e HttpResponse)> {
    chain(error).find_map(answer_of::<GetRoleCredentialsError>)
}

fn answer_of<'e, E>(error: &'e (dyn Error + 'static)) -> Option<(&'e ErrorMetadata, &'e HttpResponse)>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let SdkError::ServiceError(service) = error.downcast_ref::<SdkError<E, HttpResponse>>()? {
        Some((service.err().meta(), service.raw()))
    } else {
        None
    }
}

/// Whether STS did not answer in time.
pub(in crate::aws) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let of_session = error.downcast_ref::<SdkError<GetRoleCredentialsError, HttpResponse>>();
        let of_role = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>();
        let of_token = error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>();
        matches!(of_session, Some(SdkError::TimeoutError(_)))
            || matches!(of_role, Some(SdkError::TimeoutError(_)))
            || matches!(of_token, Some(SdkError::TimeoutError(_)))
    })
}

#[cfg(test)]
mod tests {
    use aws_runtime::env_config::file::EnvConfigFileKind;

    use super::*;

    fn file(
        path: &str,
        variable: Option<&'static str>,
        keys: bool,
        unread: Option<ErrorKind>,
    ) -> LookedAtFile {
        LookedAtFile { path: PathBuf::from(path), variable, keys, unread }
    }

    async fn lack(selected: &str, text: &str, files: Vec<LookedAtFile>, variables: (bool, bool)) -> String {
        let env = Env::from_slice(&[("AWS_PROFILE", selected)]);
        let given = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, text).build();
        let profiles = load(&Fs::from_slice(&[]), &env, &given, None).await.map_err(|error| deepest(&error));
        let variables = Variables { id: variables.0, secret: variables.1 };
        NoCredentials::of(&ProfileFiles { files, profiles }, &variables, None).to_string()
    }

    #[tokio::test]
    async fn the_examined_files_and_their_faults_are_named() {
        let config = || vec![file("/c", None, false, None)];
        let one = "[profile me]\naws_access_key_id = A\n";
        let role = "[profile vpn]\nrole_arn = arn:aws:iam::123456789012:role/vpn\nsource_profile = hub\n";
        let (none, half) = ((false, false), (true, false));
        for (selected, text, files, variables, expected) in [
            ("default", "", config(), none, "no profile [default] in /c (no profile at all)"),
            ("default", one, config(), none, "no profile [default] in /c (there is: me)"),
            ("you", one, config(), none, "no profile [you] in /c (there is: me)"),
            (
                "me",
                one,
                config(),
                none,
                "the profile [me] has aws_access_key_id and no aws_secret_access_key",
            ),
            (
                "vpn",
                role,
                config(),
                none,
                "the profile [vpn] has source_profile = hub, and there is no profile [hub] in /c (there is: vpn)",
            ),
            (
                "default",
                "[default]\nregion = eu-west-1\n",
                config(),
                half,
                "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not; the profile [default] in /c names no credentials",
            ),
            (
                "default",
                "",
                vec![
                    file("/c", None, false, Some(ErrorKind::NotFound)),
                    file("/typo", Some("AWS_SHARED_CREDENTIALS_FILE"), true, Some(ErrorKind::NotFound)),
                ],
                none,
                "AWS_SHARED_CREDENTIALS_FILE names /typo, which does not exist",
            ),
        ] {
            assert_eq!(lack(selected, text, files, variables).await, expected);
        }
        let closed = vec![file("/c", None, false, Some(ErrorKind::PermissionDenied))];
        let closed = lack("default", "", closed, none).await;
        assert!(
            closed.starts_with("/c cannot be read by ") && closed.ends_with(": chmod 644 /c"),
            "{closed}"
        );
        let nothing = vec![file("/c", None, false, Some(ErrorKind::NotFound))];
        let expected = "no profile [default], for there is neither ~/.aws/config nor ~/.aws/credentials";
        assert_eq!(lack("default", "", nothing, none).await, expected);
        let broken = lack("default", "[default]\nno sense\n", config(), none).await;
        assert!(broken.contains("line 2"), "{broken}");
    }
}
