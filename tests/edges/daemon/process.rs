//! The binary as a process: run to its end, or running and queried.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bothends::clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::site::{Home, Site, Tunnel, inside};
use super::wait::{until, until_some};

/// The daemon promises to end within 5 s of the signal. The margin is for a slow disk, and still too short for a hung
/// call to end by itself: the client abandons one after 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// A command's exit and output.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self { code: status.code(), stdout, stderr }
    }
}

/// The listener's answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) content_type: String,
    pub(super) body: String,
}

/// A running daemon. It is killed when this is dropped; if the test failed, its log is printed.
pub(super) struct Daemon<'s> {
    site: &'s Site,
    listen: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl<'s> Daemon<'s> {
    /// Starts a command that is `bothends run` with the configuration of `home`.
    pub(super) fn start(site: &'s Site, home: &Home, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = inside(&site.here, || command.spawn().unwrap());
        let stderr = child.stderr.take().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let mut log = written.lock().unwrap();
                log.push_str(&line.unwrap());
                log.push('\n');
            }
        });
        Self { site, listen: home.listen, child, log, reader: Some(reader) }
    }

    //--- its output

    /// Queries go to this address from here on.
    pub(super) fn listens_at(&mut self, address: &str) {
        self.listen = address.parse().unwrap();
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The log records of this level that contain this.
    pub(super) fn logged(&self, level: &str, what: &str) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.starts_with(level) && line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// The listener's answer; code 0 while it does not listen.
    pub(super) fn get(&self, path: &str) -> Answer {
        inside(&self.site.here, || exchange(self.listen, path)).unwrap_or_default()
    }

    pub(super) fn status(&self) -> Value {
        until_some("/status answers", || serde_json::from_str(&self.get("/status").body).ok())
    }

    /// A connection in `/status`.
    pub(super) fn vpn(&self, id: &str) -> Value {
        found(&self.status()["vpns"], "id", id)
    }

    /// A tunnel in `/status`; null if it is not there.
    pub(super) fn tunnel(&self, tunnel: &Tunnel) -> Value {
        let status = self.status();
        let tunnels =
            status["vpns"].as_array().unwrap().iter().flat_map(|vpn| vpn["tunnels"].as_array().unwrap());
        found(&tunnels.cloned().collect(), "outside_ip", tunnel.outside)
    }

    /// A sample of `/metrics`, by its name and labels as written there; 0 if there is none.
    pub(super) fn metric(&self, series: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many probes of a tunnel were answered.
    pub(super) fn replies(&self, vpn: &str, tunnel: &Tunnel) -> f64 {
        let outside = tunnel.outside;
        self.metric(&format!(
            "bothends_echoes_total{{vpn=\"{vpn}\",tunnel=\"{outside}\",check=\"inside\",outcome=\"reply\"}}"
        ))
    }

    /// How long its first thread, which probes, was runnable and had to wait for a CPU.
    pub(super) fn waited_for_a_cpu(&self) -> Duration {
        let pid = self.child.id();
        waited(Path::new(&format!("/proc/{pid}/task/{pid}"))).unwrap()
    }

    /// The same for all its threads that still run.
    fn all_waited_for_a_cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let threads = threads.into_iter().flatten().map_while(Result::ok);
        threads.filter_map(|thread| waited(&thread.path())).sum()
    }

    //--- waiting

    /// Waits until it logs this.
    #[track_caller]
    pub(super) fn until_logged(&self, what: &str) {
        until(&format!("it logs {what:?}"), || self.log().contains(what));
    }

    /// Waits until these tunnels have this assessment.
    #[track_caller]
    pub(super) fn until_assessed(&self, assessment: &str, tunnels: &[&Tunnel]) {
        for tunnel in tunnels {
            let what = format!("{} is {assessment}", tunnel.outside);
            until(&what, || self.tunnel(tunnel)["assessment"] == assessment);
        }
    }

    /// Waits until one end (`local`, `aws`) has this verdict on these tunnels.
    #[track_caller]
    pub(super) fn until_verdict(&self, end: &str, verdict: &str, tunnels: &[&Tunnel]) {
        for tunnel in tunnels {
            let what = format!("{} is {verdict} by {end}", tunnel.outside);
            until(&what, || self.tunnel(tunnel)[end]["verdict"] == verdict);
        }
    }

    /// Waits until further probes are answered: probing continues.
    #[track_caller]
    pub(super) fn until_probed_further(&self, vpn: &str, tunnel: &Tunnel) {
        let before = self.replies(vpn, tunnel);
        until("probing continues", || self.replies(vpn, tunnel) > before + 2.0);
    }

    /// Waits until `/readyz` says this, and returns the answer.
    #[track_caller]
    pub(super) fn until_readyz_says(&self, what: &str) -> Answer {
        until_some(&format!("/readyz says {what:?}"), || {
            let answer = self.get("/readyz");
            answer.body.contains(what).then_some(answer)
        })
    }

    //--- its end

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end after a signal, and returns its exit code; `None` if the signal killed it.
    #[track_caller]
    pub(super) fn ended(&mut self) -> Option<i32> {
        let status = until_some("it ends", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        status.code()
    }

    /// Waits for its end, and asserts that it is in time; waiting for a CPU does not count.
    #[track_caller]
    pub(super) fn ended_in_time(&mut self) -> Option<i32> {
        let (began, before) = (clock::now().mono, self.all_waited_for_a_cpu());
        let mut waited = Duration::ZERO;
        until("it ends, or should have", || {
            waited = waited.max(self.all_waited_for_a_cpu().saturating_sub(before));
            let ended = self.child.try_wait().unwrap().is_some();
            ended || clock::now().mono.since(began) > ENDS_WITHIN + waited
        });
        let ended = self.child.try_wait().unwrap().is_some();
        assert!(ended, "it still runs after {ENDS_WITHIN:?}, plus {waited:?} waiting for a CPU");
        self.ended()
    }

    /// Ends the daemon with SIGTERM, and returns its log.
    pub(super) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        assert_eq!(self.ended(), Some(0));
        self.log()
    }

    /// Kills it, as a power cut would.
    pub(super) fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.ended(), None);
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        if thread::panicking() {
            eprintln!("--- what the daemon logged\n{}---", self.log.lock().unwrap());
        }
    }
}

/// How long a thread was runnable and had to wait for a CPU; `None` if it has ended.
fn waited(thread: &Path) -> Option<Duration> {
    let stats = fs::read_to_string(thread.join("schedstat")).ok()?;
    stats.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// The first object of an array with this member; null if there is none.
fn found(array: &Value, member: &str, value: &str) -> Value {
    array.as_array().unwrap().iter().find(|one| one[member] == value).cloned().unwrap_or_default()
}

fn exchange(listen: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(listen).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    let header = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Some(Answer { code, content_type: header.unwrap_or_default().to_owned(), body: body.to_owned() })
}
