// Known shares of CPU time, in Rust: a trait, a generic function, a closure.
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}
extern "C" {
    fn clock_gettime(clock: i32, out: *mut Timespec) -> i32;
}
const THREAD_CPU: i32 = 3;

/// What std::hint's does, for a compiler that has none yet.
fn black_box<T>(value: T) -> T {
    let seen = unsafe { std::ptr::read_volatile(&value) };
    std::mem::forget(value);
    seen
}

fn thread_nanoseconds() -> u64 {
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(THREAD_CPU, &mut t) };
    t.seconds as u64 * 1_000_000_000 + t.nanoseconds as u64
}

#[inline(never)]
fn burn<T: Into<u64>>(n: T) -> u64 {
    let mut sum = 0u64;
    for i in 0..n.into() {
        sum = black_box(sum + i);
    }
    sum
}

trait Work {
    fn run(&self, units: u64) -> u64;
}
struct Times(u64);
impl Work for Times {
    #[inline(never)]
    fn run(&self, units: u64) -> u64 {
        black_box(burn(units * self.0)) + 1
    }
}

mod shares {
    use super::{black_box, burn, Times, Work};

    #[inline(never)]
    pub fn sixty(units: u64) {
        black_box(Times(6).run(units));
    }
    #[inline(never)]
    pub fn thirty(units: u64) {
        black_box(burn(units * 3));
    }
    #[inline(never)]
    pub fn ten(units: u64) {
        black_box(burn(units as u32));
    }
}

static SPENT: [AtomicU64; 3] = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
const WORK: [(&str, fn(u64)); 3] = [("sixty", shares::sixty), ("thirty", shares::thirty), ("ten", shares::ten)];

fn main() {
    std::thread::spawn(|| {
        let mut state = 1u32;
        loop {
            for (spent, (_, work)) in SPENT.iter().zip(WORK) {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                let begun = thread_nanoseconds();
                work(10000 + u64::from(state >> 8) % 20000);
                spent.fetch_add(thread_nanoseconds() - begun, Ordering::Relaxed);
            }
        }
    });
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        let told: Vec<String> = WORK
            .iter()
            .zip(&SPENT)
            .map(|((name, _), spent)| format!("\"{}\": {:.9}", name, spent.load(Ordering::Relaxed) as f64 / 1e9))
            .collect();
        println!("{{{}}}", told.join(", "));
        std::io::stdout().flush().unwrap();
    }
}
