//! What the fuzz targets have in common: what must hold of everything that is read of a neighbour.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static COUNTED: Counted = Counted;

/// How many bytes are allocated, and how many were at most.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Counted {
    fn add(bytes: usize) {
        MOST.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
    }
}

// SAFETY: the system's allocator does the work, with the arguments as they came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        Self::add(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Reads an input, and panics if this takes more memory than so many bytes for each byte of it. Growing a vector may double it.
pub fn bounded<T>(input: &[u8], factor: usize, read: impl FnOnce() -> T) -> T {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let read = read();
    let taken = MOST.load(Relaxed).saturating_sub(before);
    assert!(taken <= 4096 + factor * input.len(), "{taken} bytes of memory for {} of input", input.len());
    read
}

/// Panics if these words of a neighbour cannot be shown as they are: long, on several lines, or with characters that hide or
/// reorder others.
pub fn shown(words: &str) {
    assert!(words.chars().count() <= 100, "{words:?}");
    assert_eq!(words.trim(), words);
    assert!(!words.chars().any(is_hidden), "{words:?}");
}

/// Line breaks too; of Unicode's format characters those that are not part of any script.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether the bytes hold these.
pub fn holds(bytes: &[u8], these: &str) -> bool {
    bytes.windows(these.len()).any(|window| window == these.as_bytes())
}
