//! Random numbers, and runs in parallel that no number of threads changes.

use std::f64::consts::{PI, SQRT_2};
use std::num::NonZero;
use std::thread;

/// Sums what each run counts. Every run has a seed of its own, so that threads change nothing.
pub fn in_parallel<const N: usize>(runs: u32, run: impl Fn(u32) -> [u64; N] + Sync) -> [u64; N] {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u32;
    let run = &run;
    let sums = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mut sums = [0; N];
                    for index in (worker..runs).step_by(threads as usize) {
                        for (sum, one) in sums.iter_mut().zip(run(index)) {
                            *sum += one;
                        }
                    }
                    sums
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a run does not panic"))
            .collect::<Vec<[u64; N]>>()
    });
    sums.into_iter().fold([0; N], |mut total, sums| {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
        total
    })
}

/// SplitMix64 (G. Steele, D. Lea and C. Flood, OOPSLA 2014): quick, and the same everywhere.
#[derive(Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    pub fn new(seed: u64, run: u32) -> Self {
        // Runs begin far apart in a period of 2^64.
        let mut random = Self(seed << 32 | u64::from(run));
        Self(random.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Between 0 and 1, neither of them.
    pub fn open(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller's.
    pub fn normal(&mut self) -> f64 {
        SQRT_2 * (-self.open().ln()).sqrt() * (2.0 * PI * self.open()).cos()
    }

    /// How many of `trials` succeed: by the gaps between them, which are geometric.
    pub fn binomial(&mut self, trials: u64, rate: f64) -> u64 {
        let ln_fail = (-rate).ln_1p();
        let (mut at, mut successes) = (0.0, 0);
        loop {
            at += (self.open().ln() / ln_fail).floor() + 1.0;
            if at > trials as f64 {
                return successes;
            }
            successes += 1;
        }
    }
}
