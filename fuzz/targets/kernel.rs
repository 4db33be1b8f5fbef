//! The kernel's counters: `/proc/net/dev` and `/proc/net/xfrm_stat`.
#![no_main]

use bothends::sensors::ipsec::kernel::{interfaces, out_no_states};
use bothends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let text = text.as_ref();
    bounded(text.as_bytes(), 0, || out_no_states(text));
    let read = bounded(text.as_bytes(), 16, || interfaces(text));

    let number = data.iter().fold(0_u64, |number, byte| number.wrapping_mul(31).wrapping_add((*byte).into()));
    let first = format!("XfrmOutNoStates \t{number}\n{text}");
    assert_eq!(out_no_states(&first), Some(number));
    if !text.lines().any(|line| line.starts_with("XfrmOutNoStates")) {
        assert_eq!(out_no_states(text), None);
    }

    // One more line adds its interface and changes no other; or the text was none before, and is none with it.
    let line = format!("  fuzz0: {number} 2 0 0 0 0 0 0 {} 4 0 0 0 0 5 0\n", number / 3);
    let alone = format!("\n\n{line}");
    let alone = interfaces(&alone).unwrap();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let headings = "\n".repeat(2_usize.saturating_sub(text.lines().count()));
    let more = format!("{text}{end}{headings}{line}");
    match (read, interfaces(&more)) {
        (Ok(mut before), Ok(after)) => {
            assert!(before.len() <= text.lines().count());
            assert!(before.keys().all(|name| name.trim_start() == *name && !name.contains('\n')));
            before.insert("fuzz0", alone["fuzz0"]);
            assert_eq!(before, after);
        }
        (Err(before), Err(after)) => assert_eq!(before, after),
        (before, after) => panic!("{before:?} {after:?}"),
    }
});
