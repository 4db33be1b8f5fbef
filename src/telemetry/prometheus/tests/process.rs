use super::super::*;

#[test]
fn a_program_name_with_parentheses_does_not_shift_the_fields() {
    let text = "7 (a) b) S 1 7 7 0 -1 4194560 90 0 0 0 250 50 0 0 20 0 4 0 12345 8192000 500 1844674407";
    assert_eq!(
        Stat::parse(text),
        Some(Stat { cpu_seconds: 3.0, threads: 4.0, start_after_boot: 123.45, virtual_bytes: 8_192_000.0 })
    );
}

#[test]
fn what_cannot_be_read_is_left_out() {
    assert_eq!(Stat::parse("7 (cut"), None);
    assert_eq!(resident_bytes("VmRSS:\tmany kB\n"), None);
}

#[test]
fn the_process_started_a_while_ago_and_always_at_the_same_time() {
    let stat = read_proc("/proc/self/stat").as_deref().and_then(Stat::parse).unwrap();
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
