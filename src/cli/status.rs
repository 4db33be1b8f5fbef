//! `bothends status`: what the running daemon knows.

use super::say;
use crate::config::Config;
use crate::http::client;
use crate::http::status_json::StatusJson;
use crate::http::table::render_table;
use crate::process::Exit;

pub(super) fn run(config: &Config, json: bool) -> Exit {
    let answer = match client::get(config.http.listen, "/status") {
        Ok(answer) => answer,
        Err(error) => {
            complain!("{error}");
            return Exit::BadNews;
        }
    };
    if answer.code != 200 {
        complain!("the daemon at {} answered {}: {}", config.http.listen, answer.code, answer.body);
        return Exit::BadNews;
    }
    if json {
        say!("{}", answer.body);
        return Exit::Success;
    }
    match serde_json::from_str::<StatusJson>(&answer.body) {
        Ok(status) => {
            say::text(format_args!("{}", render_table(&status)));
            Exit::Success
        }
        Err(error) => {
            complain!(
                "what the daemon at {} answered is not understood ({error}); is it of another version?",
                config.http.listen
            );
            Exit::BadNews
        }
    }
}
