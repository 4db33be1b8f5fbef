//! Notifications to systemd over NOTIFY_SOCKET (sd_notify(3)). Without that variable nothing is sent. A failure to send does
//! not matter: monitoring goes on.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::catalogue::parts::Detail;
use crate::domain::names::Role;
use crate::domain::status::{Status, TunnelStatus};
use crate::domain::verdict::{Assessment, Verdict};

/// `READY=1`: every tunnel has been probed once, or the configuration of a reload is in force.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// `RELOADING=1`, with the time by which systemd identifies this reload, in one message. [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => Detail::ReloadNotNotified(&error).record().emit(),
    }
}

/// `STOPPING=1`
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// `WATCHDOG=1`: the core makes progress.
pub fn watchdog() {
    notify(&[NotifyState::Watchdog]);
}

/// `WATCHDOG=trigger`: systemd acts at once as if the watchdog had not been fed.
pub fn stuck() {
    notify(&[NotifyState::WatchdogTrigger]);
}

/// `STATUS=`, the line of `systemctl status`. Each call sends a message: call it only when the line has changed.
pub fn status(line: &str) {
    notify(&[NotifyState::Status(&one_line(line))]);
}

/// systemd accepts messages of up to 4 KiB, and reads text after a line's end as another assignment.
const LINE_MAX: usize = 1000;

fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_MAX).collect();
    if text.chars().nth(LINE_MAX).is_some() { format!("{line}…") } else { line }
}

/// The unit's `WatchdogSec=`: the longest time between two calls of [`watchdog`]. `None` if it is off.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// `starting: 1/2 tunnels probed`, before `READY=1` is sent.
pub fn starting_line(status: &Status) -> String {
    let tunnels = in_use(status);
    if tunnels.is_empty() {
        return "starting".to_owned();
    }
    let asked = tunnels.iter().filter(|tunnel| tunnel.checks.iter().all(|check| check.asked)).count();
    format!("starting: {asked}/{} tunnels probed", tunnels.len())
}

/// `1/2 tunnels up, 1 disputed, 0 incidents`. A tunnel counts as up if our end says so and AWS does not say otherwise.
pub fn status_line(status: &Status) -> String {
    let tunnels = in_use(status);
    let up = tunnels.iter().filter(|tunnel| is_up(tunnel)).count();
    let disputed =
        tunnels.iter().filter(|tunnel| matches!(tunnel.assessment, Assessment::Disputed(_))).count();
    let without_aws =
        tunnels.iter().filter(|tunnel| matches!(tunnel.aws.verdict, Verdict::Unknown(_))).count();
    let mut line = format!("{up}/{} tunnels up", tunnels.len());
    if disputed > 0 {
        line.push_str(&format!(", {disputed} disputed"));
    }
    if without_aws > 0 {
        line.push_str(&format!(", {without_aws} without AWS's verdict"));
    }
    let incidents = status.incidents.iter().filter(|incident| incident.state.as_str() == "open").count();
    line.push_str(&format!(", {incidents} incident{}", if incidents == 1 { "" } else { "s" }));
    line
}

fn in_use(status: &Status) -> Vec<&TunnelStatus> {
    let tunnels = status.vpns.iter().flat_map(|vpn| &vpn.tunnels);
    tunnels
        .filter(|tunnel| match tunnel.role {
            Role::Active | Role::Standby => true,
            Role::Unused => false,
        })
        .collect()
}

fn is_up(tunnel: &TunnelStatus) -> bool {
    match (tunnel.local.verdict, tunnel.assessment) {
        (Verdict::Up, Assessment::Healthy | Assessment::Blind) => true,
        (Verdict::Up, Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_))
        | (Verdict::Down | Verdict::Unknown(_), _) => false,
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        Detail::NotNotified(&state, &error).record().emit();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;
    use crate::domain::names::End;
    use crate::fixture;

    #[test]
    fn the_status_line_counts_tunnels_in_use_and_open_incidents() {
        let mut status = fixture::status();
        assert_eq!(status_line(&status), "1/2 tunnels up, 1 without AWS's verdict, 1 incident");
        status.vpns[0].tunnels[0].role = Role::Unused;
        status.vpns[0].tunnels[1].aws = fixture::aws(Verdict::Up);
        status.vpns[0].tunnels[1].assessment = Assessment::Healthy;
        status.incidents.clear();
        assert_eq!(status_line(&status), "1/1 tunnels up, 0 incidents");
    }

    #[test]
    fn a_tunnel_that_only_we_see_up_is_not_counted_as_up() {
        let mut status = fixture::status();
        status.vpns[0].tunnels[1].aws = fixture::aws(Verdict::Down);
        status.vpns[0].tunnels[1].assessment = Assessment::Disputed(End::Aws);
        assert_eq!(status_line(&status), "0/2 tunnels up, 1 disputed, 1 incident");
    }

    #[test]
    fn while_it_starts_the_line_counts_the_tunnels_that_were_asked() {
        let mut status = fixture::status();
        assert_eq!(starting_line(&status), "starting: 2/2 tunnels probed");
        status.vpns[0].tunnels[1].checks[0].asked = false;
        assert_eq!(starting_line(&status), "starting: 1/2 tunnels probed");
        assert_eq!(starting_line(&Status::default()), "starting");
    }

    #[test]
    fn a_line_is_one_line_and_systemd_takes_it_whatever_is_in_it() {
        assert_eq!(one_line("refused: a: b\nREADY=1\tc"), "refused: a: b READY=1 c");
        let long = one_line(&"é".repeat(5000));
        assert!(long.chars().count() == LINE_MAX + 1 && long.ends_with('…') && long.len() < 4096, "{long}");
    }

    /// Says everything once; run by the test below in a process of its own, because the socket is named by a variable.
    #[test]
    fn everything_can_be_said_without_a_socket() {
        ready();
        reloading();
        stopping();
        watchdog();
        stuck();
        status("2/2 tunnels up, 0 incidents");
    }

    #[test]
    fn systemd_hears_each_message_in_one_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "systemd::tests::everything_can_be_said_without_a_socket"])
            .env("NOTIFY_SOCKET", &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let heard: Vec<_> = std::iter::repeat_with(|| {
            let mut buffer = [0; 256];
            let len = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        })
        .take(6)
        .collect();
        assert_eq!(heard[0], "READY=1\n");
        assert!(heard[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
        assert_eq!(
            heard[2..],
            ["STOPPING=1\n", "WATCHDOG=1\n", "WATCHDOG=trigger\n", "STATUS=2/2 tunnels up, 0 incidents\n"]
        );
    }
}
