//! Visitors who do not exist, as a warehouse would hold them: one row per exposure and per event,
//! with what such tables have wrong with them.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub const TIME_ZONE: &str = "America/New_York";
/// A Monday; the clocks go forward in the fourth week after it.
pub const FIRST_DAY: &str = "2026-02-09";
/// 46 days later. Some come on this day too, which is not over and not exported.
pub const END_DAY: &str = "2026-03-27";
const DAYS: i64 = 46;
const VISITORS_PER_DAY: u32 = 320;
const SEED: u64 = 0x5eed_2026;

/// Two tables, as CSV files with a header. An empty field is NULL.
#[derive(Debug)]
pub struct Tables {
    pub exposures: PathBuf,
    pub events: PathBuf,
}

struct World {
    random: StdRng,
    exposures: String,
    events: String,
    event_ids: u32,
}

/// Writes both tables, the same on every machine.
pub fn write(folder: &Path) -> Tables {
    let mut world = World {
        random: StdRng::seed_from_u64(SEED),
        exposures: "visitor_id,agent,variation,policy,exposed_at,loyalty_status,device\n".into(),
        events: "event_id,visitor_id,event,amount,occurred_at\n".into(),
        event_ids: 0,
    };
    let first: Date = FIRST_DAY.parse().unwrap();
    let zone = TimeZone::get(TIME_ZONE).unwrap();
    for day in 0..=DAYS {
        let midnight = first
            .checked_add(SignedDuration::from_hours(24 * day))
            .unwrap()
            .to_zoned(zone.clone())
            .unwrap()
            .timestamp();
        for number in 0..VISITORS_PER_DAY {
            world.visitor(&format!("v{day}-{number}"), midnight);
        }
    }
    world.rows_of_nobody();
    let tables = Tables {
        exposures: folder.join("exposures.csv"),
        events: folder.join("events.csv"),
    };
    fs::write(&tables.exposures, world.exposures).unwrap();
    fs::write(&tables.events, world.events).unwrap();
    tables
}

impl World {
    /// Comes on a day, all of whose hours are as likely, its first and last too.
    fn visitor(&mut self, id: &str, midnight: Timestamp) {
        let came = self.between(midnight, 0..23 * 3_600_000);
        let loyalty = self.one_of(&["gold", "gold", "silver", "silver", "none", ""]);
        let device = self.one_of(&["phone", "phone", "desktop", "", "unknown"]);
        let variation = self.one_of(&["A", "B"]);
        // No policy is what an A/B test's rows often have.
        let policy = self.one_of(&["r", "r", ""]);
        self.exposed(
            id,
            "checkout-button",
            variation,
            policy,
            came,
            [loyalty, device],
        );
        self.exposed_again(id, "checkout-button", variation, came, [loyalty, device]);
        if self.chance(0.7) {
            let (variation, policy) = if self.chance(0.5) {
                (self.one_of(&["A", "C"]), "f")
            } else {
                (self.one_of(&["A", "B", "C"]), "r")
            };
            let seen = self.between(came, 1..600_000);
            self.exposed(
                id,
                "recommendations",
                variation,
                policy,
                seen,
                [loyalty, device],
            );
            self.exposed_again(id, "recommendations", variation, seen, [loyalty, device]);
        }
        self.acts(id, came, variation == "B");
    }

