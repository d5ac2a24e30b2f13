//! Four functions whose shapes tell them apart in a picture: a tower, a plateau, a staircase, a step.
//! Each call takes a fraction of a millisecond, so that a round can be shared out finely.

use std::time::{Duration, Instant};

const SIDE: usize = 48;
const ITEMS: usize = 2000;
const TEXT: usize = 65536;
/// Not a multiple of a sampler's period, so that samples fall everywhere in a round.
const ROUND: Duration = Duration::from_millis(23);

#[inline(never)]
fn fibonacci(n: u32) -> u32 {
    if n < 2 {
        n
    } else {
        fibonacci(n - 1) + fibonacci(n - 2)
    }
}

#[inline(never)]
fn matrix_multiply(seed: u32) -> u32 {
    let left: Vec<f64> = (0..SIDE * SIDE)
        .map(|i| (i as u32 % 7 + seed) as f64)
        .collect();
    let right: Vec<f64> = (0..SIDE * SIDE).map(|i| (i % 11) as f64).collect();
    let mut product = vec![0.0; SIDE * SIDE];
    for row in 0..SIDE {
        for column in 0..SIDE {
            let mut sum = 0.0;
            for k in 0..SIDE {
                sum += left[row * SIDE + k] * right[k * SIDE + column];
            }
            product[row * SIDE + column] = sum;
        }
    }
    product[SIDE + 1] as u32
}

#[inline(never)]
fn partition(items: &mut [u32]) -> usize {
    let pivot = items[(items.len() - 1) / 2];
    let (mut low, mut high) = (0, items.len() - 1);
    loop {
        while items[low] < pivot {
            low += 1;
        }
        while items[high] > pivot {
            high -= 1;
        }
        if low >= high {
            return high + 1;
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
}

#[inline(never)]
fn quicksort(items: &mut [u32]) {
    if items.len() < 2 {
        return;
    }
    let middle = partition(items);
    let (low, high) = items.split_at_mut(middle);
    quicksort(low);
    quicksort(high);
}

#[inline(never)]
fn sorting(seed: u32) -> u32 {
    let mut state = seed;
    let mut items: Vec<u32> = (0..ITEMS)
        .map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            state
        })
        .collect();
    quicksort(&mut items);
    items[0]
}

#[inline(never)]
fn hash_block(hash: u32, block: &[u8]) -> u32 {
    if block.len() > 4096 {
        let (first, second) = block.split_at(block.len() / 2);
        return hash_block(hash_block(hash, first), second);
    }
    block.iter().fold(hash, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(16777619)
    })
}

#[inline(never)]
fn hashing(seed: u32) -> u32 {
    let text: Vec<u8> = (0..TEXT).map(|i| i as u8).collect();
    hash_block(seed, &text)
}

/// One function, the share of /work that it is to take, and what it has taken so far.
pub struct Task {
    pub name: &'static str,
    pub share: f64,
    call: fn(u32) -> u32,
    spent: Duration,
}

/// The four tasks, and a sum of their results which keeps the compiler from dropping the calls.
pub struct Workload {
    pub tasks: [Task; 4],
    result: u32,
}

impl Workload {
    pub fn new() -> Self {
        let task = |name, share, call| Task {
            name,
            share,
            call,
            spent: Duration::ZERO,
        };
        Workload {
            tasks: [
                task("fibonacci", 0.4, |_| fibonacci(20)),
                task("matrix_multiply", 0.3, matrix_multiply),
                task("sorting", 0.2, sorting),
                task("hashing", 0.1, hashing),
            ],
            result: 0,
        }
    }

    fn spend(&mut self, index: usize, budget: Duration) -> Duration {
        let start = Instant::now();
        let mut took = Duration::ZERO;
        let mut seed = 1;
        while took < budget {
            self.result = self.result.wrapping_add((self.tasks[index].call)(seed));
            seed += 1;
            took = start.elapsed();
        }
        took
    }

    fn total(&self) -> Duration {
        self.tasks.iter().map(|task| task.spent).sum()
    }

    /// A round tops each task up to its share of the whole: a call that overshoots is made good in the next.
    pub fn work(&mut self) -> u32 {
        let goal = self.total() + ROUND;
        for index in 0..self.tasks.len() {
            let due = goal
                .mul_f64(self.tasks[index].share)
                .saturating_sub(self.tasks[index].spent);
            let took = self.spend(index, due);
            self.tasks[index].spent += took;
        }
        self.result
    }

    /// A round of one function alone, which does not count in the shares; None when there is no such function.
    pub fn alone(&mut self, name: &str) -> Option<u32> {
        let index = self.tasks.iter().position(|task| task.name == name)?;
        self.spend(index, ROUND);
        Some(self.result)
    }

    /// The share that each function has taken of /work, as JSON.
    pub fn shares(&self) -> String {
        let whole = self.total().as_secs_f64().max(f64::MIN_POSITIVE);
        let members: Vec<String> = self
            .tasks
            .iter()
            .map(|task| format!("\"{}\":{}", task.name, task.spent.as_secs_f64() / whole))
            .collect();
        format!("{{{}}}\n", members.join(","))
    }
}
