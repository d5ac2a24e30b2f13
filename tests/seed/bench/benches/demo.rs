//! Runs for two seconds, and says how often it got round.

use std::time::{Duration, Instant};

fn main() {
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(2) {
        // read at run time, so that the call is not computed while compiling
        let depth = unsafe { std::ptr::read_volatile(&24) };
        assert_eq!(seed_bench::fibonacci(depth), 46368);
        rounds += 1;
    }
    println!("{rounds} rounds");
}