    /// One in four comes again, up to 25 days later, some to another variation, with other traits.
    /// A few are shown two variations in the same instant.
    fn exposed_again(
        &mut self,
        id: &str,
        agent: &str,
        variation: &'static str,
        seen: Timestamp,
        traits: [&'static str; 2],
    ) {
        if self.chance(0.25) {
            let again = self.between(seen, 1..25 * DAY);
            let variation = if self.chance(0.1) { "B" } else { variation };
            let loyalty = self.one_of(&["gold", "silver", ""]);
            self.exposed(id, agent, variation, "r", again, [loyalty, traits[1]]);
        }
        if self.chance(0.03) {
            self.exposed(id, agent, "B", "r", seen, ["gold", "phone"]);
            self.exposed(id, agent, "A", "r", seen, ["silver", "desktop"]);
        }
    }

    fn acts(&mut self, id: &str, came: Timestamp, keener: bool) {
        for _ in 0..self.random.random_range(0..4) {
            let at = self.between(came, 0..9 * DAY);
            self.event(id, "add-to-cart", "", at);
        }
        if self.chance(0.1) {
            // Bought before the experiment.
            let amount = self.amount();
            let at = self.between(came, -20 * DAY..0);
            self.event(id, "order", &amount, at);
        }
        let orders = match self.random.random_range(0.0..1.0) {
            share if share < 0.62 - 0.04 * f64::from(u8::from(keener)) => 0,
            share if share < 0.85 => 1,
            share if share < 0.95 => 2,
            _ => 4,
        };
        for _ in 0..orders {
            // Most soon, some late, some on the very edge of the window or beyond it.
            let delay = match self.random.random_range(0..20) {
                0 => 0,
                1 => 7 * DAY,
                2 => 7 * DAY - 1,
                3..=7 => self.random.random_range(3 * DAY..12 * DAY),
                _ => self.random.random_range(0..2 * DAY),
            };
            let amount = self.amount();
            self.event(id, "order", &amount, later(came, delay));
            if self.chance(0.15) {
                let sign = self.one_of(&["", "-"]);
                let back = self.between(came, delay..delay + 4 * DAY);
                self.event(id, "refund", &format!("{sign}{amount}"), back);
            }
        }
        if self.chance(0.02) {
            let amount = self.amount();
            let at = self.between(came, 0..DAY);
            self.event(id, "refund", &amount, at);
        }
        if self.chance(0.02) {
            let broken = self.one_of(&["", "NaN", "Infinity", "-Infinity", "-12.50", "1000000000"]);
            let event = self.one_of(&["order", "refund"]);
            let broken = if event == "refund" && broken == "-12.50" {
                "NaN"
            } else {
                broken
            };
            let at = self.between(came, 0..DAY);
            self.event(id, event, broken, at);
        }
        if self.chance(0.1) {
            self.event(id, "support-contact", "", later(came, 5));
        }
    }

    /// Log-normal, so that few visitors bring much of the revenue.
    fn amount(&mut self) -> String {
        let (one, other): (f64, f64) = (
            self.random.random_range(f64::MIN_POSITIVE..1.0),
            self.random.random_range(0.0..1.0),
        );
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        format!("{:.2}", (3.3 + 1.2 * normal).exp().min(99_999.0))
    }

    /// Some rows are delivered twice, at the same time or later.
    fn event(&mut self, id: &str, event: &str, amount: &str, at: Timestamp) {
        self.event_ids += 1;
        let number = self.event_ids;
        writeln!(self.events, "e{number},{id},{event},{amount},{at}").unwrap();
        if self.chance(0.05) {
            let again = self.between(at, 0..2);
            writeln!(self.events, "e{number},{id},{event},{amount},{again}").unwrap();
        }
    }

    fn exposed(
        &mut self,
        id: &str,
        agent: &str,
        variation: &str,
        policy: &str,
        at: Timestamp,
        [loyalty, device]: [&str; 2],
    ) {
        writeln!(
            self.exposures,
            "{id},{agent},{variation},{policy},{at},{loyalty},{device}"
        )
        .unwrap();
    }

    fn rows_of_nobody(&mut self) {
        let at: Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
        self.exposed("", "checkout-button", "A", "r", at, ["", ""]);
        self.exposed("v-lost", "checkout-button", "", "r", at, ["", ""]);
        self.event("v-unknown", "order", "49.90", at);
        self.event("", "order", "49.90", at);
    }

    /// So many milliseconds later.
    fn between(&mut self, from: Timestamp, milliseconds: Range<i64>) -> Timestamp {
        later(from, self.random.random_range(milliseconds))
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_range(0.0..1.0) < share
    }

    fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.random.random_range(0..choices.len())]
    }
}

const DAY: i64 = 86_400_000;

fn later(at: Timestamp, milliseconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(milliseconds))
        .unwrap()
}
