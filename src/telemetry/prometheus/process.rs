//! The usual `process_*` metrics, read from /proc (proc(5)). What cannot be read is left out.

use std::fs;
use std::sync::OnceLock;

use super::exposition::Exposition;
use crate::clock;
use crate::domain::time::Stamp;
use crate::telemetry::metric;

/// USER_HZ, the unit of times in /proc/self/stat: Linux keeps it at 100 towards programs on x86, ARM and RISC-V alike.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(out: &mut Exposition) {
    let stat = read("/proc/self/stat").as_deref().and_then(Stat::parse);
    out.family(&metric::PROCESS_CPU, stat.as_ref().map(|stat| ([""; 0], stat.cpu_seconds)));
    out.family(&metric::PROCESS_THREADS, stat.as_ref().map(|stat| ([""; 0], stat.threads)));
    out.family(&metric::PROCESS_VIRTUAL, stat.as_ref().map(|stat| ([""; 0], stat.virtual_bytes)));
    out.family(&metric::PROCESS_START, stat.map(|stat| ([""; 0], started(&stat))));
    let resident = read("/proc/self/status").as_deref().and_then(resident_bytes);
    out.family(&metric::PROCESS_RESIDENT, resident.map(|bytes| ([""; 0], bytes)));
    // The directory is itself open while it is counted.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
    out.family(&metric::PROCESS_OPEN_FDS, open.map(|n| ([""; 0], n as f64)));
    let limit = read("/proc/self/limits").as_deref().and_then(max_fds);
    out.family(&metric::PROCESS_MAX_FDS, limit.map(|n| ([""; 0], n)));
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_after_boot: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// The program's name may hold spaces and parentheses: fields count from the last one. Numbers are proc(5)'s.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let number = |of: usize| fields.get(of - 3).and_then(|field| field.parse::<f64>().ok());
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
            threads: number(20)?,
            start_after_boot: number(22)? / TICKS_PER_SECOND,
            virtual_bytes: number(23)?,
        })
    }
}

/// When the process started, in seconds since 1970: the same at every scrape, as Prometheus expects it, also when the wall
/// clock is set. The time of the boot is not read from /proc/stat, which the unit's `ProcSubset=pid` hides.
fn started(stat: &Stat) -> f64 {
    static BOOTED: OnceLock<Stamp> = OnceLock::new();
    BOOTED.get_or_init(clock::booted).as_millis() as f64 / 1e3 + stat.start_after_boot
}

fn resident_bytes(status: &str) -> Option<f64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        soft => soft.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 90 0 0 0 250 50 0 0 20 0 4 0 12345 8192000 500 1844674407";
        assert_eq!(
            Stat::parse(text),
            Some(Stat {
                cpu_seconds: 3.0,
                threads: 4.0,
                start_after_boot: 123.45,
                virtual_bytes: 8_192_000.0
            })
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(Stat::parse("7 (cut"), None);
        assert_eq!(resident_bytes("VmRSS:\tmany kB\n"), None);
    }

    #[test]
    fn the_process_started_a_while_ago_and_always_at_the_same_time() {
        let stat = read("/proc/self/stat").as_deref().and_then(Stat::parse).unwrap();
        let at = started(&stat);
        let age = clock::wall().as_millis() as f64 / 1e3 - at;
        assert!((-1.0..86_400.0).contains(&age), "{age} s ago");
        assert_eq!(started(&stat).to_bits(), at.to_bits());
    }

    #[test]
    fn limits_and_memory_are_read_in_their_units() {
        assert_eq!(
            max_fds("Max open files            1024                 524288               files\n"),
            Some(1024.0)
        );
        assert_eq!(resident_bytes("VmRSS:\t    2048 kB\n"), Some(2_097_152.0));
    }
}
